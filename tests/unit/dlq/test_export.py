"""Dead letters as lines, and the way back."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import msgspec
import pytest

from pipeline.core.contract import ContractSettings
from pipeline.core.process import Processor
from pipeline.core.record import INVALID_HEADERS, Record
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.export import line_of, read_dead_letters, read_line
from pipeline.dlq.header_formats import read_dead_letter
from pipeline.errors import ExportError
from pipeline.files.lines import Input
from tests.hostile import HOSTILE
from tests.unit.dlq.dead_letters import (
    IDENTITY,
    NOW,
    dead_letter_of,
    dead_letters_of,
    event,
    raw,
    reprocessor,
)

ID = "aaaaaaaaaaaaaaaaaaaaaa"


def _document(line: bytes) -> dict[str, Any]:
    found = json.loads(line)
    assert type(found) is dict
    return found


def _back(dead_letter: DeadLetter) -> Record:
    line = line_of(dead_letter, ID, reveal=True)
    assert b"\n" not in line
    exported = read_line(line)
    assert not exported.edited
    assert not exported.masked
    assert exported.topic_id == ID
    return exported.dead_letter.record


@pytest.mark.parametrize("row", HOSTILE, ids=lambda row: row.name)
def test_there_and_back(row: Any) -> None:
    """Whatever was rejected, its dead letter comes back byte for byte, with all headers."""
    for dead_letter in dead_letters_of(
        raw(b"", headers=tuple(row.headers))._replace(value=row.value)
    ):
        record = dead_letter.record
        assert _back(dead_letter) == record._replace(headers=list(record.headers))


@pytest.mark.parametrize(
    "record",
    [
        Record(None, None, (), None, "t", 3, 2**62),
        Record(b"", b"", [("a", None), ("a", b""), ("a", b"\xff")], -1, "t", 0, 0),
        Record(b"\xff\0", b"\xff", INVALID_HEADERS, NOW, "t", 0, 1),
        Record("\ufeff{}".encode(), "kéy".encode(), (), NOW, "t", 0, 1),
        Record(b'{"a":1e400,"a":-0}', None, (), NOW, "t", 0, 1),
        Record('{"a":"\u2028\x9b\u200d"}'.encode(), None, (), NOW, "t", 0, 1),
        Record(b'{"a":\n1}', None, (), NOW, "t", 0, 1),
        Record(b'"a"', None, (), NOW, "t", 0, 1),
        Record(b"null", None, (), NOW, "t", 0, 1),
    ],
    ids=range(9),
)
def test_odd_records_come_back(record: Record) -> None:
    """Absent values, binary values and unreadable headers come back as they were."""
    back = _back(read_dead_letter(record))
    assert back._replace(headers=()) == record._replace(headers=())
    assert list(back.headers) == list(record.headers)
    assert (back.headers is INVALID_HEADERS) == (record.headers is INVALID_HEADERS)


def test_line_of_an_export() -> None:
    """A line has the position and reasons of the dead letter; an object stands as it was sent."""
    value = b'{"event":"Order", "userId":"u","n":1.10,"properties":{"revenue":"x"}}'
    dead_letter = dead_letter_of(value, headers=(("trace", b"1"),))
    line = line_of(dead_letter, ID, reveal=True)
    assert b'"encoding":"json","value":' + value in line
    found = _document(line)
    assert found["dead_letter"] == "dead/0/0"
    assert found["source"] == "raw/2/7"
    assert found["source_timestamp"] == "2027-01-15T07:59:59.000Z"
    assert (found["reason"], found["attempt"]) == ("revenue_invalid", 1)
    assert found["key"] == {"encoding": "utf-8", "value": "key"}
    assert found["headers"][0] == {"name": "trace", "encoding": "utf-8", "value": "1"}
    assert found["masked"] is False


def test_export_is_masked() -> None:
    """Without --reveal no personal data leaves, and the line says that it is masked."""
    sent = event(userId=None, email="ann@example.com", traits={"name": "Ann"})
    dead_letter = dead_letter_of(sent, headers=(("x-client", b"10.0.0.1"),))
    dead_letter = read_dead_letter(dead_letter.record._replace(key=b"ann@example.com"))
    line = line_of(dead_letter, ID, reveal=False)
    for hidden in (b"example.com", b"Ann", b"10.0.0.1"):
        assert hidden not in line
    exported = read_line(line)
    assert exported.masked
    assert not exported.edited
    assert exported.sha256 is None


def _edited(changes: dict[str, Any]) -> bytes:
    dead_letter = dead_letter_of({"event": "A", "n": 1, "messageId": "m"})
    document = _document(line_of(dead_letter, ID, reveal=True))
    return msgspec.json.encode({**document, **changes})


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"value": {"event": "A", "userId": "u"}}, b'{"event":"A","userId":"u"}'),
        ({"encoding": "utf-8", "value": '{"x": 1}'}, b'{"x": 1}'),
        ({"encoding": "utf-8", "value": {"x": 1}}, b'{"x":1}'),
        ({"encoding": "base64", "value": "/w=="}, b"\xff"),
        ({"value": None}, None),
    ],
)
def test_edited_value_is_recognised(changes: dict[str, Any], value: bytes | None) -> None:
    """An edited value is taken as it stands, and is known to be edited."""
    exported = read_line(_edited(changes))
    assert exported.dead_letter.value == value
    assert exported.edited
    assert exported.dead_letter.reason == "no_user_anon_id"


@pytest.mark.parametrize("in_batch", [False, True])
def test_edited_event_keeps_its_generated_message_id(*, in_batch: bool) -> None:
    """An edited event has the id that a replay of the raw record gives it, or its own."""
    sent = event(properties={"revenue": "x"})
    value = {"batch": [event(), sent]} if in_batch else sent
    (dead_letter,) = dead_letters_of(raw(value))
    line = line_of(dead_letter, ID, reveal=True)
    edited = read_line(line.replace(b'"revenue":"x"', b'"revenue":7')).dead_letter
    lenient = ContractSettings.model_validate({"rules": {"revenue_invalid": "warn"}})
    replayed = Processor(lenient, IDENTITY).process(raw(value), NOW)[-1]
    (output,) = reprocessor().outputs(edited, NOW, edited.value)
    ids = [json.loads(each.value or b"")["messageId"] for each in (output, replayed)]
    assert ids[0] == ids[1]
    own = line.replace(b'"revenue":"x"}', b'"revenue":7},"messageId":"m"')
    assert b'"messageId":"m"' in (read_line(own).dead_letter.value or b"")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "is not a dead letter that `dlq export` wrote: Input data was truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `dead_letter`"),
        (_edited({"masked": None}), "masked"),
        (_edited({"dead_letter": "dead/0"}), "'dead/0' is not topic/partition/offset"),
        (_edited({"dead_letter": "dead/0/1/2"}), "is not topic/partition/offset"),
        (_edited({"encoding": "hex", "value": "ff"}), "encoding 'hex' is not one of"),
        (_edited({"encoding": "base64", "value": "/w"}), "Incorrect padding"),
        (_edited({"encoding": "base64", "value": "/*w=="}), "Only base64 data"),
        (_edited({"key": "k"}), "key"),
        (b"\xff", "is not a dead letter"),
        (b"[" * 100_000, "is not a dead letter"),
        (_edited({}).replace(b'"n":1', b'"n":"\\ud800"'), "is not a dead letter"),
    ],
)
def test_lines_that_are_no_dead_letters(text: bytes, said: str) -> None:
    """A line that is not an exported dead letter is rejected in a sentence."""
    with pytest.raises(ExportError, match=said.replace("[", r"\[")):
        read_line(text)


def test_file_is_read_in_order() -> None:
    """Dead letters are read in order, blank lines are skipped, and a bad line is named."""
    first, second = (line_of(dead_letter_of({"event": name}), ID, reveal=True) for name in "AB")
    # With the byte-order mark that editors of Windows put in front.
    text = b"\xef\xbb\xbf" + b"\n".join([first, b" ", second, b"x"])
    source = Input("export.ndjson", BytesIO(text))
    found = read_dead_letters(source)
    assert [next(found).dead_letter.event, next(found).dead_letter.event] == ["A", "B"]
    with pytest.raises(ExportError, match=r"^export\.ndjson:4: is not a dead letter"):
        next(found)


def test_line_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is too long is rejected, and not taken for a dead letter that is cut off."""
    monkeypatch.setattr("pipeline.files.lines.LONGEST_LINE", 1000)
    line = line_of(dead_letter_of({"event": "A" * 1000}), ID, reveal=True)
    with pytest.raises(ExportError, match=rf"^export\.ndjson:1: has {len(line):,} bytes, and a"):
        next(read_dead_letters(Input("export.ndjson", BytesIO(line))))
