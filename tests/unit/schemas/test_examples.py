"""The example files: each has the verdict that its place says, by schema and program alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from pipeline.core.reasons import Reason, WarningCode
from pipeline.core.record import Role
from tests.support import dead_letter_of, only, process, read
from tests.unit.schemas.published import EXAMPLES, TEXTS, accepts, accepts_with_floats, load

IDENTIFY_RULE: Final = [{"event": "Button Clicked"}]
FILES: Final = {
    kind: sorted((EXAMPLES / kind).iterdir())
    for kind in ("valid", "invalid", "batch", "enriched", "identify")
}
EXPECTED: Final[dict[str, list[str]]] = json.loads((EXAMPLES / "expected.json").read_bytes())
UNSAYABLE: Final = {
    *(Reason.NULL_VALUE, Reason.EMPTY_VALUE, Reason.INVALID_UTF8, Reason.INVALID_JSON),
    *(Reason.TOO_DEEP, Reason.RECORD_TOO_LARGE, Reason.EVENT_TOO_LARGE),
    *(Reason.BATCH_DUPLICATED, Reason.BATCH_TOO_LARGE, Reason.ENRICHED_TOO_LARGE),
    *(
        Reason.CONTEXT_FIELD_TYPE,
        Reason.TRAITS_NOT_OBJECT,
        Reason.VALUE_INVALID,
        Reason.PROCESSING_ERROR,
        Reason.INVALID_HEADERS,
        Reason.TIMESTAMP_REFUSED,
        Reason.RECORD_REFUSED,
        Reason.INVALID_AVRO,
        Reason.SCHEMA_UNKNOWN,
    ),
}
"""Reasons that no example can have: no JSON, limits, rules that only warn, a bug of ours, what
only a broker refuses, framed records."""

OTHER_WARNINGS: Final = {
    *(WarningCode.MORE_THAN_NINE_DECIMALS, WarningCode.REVENUE_INVALID),
    WarningCode.RECEIVED_AT_UNKNOWN,
}
"""Warnings that depend on a setting, or on a record without a time."""


def _examples(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", FILES[kind], ids=lambda path: path.stem)


def _accepted(text: bytes) -> list[str]:
    """The schemas of what is read that accept a document, in common use and exactly alike."""
    found = [name for name in ("raw", "batch") if accepts(name, load(text))]
    assert found == [name for name in ("raw", "batch") if accepts_with_floats(name, text)]
    return found


@_examples("valid")
def test_valid_events_are_enriched_as_shown(path: Path) -> None:
    """A valid event is accepted, and becomes the enriched example of its name, byte for byte."""
    assert _accepted(path.read_bytes()) == ["raw"]
    output = only(process(path.read_bytes()), Role.ENRICHED)
    shown = msgspec.json.format(output.value or b"", indent=2) + b"\n"
    assert shown == (EXAMPLES / "enriched" / path.name).read_bytes()


@_examples("invalid")
def test_invalid_events_are_rejected_as_expected(path: Path) -> None:
    """An invalid event is accepted by no schema, and rejected for the expected reasons."""
    assert _accepted(path.read_bytes()) == []
    outputs = process(path.read_bytes())
    dead_letters = [dead_letter_of(output) for output in outputs if output.role is Role.DEAD_LETTER]
    assert [broken for dead_letter in dead_letters for broken in dead_letter.broken] == EXPECTED[
        path.stem
    ]


@_examples("batch")
def test_valid_batches_are_accepted(path: Path) -> None:
    """A valid batch is accepted, and each of its items is enriched."""
    assert _accepted(path.read_bytes()) == ["batch"]
    roles = [output.role for output in process(path.read_bytes())]
    assert roles == [Role.ENRICHED] * len(json.loads(path.read_bytes())["batch"])


@_examples("enriched")
def test_enriched_events_can_be_processed_again(path: Path) -> None:
    """An enriched event is accepted, also as a raw event: it can be processed again."""
    assert accepts("enriched", load(path.read_bytes()))
    assert accepts_with_floats("enriched", path.read_bytes())
    assert _accepted(path.read_bytes()) == ["raw"]
    only(process(path.read_bytes()), Role.ENRICHED)


@_examples("identify")
def test_identify_messages_are_made_of_events(path: Path) -> None:
    """An identify message is accepted, and is made of the valid event of the same name."""
    assert accepts("identify", load(path.read_bytes()))
    assert accepts_with_floats("identify", path.read_bytes())
    sent = (EXAMPLES / "valid" / path.name).read_bytes()
    _, message = process(sent, identify=IDENTIFY_RULE)
    assert message.role is Role.IDENTIFY
    assert read(message.value) == read(path.read_bytes())


def test_no_example_is_orphaned() -> None:
    """Every file lies in a folder that a test reads, and has its counterpart."""
    read_here = {path for paths in FILES.values() for path in paths} | {EXAMPLES / "expected.json"}
    assert {path for path in EXAMPLES.rglob("*") if path.is_file()} == read_here
    stems = {kind: [path.stem for path in paths] for kind, paths in FILES.items()}
    assert stems["enriched"] == stems["valid"]
    assert list(EXPECTED) == stems["invalid"]


def test_every_reason_that_can_be_said_has_an_example() -> None:
    """What a sender can get wrong in JSON is shown."""
    shown = {broken.split()[0] for codes in EXPECTED.values() for broken in codes}
    assert shown == {reason.value for reason in Reason} - {reason.value for reason in UNSAYABLE}


def test_every_warning_has_an_example() -> None:
    """What is changed or looks wrong under default settings, in a record with a time, is shown."""
    events = [json.loads(path.read_bytes()) for path in FILES["enriched"]]
    shown = {
        text.split()[0] for event in events for text in event["enrichment"].get("warnings", ())
    }
    assert shown == set(WarningCode) - OTHER_WARNINGS


def test_every_source_of_a_timestamp_has_an_example() -> None:
    """Each value of timestampSource that the schema lists is shown."""
    schema: Any = json.loads(TEXTS["enriched"])
    listed = schema["$defs"]["Enrichment"]["properties"]["timestampSource"]["enum"]
    events = [json.loads(path.read_bytes()) for path in FILES["enriched"]]
    assert {event["enrichment"]["timestampSource"] for event in events} == set(listed)
