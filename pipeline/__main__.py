"""`python -m pipeline` is `track-pipeline`."""

from __future__ import annotations

import sys
from typing import Final, NoReturn

from pipeline.compiled.choice import CoreUnavailableError

_USAGE: Final = 2
"""`ExitCode.USAGE`, which can't be imported where there is no core."""


def main() -> NoReturn:
    """Entry point of the program; a core that can't be had is a sentence, as all failures are."""
    try:
        from pipeline.cli import main as program  # noqa: PLC0415  it imports the core
    except CoreUnavailableError as error:
        sys.stderr.write(f"track-pipeline: {error}\n")
        sys.exit(_USAGE)
    program.main()


if __name__ == "__main__":
    main()
