"""`make fuzz`: mutated records, for minutes; exit code 1 when one was found that fails."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack

from tests.oracle import compiled
from tests.oracle.fuzz import Fuzzer, cases, until


def main() -> int:
    """Search, and print what was found."""
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long (default: 5)")
    parser.add_argument("--seed", type=int, help="repeat a run (default: another one each time)")
    parser.add_argument("--records", type=int, help="end after so many records")
    parser.add_argument("--most", type=int, default=10, help="end after so many finds")
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    with ExitStack() as stack:
        core = None
        if compiled.is_there():
            core = stack.enter_context(compiled.CompiledCore())
        against = "version 1" if core is None else "version 1 and the compiled core"
        _say(f"seed {seed}, {options.minutes:g} minutes, against {against}")
        if core is None:
            _say("there is no compiled core here; `make compiled` makes one")
        fuzzer, count = Fuzzer(core), 0
        for found in fuzzer.search(cases(seed), until(options.minutes * 60, options.records)):
            count += 1
            _say(f"\n{found.case.name}, saved as {found.save()}\n    {found.row()}")
            _say("\n".join(found.faults))
            if count == options.most:
                break
    _say(f"{fuzzer.tried} records tried, {count} found that fail")
    return 1 if count else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
