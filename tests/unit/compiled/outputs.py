"""Outputs of one core for the same records: `python -m tests.unit.compiled.outputs FILE`."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from pipeline.core.record import Output
from pipeline.demo.generate import Generator
from tests.hostile import HOSTILE, UNDER_LIMITS
from tests.support import process, raw

EXAMPLES: Final = Path(__file__).parents[3] / "schemas" / "examples"
GENERATED: Final = 1_500

Outputs = tuple[Output, ...]


def all_outputs() -> Iterator[tuple[str, Outputs]]:
    """A name for each record, and what becomes of it."""
    for row in (*HOSTILE, *UNDER_LIMITS):
        yield row.name, process(raw(row.value, row.headers), **row.settings)
    for path in sorted(EXAMPLES.rglob("*.json")):
        yield str(path.relative_to(EXAMPLES)), process(path.read_bytes())
    for strict in (False, True):
        generator = Generator(seed=7, invalid_share=0.2, strict=strict, huge=True)
        for number, each in enumerate(islice(generator, GENERATED)):
            yield f"generated {strict} {number}", process(raw(each.value, timestamp=each.timestamp))


def main() -> None:
    """Write the outputs into the file, pickled."""
    Path(sys.argv[1]).write_bytes(pickle.dumps(list(all_outputs())))


if __name__ == "__main__":
    main()
