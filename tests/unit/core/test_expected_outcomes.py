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
    assert expected_outcomes(record, ItemOutputs(outputs[:-1])) == 3
    assert expected_outcomes(record, ItemOutputs((*outputs, outputs[0]))) == 3


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
    assert len(outputs) == expected_outcomes(record, outputs) == 2
