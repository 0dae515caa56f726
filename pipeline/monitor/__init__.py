"""What can be known about a pipeline from outside: from the cluster alone, or by asking a worker.

Joins no group, commits nothing and writes nothing. May import everything but `cli` and `demo`.
"""
