"""Dead letters of every dialect, and headers of nobody's, read in our words."""

from __future__ import annotations

from typing import Any, Final

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.core.coordinates import NO_ITEM
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Headers, Role
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.header_formats.formats import FOREIGN as TABLE
from pipeline.dlq.reprocess import Again, as_raw
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
    letter_of,
    our_headers,
)

DIALECTS: Final = pytest.mark.parametrize("name", FOREIGN)
PREFIXED: Final = {dialect.name for dialect in TABLE if dialect.prefixes}


def _said(letter: DeadLetter) -> Foreign:
    return Foreign(
        added=(),
        reason=letter.reason,
        detail=letter.problems[0].detail,
        stage=letter.stage,
        group=letter.said(DlqHeader.GROUP),
        attempt=letter.attempt,
        source=letter.source.text() if letter.source else None,
        source_timestamp=letter.source_timestamp,
    )


@DIALECTS
def test_each_dialect_says_the_same_things(name: str) -> None:
    """Reason, message, stage, group, attempts, coordinates and time, wherever they are told."""
    letter = letter_of([*SENDERS, *FOREIGN[name].added])
    assert letter.dialect == name
    assert _said(letter) == FOREIGN[name]._replace(added=())
    assert [(p.code, p.pointer) for p in letter.problems] == [(FOREIGN[name].reason, "")]


@DIALECTS
def test_what_a_dialect_adds_is_not_the_senders(name: str) -> None:
    """The sender's headers are left in their order, also those that are named alike."""
    alike = [(f"my.{each}", b"1") for each, _ in FOREIGN[name].added]
    longer = [] if name in PREFIXED else [(f"{each}_2", b"2") for each, _ in FOREIGN[name].added]
    senders = [*SENDERS, *alike, *longer]
    assert letter_of([*senders, *FOREIGN[name].added]).headers == senders


def test_every_dialect_has_a_sample() -> None:
    """None is in the table that no test reads."""
    assert [dialect.name for dialect in TABLE] == list(FOREIGN)


@DIALECTS
def test_raw_record_of_a_foreign_letter(name: str) -> None:
    """Value, key and the sender's headers, at the original coordinates when they are told."""
    letter = letter_of([*SENDERS, *FOREIGN[name].added])
    record = as_raw(letter)
    assert (record.value, record.key) == (VALUE, b"key")
    place = f"{record.topic}/{record.partition}/{record.offset}"
    assert place == (FOREIGN[name].source or "letters/1/9")
    assert record.timestamp == FOREIGN[name].source_timestamp
    made = dict(record.headers[len(SENDERS) :])
    assert tuple(record.headers[: len(SENDERS)]) == SENDERS
    assert made.pop(TrackHeader.ORIGIN) == place.encode()
    assert made.pop(DlqHeader.ATTEMPT) == str(FOREIGN[name].attempt).encode()
    assert set(made) <= {TrackHeader.ORIGIN_TIMESTAMP}


def test_foreign_letter_that_passes_now() -> None:
    """It is enriched as if it had come from its own topic; only the sender's headers go on."""
    again = Again(ContractSettings(), IDENTITY)
    letter = letter_of([*SENDERS, *connect()])
    output = only(again.outputs(letter, NOW, letter.value), Role.ENRICHED)
    headers = dict(output.headers)
    assert headers[TrackHeader.SOURCE] == b"shop.raw/3/41"
    assert output.timestamp == SENT
    assert not any(name.startswith("__connect") for name in headers)


def test_last_failure_counts() -> None:
    """Connect appends at a second failure; the headers of both are removed."""
    second = connect(offset=b"99", exception=b"org.example.Second", message=b"again")
    letter = letter_of([*SENDERS, *connect(), *second])
    assert letter.source == ("shop.raw", 3, 99, NO_ITEM)
    assert (letter.reason, letter.problems[0].detail) == ("Second", "again")
    assert letter.headers == list(SENDERS)


@DIALECTS
def test_last_writer_counts(name: str) -> None:
    """A letter that failed once more elsewhere tells of that; what was before is the sender's."""
    before: Headers = SPRING if name != "spring" else connect()
    letter = letter_of([*before, *FOREIGN[name].added, ("traceparent", b"00-1")])
    assert letter.dialect == name
    assert letter.headers == [*before, ("traceparent", b"00-1")]


@pytest.mark.parametrize("connect_headers", [False, True])
@DIALECTS
def test_ours_is_ours(name: str, *, connect_headers: bool) -> None:
    """A sender's headers of another system, and one appended by a tool, make it nobody else's."""
    settings: Any = {"dead_letter": {"connect_headers": connect_headers}}
    for behind in ([], [("traceparent", b"00-1")]):
        letter = letter_of([*our_headers(FOREIGN[name].added, **settings), *behind])
        assert (letter.dialect, letter.reason) == ("track", "invalid_json")
        assert letter.source == ("track.raw", 3, 42, NO_ITEM)


@pytest.mark.parametrize("connect_headers", [False, True])
@DIALECTS
def test_ours_can_not_be_forged(name: str, *, connect_headers: bool) -> None:
    """Headers like ours that a sender wrote do not replace the coordinates of a foreign letter."""
    settings: Any = {"dead_letter": {"connect_headers": connect_headers}}
    letter = letter_of([*our_headers(**settings), *FOREIGN[name].added])
    assert letter.dialect == name
    assert _said(letter) == FOREIGN[name]._replace(added=())
    assert not any(each.startswith(("dlq.", "track.")) for each, _ in letter.headers)


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
def test_simple_name(written: bytes | None, reason: str) -> None:
    """The reason is the exception's simple name, and in one line whatever it is."""
    headers = [*connect(), ("__connect.errors.exception.class.name", written)]
    letter = letter_of(headers)
    assert letter.reason == letter.problems[0].code == reason


def test_messages_are_cut() -> None:
    """A stack trace in a message does not fill the memory of whoever groups messages."""
    letter = letter_of(connect(message=TRACE.encode() * 20))
    assert letter.problems[0].detail.startswith(r"\n\tat org.example")
    assert len(letter.problems[0].detail) < 1200
