"""Trace contexts in record headers: what is read, and what is chosen."""

from __future__ import annotations

import pytest

from pipeline.core.record import INVALID_HEADERS, Headers, Record
from pipeline.tracing.trace_context import record_contexts

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = b"00f067aa0ba902b7"
PARENT = b"00-%s-%s-01" % (TRACE, SPAN)


def _record(headers: Headers, offset: int = 7) -> Record:
    return Record(b"{}", None, headers, None, "track.raw", 2, offset)


def test_context_of_a_record_is_read_with_its_state() -> None:
    """Ids, flags and state are the sender's; the coordinates are the record's."""
    headers = [("tracestate", b"a=1"), ("traceparent", PARENT), ("tracestate", b"b=2")]
    contexts = record_contexts([_record(headers)], 128)
    assert contexts == ([(int(TRACE, 16), int(SPAN, 16), 1, "a=1,b=2", 2, 7)], 0)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"00",
        b"\xff\xfe",
        b"00-%s-%s-01" % (b"0" * 32, SPAN),
        b"00-%s-%s-01" % (TRACE, b"0" * 16),
        b"00-%s-%s-01" % (TRACE.upper(), SPAN),
        b"ff-%s-%s-01" % (TRACE, SPAN),
        b"00-%s-%s-01-more" % (TRACE, SPAN),
        b"00-%s-%s-1" % (TRACE, SPAN),
        PARENT + b"\n",
        b"01-%s-%s-01-%s" % (TRACE, SPAN, b"x" * 1_000_000),
    ],
)
def test_invalid_context_counts_as_absent(value: bytes | None) -> None:
    """Only a value in exactly W3C's form is a context; nothing is guessed."""
    assert record_contexts([_record([("traceparent", value)])], 128) == ([], 0)


def test_later_version_of_the_header_may_have_more_fields() -> None:
    """W3C asks to read what is known of a later version."""
    headers = [("traceparent", b"01-%s-%s-01-more\n" % (TRACE, SPAN))]
    assert len(record_contexts([_record(headers)], 128).chosen) == 1


def test_last_of_several_headers_counts() -> None:
    """As in Kafka's own lastHeader(): an invalid last one hides a valid first one."""
    last = b"00-%s-%s-00" % (TRACE, SPAN)
    both = record_contexts([_record([("traceparent", PARENT), ("traceparent", last)])], 128)
    assert [each.flags for each in both.chosen] == [0]
    assert not record_contexts([_record([("traceparent", PARENT), ("traceparent", b"")])], 1).chosen


@pytest.mark.parametrize("state", [b"\xff", b"a=" + b"x" * 600, None])
def test_unreadable_state_is_left_out(state: bytes | None) -> None:
    """The context itself is still good."""
    headers = [("traceparent", PARENT), ("tracestate", state)]
    assert [each.state for each in record_contexts([_record(headers)], 128).chosen] == [""]


def test_sampled_contexts_are_chosen_first() -> None:
    """Links to spans that nobody has recorded are worth less; the number left out is known."""
    records = [
        _record([("traceparent", b"00-%032x-%s-%02x" % (1 + n, SPAN, n % 2))], n) for n in range(10)
    ]
    contexts = record_contexts(records, 7)
    assert [each.offset for each in contexts.chosen] == [1, 3, 5, 7, 9, 0, 2]
    assert contexts.omitted == 3


def test_same_context_is_chosen_once() -> None:
    """A sender may write many records within one span."""
    contexts = record_contexts([_record([("traceparent", PARENT)], n) for n in range(5)], 128)
    assert ([each.offset for each in contexts.chosen], contexts.omitted) == ([0], 0)


@pytest.mark.parametrize("headers", [(), INVALID_HEADERS, [("TraceParent", PARENT)]])
def test_record_without_the_header_has_no_context(headers: Headers) -> None:
    """Names of Kafka headers are case-sensitive."""
    assert record_contexts([_record(headers)], 128) == ([], 0)
