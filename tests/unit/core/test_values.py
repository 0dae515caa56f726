"""Every row of the table of accepted and rejected values."""

from __future__ import annotations

from collections import Counter
from functools import reduce

import pytest

from pipeline.core.headers import DlqHeader
from pipeline.core.record import Role
from tests.support import Digits, only, process, read, reject, text_of
from tests.unit.core.values import FIELDS, ROWS, Row, event_text

ACCEPTED = [row for row in ROWS if not row.rejected]
REJECTED = [row for row in ROWS if row.rejected]


def _name(row: Row) -> str:
    return f"{row.field}-{row.name}"


def _same(found: object, expected: str) -> bool:
    """Numbers digit for digit (an exponent may be respelled), all else as it is written."""
    if isinstance(found, Digits):
        return found.exact() == Digits(expected).exact()
    return text_of(found) == text_of(read(expected))


@pytest.mark.parametrize("row", ACCEPTED, ids=_name)
def test_accepted_values_are_normalised(row: Row) -> None:
    """An accepted value is in the enriched event as the row says, with exactly its warnings."""
    event = read(only(process(event_text(row)), Role.ENRICHED).value)
    found = reduce(lambda parent, name: parent.get(name), FIELDS[row.field].path, event)
    assert event["enrichment"].get("warnings", []) == list(row.warnings)
    if row.out is None:
        *path, name = FIELDS[row.field].path
        assert name not in reduce(lambda parent, step: parent[step], path, event)
    else:
        assert _same(found, row.out), f"{text_of(found)}, expected {row.out}"


@pytest.mark.parametrize("row", REJECTED, ids=_name)
def test_rejected_values_have_their_violations(row: Row) -> None:
    """A rejected value gives exactly the violations of its row, and a sentence for each."""
    dead_letter = reject(event_text(row))
    assert dead_letter.broken == list(row.rejected)
    assert dead_letter.headers[DlqHeader.STAGE] == "validate"
    assert all(reason["detail"] for reason in dead_letter.reasons)


def test_table_is_large_and_each_row_named_once() -> None:
    """The table covers at least 150 cases, and no two rows share a name."""
    names = Counter(_name(row) for row in ROWS)
    assert len(ROWS) >= 150
    assert [name for name, count in names.items() if count > 1] == []
