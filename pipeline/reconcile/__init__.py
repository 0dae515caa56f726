"""Reads the outputs that exist and compares them with what the rules make of the raw records.

`audit` asks whether every raw record is accounted for exactly once; `compare` asks what would be
different under other rules. Modules in this folder are shared by both. May import `core`, `errors`,
`ports`, `settings`, `kafka`, `files`, `worker`, `wiring` and the small modules next to them; no
other tool, and neither click nor rich.
"""
