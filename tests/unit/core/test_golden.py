"""The complete examples of the published specifications, in and out byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Role
from tests.support import NOW, TIMESTAMP, only, process, raw, reject

GOLDEN = Path(__file__).parent / "golden"


def _bytes(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", ["course_clicked", "button_clicked", "clock_corrected"])
def test_examples_are_enriched_byte_for_byte(name: str) -> None:
    """The example becomes exactly the expected bytes, with its key and Kafka timestamp."""
    output = only(process(raw(_bytes(f"{name}.raw"))), Role.ENRICHED)
    assert output.value == _bytes(f"{name}.enriched")
    assert (output.key, output.timestamp, output.partition) == (b"key", TIMESTAMP, 3)


def test_button_clicked_gives_an_identify_message_by_rule() -> None:
    """With the rule, "Button Clicked" gives the same enriched bytes and the identify message."""
    outputs = process(raw(_bytes("button_clicked.raw")), identify=[{"event": "Button Clicked"}])
    assert [output.role for output in outputs] == [Role.ENRICHED, Role.IDENTIFY]
    assert outputs[0].value == _bytes("button_clicked.enriched")
    assert outputs[1].value == _bytes("button_clicked.identify")
    assert outputs[1]._replace(role=Role.ENRICHED, value=b"") == outputs[0]._replace(value=b"")


def test_payload_of_a_typical_call() -> None:
    """The specification's shortened payload lacks the common fields, and is rejected."""
    dead_letter = reject(raw(_bytes("user_registered.raw")))
    assert dead_letter.output.value == _bytes("user_registered.raw")
    assert (dead_letter.output.key, dead_letter.output.timestamp, dead_letter.output.partition) == (
        b"key",
        NOW,
        3,
    )
    assert dead_letter.broken == ["no_user_anon_id"]
    assert dead_letter.output.reason == "no_user_anon_id"
    expected: dict[str, str] = json.loads(_bytes("user_registered.dead_letter"))
    described = {DlqHeader.REASONS, TrackHeader.CONTRACT}
    assert {
        name: text for name, text in dead_letter.headers.items() if name not in described
    } == expected
    assert dead_letter.headers[TrackHeader.CONTRACT] == ContractSettings().contract()


def test_clock_formula_works_on_kafkas_time_too() -> None:
    """Without a receivedAt the record's Kafka timestamp takes its place in the formula."""
    event = json.loads(_bytes("clock_corrected.raw"))
    del event["receivedAt"]
    found = json.loads(only(process(raw(event)), Role.ENRICHED).value or b"")
    assert found["timestamp"] == "2015-12-12T19:11:01.283Z"
    assert found["receivedAt"] == "2015-12-12T19:11:01.300Z"


def test_every_golden_file_is_used() -> None:
    """No golden file is left unread."""
    used = Path(__file__).read_text(encoding="utf-8")
    stems = {path.name.split(".")[0] for path in GOLDEN.iterdir()}
    assert [stem for stem in stems if f'"{stem}' not in used] == []
