"""Watches a pipeline from outside: from the cluster, and from the endpoints of its workers.

It joins no group and writes nothing. It may import everything but `replay`, `demo` and `cli`.
"""
