"""The core has two forms: the Python sources of `pipeline.core`, and these compiled by mypyc.

`choice.py` decides which one runs, once, before the first module of the core is imported.
`build.py` compiles. The package imports nothing of ours; mypyc and setuptools are imported only
here, and only by the build.
"""
