"""The program with one difference: its core is that of contract version 1."""

from __future__ import annotations

from typing import Any

from pipeline.cli.main import main
from pipeline.service import workers
from pipeline.settings.model import Settings
from tests.oracle.worker_core import ProcessorOfVersion1


def _make_processor(settings: Settings, *, group: str = "", **_: Any) -> ProcessorOfVersion1:
    return ProcessorOfVersion1(settings, group=group)


if __name__ == "__main__":
    setattr(workers, "make_processor", _make_processor)  # noqa: B010  it is not exported
    main()
