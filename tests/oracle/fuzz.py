"""The search for a record on which the core fails, or does not do what version 1 did.

Records of the corpus are mutated at random, from a seed; a record that fails is made as small as
possible, printed as a row for `tests/hostile.py`, and saved where the suite tries it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any, Final, NamedTuple

from tests.oracle import corpus
from tests.oracle.check import faults
from tests.oracle.compiled import CompiledCore
from tests.oracle.corpus import Case
from tests.oracle.mutate import mutated
from tests.support import raw

_LARGEST: Final = 4_000
"""Larger records of the corpus are left out: a mutation of one of them is slow."""
_CHUNK: Final = 200
"""Records that go to the compiled core at once."""
SETTINGS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {},
    {"identify": [{"event": "*"}], "default_currency_when": "always"},
    {"keep_write_key": True, "on_other_type": "drop", "default_currency": "EUR"},
    {"rules": {"revenue_invalid": "warn", "value_invalid": "warn", "currency_invalid": "warn"}},
    {"rules": {"id_not_string": "warn", "traits_not_object": "reject"}},
    {"limits": {"max_depth": 8}},
)


class Found(NamedTuple):
    """A record that fails."""

    case: Case
    faults: list[str]

    def row(self) -> str:
        """A row of the table of hostile payloads; the outcome is for a person to fill in."""
        name = f"fuzz_{_digest(self.case)}"
        return f'yield _row("{name}", {self.case.record.value!r}, ...)  # {self.case.settings}'

    def save(self, folder: Path = corpus.FOUND) -> Path:
        """Save the record; a test tries all files of the folder again."""
        path = folder / f"{_digest(self.case)}.json"
        folder.mkdir(exist_ok=True)
        saved = corpus.Saved.of(self.case)
        path.write_text(json.dumps(saved._asdict(), indent=2) + "\n", encoding="utf-8")
        return path


def cases(seed: int) -> Iterator[Case]:
    """Mutated records without end; the same seed gives the same ones."""
    dice = Random(seed)  # noqa: S311  nothing secret
    known = [*corpus.hostile(), *corpus.values(), *corpus.files(), *corpus.generated(seed, 500)]
    values = [v for case in known if (v := case.record.value) is not None and len(v) < _LARGEST]
    number = 0
    while True:
        number += 1
        value = mutated(dice, dice.choice(values), dice.choice(values))
        yield Case(f"seed {seed}, record {number}", raw(value), dice.choice(SETTINGS))


class Fuzzer:
    """Tries records until a time or a number of them is reached."""

    def __init__(self, compiled: CompiledCore | None = None) -> None:
        self._compiled = compiled
        self.tried = 0

    def search(self, source: Iterator[Case], is_over: Callable[[int], bool]) -> Iterator[Found]:
        """Yield the records that fail, each as small as it could be made."""
        while not is_over(self.tried):
            chunk = [case for case, _ in zip(source, range(_CHUNK), strict=False)]
            self.tried += len(chunk)
            for case in chunk:
                if faults(case):
                    yield smallest(case, faults)
            if self._compiled is not None:
                yield from (
                    smallest(case, self._compiled.faults)
                    for case in self._compiled.differing(chunk)
                )


def until(seconds: float, records: int | None) -> Callable[[int], bool]:
    """Whether the search is over, by time or by the number of records."""
    end = monotonic() + seconds
    return lambda tried: monotonic() >= end or (records is not None and tried >= records)


def smallest(case: Case, faults_of: Callable[[Case], list[str]]) -> Found:
    """The case without the bytes that are not needed to fail in the same way."""
    value, found = case.record.value or b"", faults_of(case)
    size = len(value) // 2
    while size:
        at = 0
        while at < len(value):
            shorter = value[:at] + value[at + size :]
            again = faults_of(case._replace(record=case.record._replace(value=shorter)))
            if again and _kind(again) == _kind(found):
                value, found = shorter, again
            else:
                at += size
        size //= 2
    return Found(case._replace(record=case.record._replace(value=value)), found)


def _kind(lines: list[str]) -> str:
    """What a fault is about, without the values."""
    return lines[0].rpartition("\n  File ")[2] if "\n" in lines[0] else lines[0].partition(":")[0]


def _digest(case: Case) -> str:
    return hashlib.sha256(case.record.value or b"").hexdigest()[:8]
