"""Dead letters in every header format, and with unknown headers, are read under our names."""

from __future__ import annotations

from typing import Any, Final

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.core.coordinates import NO_ITEM
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Headers, Role
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.header_formats.formats import FOREIGN as TABLE
from pipeline.dlq.reprocess import Reprocessor, as_raw
from tests.support import IDENTITY, NOW, only
from tests.unit.dlq.foreign import (
    FOREIGN,
    SENDERS,
    SENT,
    SPRING,
    TRACE,
    VALUE,
    Foreign,
    connect,
    dead_letter_of,
    our_headers,
)

FORMATS: Final = pytest.mark.parametrize("name", FOREIGN)
PREFIXED: Final = {header_format.name for header_format in TABLE if header_format.prefixes}


def _said(dead_letter: DeadLetter) -> Foreign:
    return Foreign(
        added=(),
        reason=dead_letter.reason,
        detail=dead_letter.problems[0].detail,
        stage=dead_letter.stage,
        group=dead_letter.header(DlqHeader.GROUP),
        attempt=dead_letter.attempt,
        source=dead_letter.source.text() if dead_letter.source else None,
        source_timestamp=dead_letter.source_timestamp,
    )


@FORMATS
def test_each_header_format_is_translated(name: str) -> None:
    """Reason, message, stage, group, attempts, coordinates and time are read where stated."""
    dead_letter = dead_letter_of([*SENDERS, *FOREIGN[name].added])
    assert dead_letter.header_format == name
    assert _said(dead_letter) == FOREIGN[name]._replace(added=())
    assert [(p.code, p.pointer) for p in dead_letter.problems] == [(FOREIGN[name].reason, "")]


@FORMATS
def test_what_a_header_format_adds_is_not_the_senders(name: str) -> None:
    """The sender's headers keep their order, also those with similar names."""
    alike = [(f"my.{each}", b"1") for each, _ in FOREIGN[name].added]
    longer = [] if name in PREFIXED else [(f"{each}_2", b"2") for each, _ in FOREIGN[name].added]
    senders = [*SENDERS, *alike, *longer]
    assert dead_letter_of([*senders, *FOREIGN[name].added]).headers == senders


def test_every_header_format_has_a_sample() -> None:
    """Each format in the table is read by a test."""
    assert [header_format.name for header_format in TABLE] == list(FOREIGN)


@FORMATS
def test_raw_record_of_a_foreign_dead_letter(name: str) -> None:
    """The raw record has value, key and the sender's headers, at the original coordinates."""
    dead_letter = dead_letter_of([*SENDERS, *FOREIGN[name].added])
    record = as_raw(dead_letter, dead_letter.value)
    assert (record.value, record.key) == (VALUE, b"key")
    place = f"{record.topic}/{record.partition}/{record.offset}"
    assert place == (FOREIGN[name].source or "dead/1/9")
    assert record.timestamp == FOREIGN[name].source_timestamp
    made = dict(record.headers[len(SENDERS) :])
    assert tuple(record.headers[: len(SENDERS)]) == SENDERS
    assert made.pop(TrackHeader.ORIGIN) == place.encode()
    assert made.pop(DlqHeader.ATTEMPT) == str(FOREIGN[name].attempt).encode()
    assert set(made) - {"track.origin.timestamp"} == {TrackHeader.REDRIVE}


def test_foreign_dead_letter_that_passes_now() -> None:
    """A foreign event is enriched as if from its own topic, with the sender's headers only."""
    reprocessor = Reprocessor(ContractSettings(), IDENTITY)
    dead_letter = dead_letter_of([*SENDERS, *connect()])
    output = only(reprocessor.outputs(dead_letter, NOW, dead_letter.value), Role.ENRICHED)
    headers = dict(output.headers)
    assert headers[TrackHeader.SOURCE] == b"shop.raw/3/41"
    assert output.timestamp == SENT
    assert not any(name.startswith("__connect") for name in headers)


def test_last_failure_counts() -> None:
    """Connect appends headers at a second failure; those of both are removed."""
    second = connect(offset=b"99", exception=b"org.example.Second", message=b"again")
    dead_letter = dead_letter_of([*SENDERS, *connect(), *second])
    assert dead_letter.source == ("shop.raw", 3, 99, NO_ITEM)
    assert (dead_letter.reason, dead_letter.problems[0].detail) == ("Second", "again")
    assert dead_letter.headers == list(SENDERS)


@FORMATS
def test_last_writer_counts(name: str) -> None:
    """A dead letter that failed once more elsewhere states that; older headers are the sender's."""
    before: Headers = SPRING if name != "spring" else connect()
    dead_letter = dead_letter_of([*before, *FOREIGN[name].added, ("traceparent", b"00-1")])
    assert dead_letter.header_format == name
    assert dead_letter.headers == [*before, ("traceparent", b"00-1")]


@pytest.mark.parametrize("connect_headers", [False, True])
@FORMATS
def test_ours_is_ours(name: str, *, connect_headers: bool) -> None:
    """Headers of another system that a sender wrote, or a tool appended, change nothing."""
    settings: Any = {"dead_letter": {"connect_headers": connect_headers}}
    for behind in ([], [("traceparent", b"00-1")]):
        dead_letter = dead_letter_of([*our_headers(FOREIGN[name].added, **settings), *behind])
        assert (dead_letter.header_format, dead_letter.reason) == ("track", "invalid_json")
        assert dead_letter.source == ("track.raw", 3, 42, NO_ITEM)


@pytest.mark.parametrize("connect_headers", [False, True])
@FORMATS
def test_ours_can_not_be_forged(name: str, *, connect_headers: bool) -> None:
    """Headers like ours that a sender wrote do not replace the coordinates of a foreign one."""
    settings: Any = {"dead_letter": {"connect_headers": connect_headers}}
    dead_letter = dead_letter_of([*our_headers(**settings), *FOREIGN[name].added])
    assert dead_letter.header_format == name
    assert _said(dead_letter) == FOREIGN[name]._replace(added=())
    assert not any(each.startswith(("dlq.", "track.")) for each, _ in dead_letter.headers)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b"java.io.IOException", "IOException"),
        (b"a.b.Outer$Inner", "Inner"),
        (b"a.b.Outer$1", "Outer"),
        (b"scala.MatchError$", "MatchError"),
        (b"a.B: text. With.dots", "B"),
        (b"Plain", "Plain"),
        (b"no class, a sentence", "no class, a sentence"),
        (b"line\nend", r"line\nend"),
        (b": ", "unknown"),
        (b"\xff\xfe", "unknown"),
        (b"", "unknown"),
        (None, "unknown"),
        (b"x" * 5000, "x" * 200),
    ],
)
def test_reason_is_a_simple_name(written: bytes | None, reason: str) -> None:
    """The reason is the simple name of the exception, always in one line."""
    headers = [*connect(), ("__connect.errors.exception.class.name", written)]
    dead_letter = dead_letter_of(headers)
    assert dead_letter.reason == dead_letter.problems[0].code == reason


def test_messages_are_cut() -> None:
    """A stack trace in a message does not fill the memory of whoever groups messages."""
    dead_letter = dead_letter_of(connect(message=TRACE.encode() * 20))
    assert dead_letter.problems[0].detail.startswith(r"\n\tat org.example")
    assert len(dead_letter.problems[0].detail) < 1200
