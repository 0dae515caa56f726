"""The program with one difference: a raw record that holds POISON kills the process."""

from __future__ import annotations

import os
from typing import Final

from pipeline.cli.main import main
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record

POISON: Final = b"kills the process"

if __name__ == "__main__":
    _process = Processor.process

    def _dying(self: Processor, record: Record, now: int) -> tuple[Output, ...]:
        if POISON in (record.value or b""):
            os.abort()
        return _process(self, record, now)

    Processor.process = _dying  # type: ignore[method-assign]
    main()
