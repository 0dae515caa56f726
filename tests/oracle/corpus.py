"""Records to compare two cores on: every table, example and generator of events that there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from pipeline.core.record import Record
from pipeline.demo.generate import STRICT_SETTINGS, Generator
from tests.hostile import HOSTILE, UNDER_LIMITS
from tests.support import raw
from tests.unit.core.values import ROWS, event_text

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = ROOT / "schemas" / "examples"
GOLDEN: Final = ROOT / "tests" / "unit" / "core" / "golden"
FOUND: Final = Path(__file__).parent / "found"
"""Folder in which the fuzz target saves what it has found, one file per value."""
_IDENTIFY: Final[dict[str, Any]] = {"identify": [{"event": "*"}]}
_STRICT: Final[dict[str, Any]] = STRICT_SETTINGS.model_dump(
    mode="json", include={"rules", "limits"}, exclude_unset=True
)


class Case(NamedTuple):
    """A record, with the settings under which it is processed."""

    name: str
    record: Record
    settings: dict[str, Any] = {}  # noqa: RUF012  never changed


def hostile() -> Iterator[Case]:
    """The table of hostile payloads, with its headers and settings."""
    for row in (*HOSTILE, *UNDER_LIMITS):
        yield Case(row.name, raw(row.value, row.headers), row.settings)


def values() -> Iterator[Case]:
    """The table of accepted and rejected values."""
    for row in ROWS:
        yield Case(f"{row.field}-{row.name}", raw(event_text(row)))


def files() -> Iterator[Case]:
    """Examples of the schemas, and the specifications' own; each may give identify messages."""
    for path in sorted((*EXAMPLES.glob("*/*.json"), *GOLDEN.glob("*.json"))):
        yield Case(f"{path.parent.name}/{path.name}", raw(path.read_bytes()), _IDENTIFY)


def generated(seed: int, count: int) -> Iterator[Case]:
    """Generated events, good and spoiled ones, single and in batches."""
    plan = Generator(seed=seed, invalid_share=0.3, batch_share=0.3, strict=True)
    for number, made in enumerate(islice(plan, count)):
        record = raw(made.value, key=made.key, timestamp=made.timestamp, offset=number)
        yield Case(f"generated-{seed}-{number}", record, _STRICT)


class Saved(NamedTuple):
    """A case as it is saved in a file."""

    value: str
    """The value of the record, a character for each byte (Latin-1)."""
    settings: dict[str, Any]

    @classmethod
    def of(cls, case: Case) -> Self:
        """What is saved of a case."""
        return cls((case.record.value or b"").decode("latin-1"), case.settings)


def found() -> Iterator[Case]:
    """What the fuzz target found once."""
    for path in sorted(FOUND.glob("*.json")):
        saved = Saved(**json.loads(path.read_bytes()))
        yield Case(f"found/{path.name}", raw(saved.value.encode("latin-1")), saved.settings)
