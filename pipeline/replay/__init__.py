"""Runs raw records again under the rules of now, into topics of its own, beside the live worker.

The way of a request, in the order of the modules:

    request      what is to be replayed, with nothing of a command line in it
    capture      request → plan: fixed offsets or files, output topics; nothing is written
    runner       plan → begun replay (`begin`) → result (`execute`)
    resume       id → the same replay again, under the rules of its plan
    takeover     this process becomes the only one that can write for it
    slot         the worker's loop over a share of the partitions; `processes` runs several
    finish       the end: outputs read back and compared with what was counted (`verification`)

Beside the way: `dry_run` (what the rules would make of a window), `status`, `presence` (who works
on it), `cancel`, `delete`. It may import everything but `cli`, `demo` and `dlq`; it prints nothing
and ends no program. What it tells while it works goes to the functions in `hooks`.
"""
