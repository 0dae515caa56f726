"""One record in, outputs out: the rules of the contract, with no clock, no I/O and no environment.

Start with `process.py`: the steps in their order, on one screen. Everything a rule needs is passed
in; a rejected event is a value (`Invalid`), never an exception. Imports nothing of ours but itself.
"""

from pipeline.compiled.choice import chosen

# Compiled modules, where they were chosen, are found before the sources of the same names.
__path__ = [*chosen().directories, *__path__]
