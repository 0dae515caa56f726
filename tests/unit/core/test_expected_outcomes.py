"""The number of events in a record, counted apart from what became of them.

The table of hostile payloads is compared in `test_hostile`.
"""

from __future__ import annotations

import json

import pytest

from pipeline.core.expected_outcomes import expected_outcomes
from pipeline.core.record import ItemOutputs
from tests.support import process, raw

EVENT = {"type": "track", "event": "a", "messageId": "m", "userId": "u"}


def test_an_outcome_that_is_missing_shows() -> None:
    """An item of a batch that vanished makes a difference, as would one that came twice."""
    record = raw(json.dumps({"batch": [EVENT, EVENT, {"event": 1}]}).encode())
    outputs = process(record)
    assert expected_outcomes(record.value, ItemOutputs(outputs[:-1])) == 3
    assert expected_outcomes(record.value, ItemOutputs((*outputs, outputs[0]))) == 3


@pytest.mark.parametrize(
    "value",
    [
        b'{"\\u0062atch": [{"event": "a", "userId": "u"}, {"event": "b", "userId": "u"}]}',
        b'\xef\xbb\xbf{"batch": [{"event": "a"}, 5]}',
    ],
)
def test_batch_is_recognised_however_it_is_written(value: bytes) -> None:
    """Keys may be escaped, and a byte order mark may precede the object."""
    record = raw(value)
    outputs = process(record)
    assert len(outputs) == expected_outcomes(record.value, outputs) == 2


@pytest.mark.parametrize(
    "value",
    [
        b'{"batch": [{"event": "a", "userId": "u"}, {"event": NaN}]}',
        b'{"x": [1, 2, 3], "batch": [{"a": [1, 2], "b": "],"}, NaN], "y": {"batch": [1, 2, 3]}}',
        b'\xef\xbb\xbf{"\\u0062atch": [5, {"event": "\xff"}]}',
        rb'{"batch": [{"event": "\ud83d"}, {"event": "\"]}"}]}',
    ],
)
def test_items_that_cannot_be_read_are_counted(value: bytes) -> None:
    """An item of a batch that can't be decoded is an event like the others."""
    record = raw(value)
    outputs = process(record)
    assert len(outputs) == expected_outcomes(record.value, outputs) == 2
    assert expected_outcomes(record.value, ItemOutputs(outputs[:-1])) == 2
