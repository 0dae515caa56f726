"""The fuzz target finds what it looks for, and its first records are fine."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.oracle import compiled, corpus
from tests.oracle.check import faults
from tests.oracle.corpus import Case
from tests.oracle.fuzz import Found, Fuzzer, cases, smallest, until
from tests.support import raw

RECORDS = 1_000
"""So many take a few seconds; `make fuzz` takes minutes."""


def test_first_mutated_records_are_fine() -> None:
    """Mutated records of a fixed seed give well-formed outputs, and those of version 1."""
    found = list(islice(Fuzzer().search(cases(1), until(60, RECORDS)), 3))
    assert [(each.row(), each.faults) for each in found] == []


@pytest.mark.skipif(not compiled.is_there(), reason="needs the compiled core: `make compiled`")
def test_compiled_core_gives_the_same_bytes() -> None:
    """The core in a child process, compiled, gives what this one gives."""
    records = list(islice(cases(2), 400))
    with compiled.CompiledCore() as core:
        assert core.differing(records) == []


def test_seed_decides_the_records() -> None:
    """A seed gives the same records each time, another one gives others."""
    first, again, other = (list(islice(cases(seed), 50)) for seed in (1, 1, 2))
    assert first == again
    assert [case.record for case in first] != [case.record for case in other]


def test_found_record_is_made_small_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails is cut down to the bytes that matter, and read again as it was saved."""
    monkeypatch.setattr(corpus, "FOUND", tmp_path)
    case = Case("long", raw(b'{"x":1}' * 50 + b"\xff" + b"y" * 30), {"keep_write_key": True})
    found = smallest(case, lambda tried: ["has it"] * (b"\xff" in (tried.record.value or b"")))
    assert found.case.record.value == b"\xff"
    found.save(tmp_path)
    (saved,) = corpus.found()
    assert (saved.record, saved.settings) == (found.case.record, found.case.settings)
    assert r"b'\xff'" in found.row()


def test_core_that_raises_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of the core is a find, with its traceback."""

    def broken(_: Case) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tests.oracle.check.today", broken)
    (fault,) = faults(Case("any", raw(b"{}")))
    assert "ZeroDivisionError" in fault
    assert Found(Case("any", raw(b"{}")), [fault]).row().startswith("yield _row(")
