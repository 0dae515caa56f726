"""Every hostile framed record has the outcome that its row names, on either core."""

from __future__ import annotations

from typing import Final

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.core.expected_outcomes import expected_outcomes
from pipeline.core.formats import Formats
from pipeline.core.headers import VALUE_SCHEMA_ID
from pipeline.core.process import Processor
from pipeline.core.record import ItemOutputs, Role
from tests.framed_hostile import FRAMED_HOSTILE, framed_reader
from tests.hostile import HOSTILE, Hostile
from tests.support import IDENTITY, NOW, outcomes, raw
from tests.unit.core.invariants import check_outputs

SETTINGS: Final = ContractSettings()
PROCESSOR: Final = Processor(SETTINGS, IDENTITY, Formats(read=framed_reader(SETTINGS)))


def _name(row: Hostile) -> str:
    return row.name


@pytest.mark.parametrize("row", FRAMED_HOSTILE, ids=_name)
def test_hostile_framed_records_have_their_outcomes(row: Hostile) -> None:
    """Each event has one well-formed outcome, in order, and the same when it is repeated."""
    record = raw(row.value, row.headers)
    outputs = PROCESSOR.process(record, NOW)
    assert outcomes(outputs) == row.outcomes
    assert expected_outcomes(PROCESSOR.text(record), outputs) == len(row.outcomes)
    assert PROCESSOR.process(record, NOW) == outputs
    whole = not isinstance(outputs, ItemOutputs)
    others = [header for header in row.headers if header[0] != VALUE_SCHEMA_ID]
    for output in outputs:
        is_raw = whole and output.role is Role.DEAD_LETTER
        check_outputs(record if is_raw else record._replace(headers=others), (output,))


@pytest.mark.parametrize(
    "row", [row for row in FRAMED_HOSTILE if len(row.outcomes) == 1], ids=_name
)
def test_dead_letters_of_framed_records_keep_the_bytes(row: Hostile) -> None:
    """A redrive reads the whole record again, so its bytes and its schema's header stay."""
    record = raw(row.value, row.headers)
    for output in PROCESSOR.process(record, NOW):
        if output.role is Role.DEAD_LETTER:
            assert output.value == record.value
            kept = [header for header in output.headers if header[0] == VALUE_SCHEMA_ID]
            assert kept == [header for header in row.headers if header[0] == VALUE_SCHEMA_ID]


@pytest.mark.parametrize("row", HOSTILE, ids=_name)
def test_plain_records_are_left_to_the_core(row: Hostile) -> None:
    """Where input.format is auto, a value of no framing is not even copied."""
    record = raw(row.value, row.headers)
    if (row.value or b"")[:1] not in {b"\x00", b"\x01"}:
        assert PROCESSOR.text(record) is record.value


def test_names_of_framed_rows_are_unique() -> None:
    """A row is named once in both tables together."""
    names = [row.name for row in (*HOSTILE, *FRAMED_HOSTILE)]
    assert sorted(set(names)) == sorted(names)
