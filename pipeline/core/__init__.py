"""One record in, outputs out: the rules of the contract, with no clock, no I/O and no environment.

Start with `process.py`: the steps in their order, on one screen. Everything a rule needs is passed
in; a rejected event is a value (`Invalid`), never an exception. Imports nothing of ours but itself.
"""
