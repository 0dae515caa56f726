"""Today's core against the core of contract version 1, and mutated records against both.

`corpus.py` has the records, `facts.py` reads outputs as values, `compare.py` compares two cores,
`differences.py` is the table of what version 2 does differently on purpose, `mutate.py` makes new
records of known ones. `python -m tests.oracle` is the fuzz target (`make fuzz`).
"""
