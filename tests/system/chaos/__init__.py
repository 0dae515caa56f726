"""The machine that tries to break the promise: nothing lost, doubled or changed, whatever dies.

`__main__.py` is `make chaos`; engine.py, the file to read first, is one run of it.
"""
