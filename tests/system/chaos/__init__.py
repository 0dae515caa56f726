"""Chaos tests: no event is lost, duplicated or changed, whatever fails.

`__main__.py` is `make chaos`. `engine.py`, the file to read first, is one run of it.
"""
