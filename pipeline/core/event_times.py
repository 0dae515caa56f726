"""The four times of an event, and Segment's correction of the client's clock (contract §4)."""

from __future__ import annotations

from typing import Final

from msgspec import Raw, ValidationError

from pipeline.core.enriched_event import EnrichedEvent
from pipeline.core.findings import Findings
from pipeline.core.formats import TypedValues
from pipeline.core.members import Members, read_value
from pipeline.core.reasons import WarningCode
from pipeline.core.timestamps import DAY, MIN_MS, Y2000, format_time, read_time

TIMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_TEN_YEARS: Final = 3_653 * DAY

_Time = tuple[int, str]
"""A time: epoch milliseconds and canonical text."""


def set_times(  # noqa: C901  four times the same, unrolled: it runs for every event
    members: Members,
    enriched: EnrichedEvent,
    findings: Findings,
    record_time: int | None,
    typed: TypedValues | None,
) -> tuple[_Time | None, str | None]:
    """Set the four time fields; returns the timestamp and the `timestampSource`.

    Segment's formula, timestamp = receivedAt - (sentAt - originalTimestamp), corrects the error
    of the client's clock.
    """
    get = members.get
    given = original = sent = received = None
    if (value := get("timestamp")) is not None:
        given = _read_time(value, "/timestamp", findings)
    if (value := get("originalTimestamp")) is not None:
        original = _read_time(value, "/originalTimestamp", findings)
    if (value := get("sentAt")) is not None:
        sent = _read_time(value, "/sentAt", findings)
    if (value := get("receivedAt")) is not None:
        received = _read_time(value, "/receivedAt", findings)
    client = given if original is None else original
    if received is None:
        received = _received(record_time, sent, client, findings)
    moment: _Time | None = given
    source: str | None = "given"  # with both times it was corrected upstream
    if given is None or original is None:
        moment, source = _event_time(client, sent, received, findings)
    if moment is not None:
        enriched.timestamp = moment[1]
        if received is not None and (
            moment[0] < Y2000 or not -DAY <= received[0] - moment[0] <= _TEN_YEARS
        ):
            far = _is_far_past(moment[0], received[0])
            code = WarningCode.TIMESTAMP_FAR_PAST if far else WarningCode.TIMESTAMP_IN_FUTURE
            findings.warn(code, "/timestamp")
    if client is not None:
        enriched.original_timestamp = client[1]
    if sent is not None:
        enriched.sent_at = sent[1]
    if received is not None:
        enriched.received_at = received[1]
    if typed is not None:
        typed.timestamp = None if moment is None else moment[0]
        typed.original_timestamp = None if client is None else client[0]
        typed.sent_at = None if sent is None else sent[0]
        typed.received_at = None if received is None else received[0]
    return moment, source


def _read_time(sent: Raw, pointer: str, findings: Findings) -> _Time | None:
    try:
        value = read_value(sent)
    except ValidationError:
        value = sent  # a number of thousands of digits is no time, but no event is rejected for one
    time = read_time(value)
    if time is None and value is not None:
        text = value if type(value) is str else bytes(sent).decode()
        findings.warn_of_unreadable(pointer, text)
    return time


def _received(
    record_time: int | None, sent: _Time | None, client: _Time | None, findings: Findings
) -> _Time | None:
    """Time of receipt of an event without a usable receivedAt; never the wall clock."""
    if record_time is not None:
        return record_time, format_time(record_time)
    if sent is None and client is None:
        findings.warn(WarningCode.RECEIVED_AT_UNKNOWN, "/receivedAt")
    return client if sent is None else sent


def _event_time(
    client: _Time | None, sent: _Time | None, received: _Time | None, findings: Findings
) -> tuple[_Time | None, str | None]:
    """Time of an event that was not corrected upstream, and its `timestampSource`."""
    if client is None:
        return received, None if received is None else "received"
    if sent is None or received is None:
        return client, "original"
    delay = sent[0] - client[0]
    if delay < 0:
        findings.warn(WarningCode.SENT_BEFORE_ORIGINAL, "/sentAt")
        return received, "received"
    moment = received[0] - delay
    if moment < Y2000 or delay > _TEN_YEARS:
        if _is_far_past(client[0], received[0]):
            return client, "original"
        if moment < MIN_MS:
            findings.warn(WarningCode.TIMESTAMP_OUT_OF_RANGE, "/timestamp")
            return received, "received"
    return (moment, format_time(moment)), "corrected"


def _is_far_past(moment: int, received: int) -> bool:
    """Whether an event is so old that its time was probably never set, as in a zero time of Go."""
    return moment < Y2000 or received - moment > _TEN_YEARS
