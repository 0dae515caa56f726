"""Writes the outputs of good events: the enriched event and the identify message (contract §5)."""

from __future__ import annotations

from typing import Final

from pipeline.core.decode import reject
from pipeline.core.encode import encode_event
from pipeline.core.enriched_event import EnrichedEvent
from pipeline.core.findings import Findings
from pipeline.core.formats import Formats, OutputForm, TypedValues
from pipeline.core.headers import TrackHeader
from pipeline.core.members import Members
from pipeline.core.normalise import (
    has_traits,
    identify_message,
    other_members,
    warn_of_write_key,
)
from pipeline.core.origin import sender_headers, without_schema_id
from pipeline.core.policy import Policy
from pipeline.core.reasons import Invalid, Reason, Stage
from pipeline.core.record import Headers, Output, Role, new_tuple
from pipeline.core.sent_event import SentEvent
from pipeline.core.timestamps import read_time
from pipeline.core.validate import TrackEvent
from pipeline.core.write_keys import may_have_url_with_key

# Globals are found faster than members of an enum.
_ENRICHED: Final = Role.ENRICHED
SOURCE: Final = TrackHeader.SOURCE.value
UNKNOWN_TIME: Final = 1
"""Kafka timestamp of an output whose time is not known: the client takes 0 for "now"."""


class OutputWriter:
    """Turns enriched events into outputs, in the formats and with the headers given."""

    def __init__(
        self, formats: Formats, headers: list[tuple[str, bytes | None]], policy: Policy
    ) -> None:
        self._enriched, self._identify = formats.enriched, formats.identify
        self._headers = headers
        self._policy = policy

    def write(  # noqa: PLR0913, PLR0917  what is known about a good event
        self,
        sent: SentEvent,
        members: Members,
        track: TrackEvent,
        enriched: EnrichedEvent,
        typed: TypedValues | None,
        findings: Findings,
        now: int,
    ) -> tuple[Output, ...] | Invalid:
        """The enriched event, with an identify message by rule; a rejection when it is too large.

        `typed` is None when outputs are plain JSON.
        """
        record, origin, _original, _envelope, text, _changed = sent
        _value, key, headers, _timestamp, _topic, partition, _offset = record
        policy, form = self._policy, self._enriched
        others = other_members(members, text, policy)
        value = (
            encode_event(enriched, others)
            if typed is None
            else _written(form, enriched, others, typed)
        )
        if (
            may_have_url_with_key(value)
            and not policy.keep_write_key
            and warn_of_write_key(enriched, others, findings)
        ):
            value = _written(form, enriched, others, typed)
        size = len(value) + (len(key) if key else 0)
        if headers:
            headers = without_schema_id(sender_headers(headers))
            size += sum(len(name) + len(each or b"") for name, each in headers)
        if size > policy.limits.max_output_bytes:
            detail = f"{len(value)} bytes of enriched event, over limits.max_output_bytes"
            return reject(Reason.ENRICHED_TOO_LARGE, detail, Stage.ENCODE)
        time = origin.timestamp or _kafka_time(enriched, now)
        common: Headers = [*headers, (SOURCE, origin.source().encode()), *self._headers]
        own = common if form is None else [*common, *form.headers]
        output = new_tuple(Output, (_ENRICHED, value, key, own, time, partition, "", track.revenue))
        if policy.identify_events and has_traits(track.traits) and policy.identifies(track.name):
            form = self._identify
            own = common if form is None else [*common, *form.headers]
            message = _written(form, identify_message(enriched), b"", typed)
            return output, output._replace(
                role=Role.IDENTIFY, value=message, headers=own, revenue=None
            )
        return (output,)


def _written(
    form: OutputForm | None, event: EnrichedEvent, others: bytes, typed: TypedValues | None
) -> bytes:
    """The value of an output in its form; JSON without one."""
    if form is None or typed is None:
        return encode_event(event, others)
    return form.write(event, others, typed)


def _kafka_time(enriched: EnrichedEvent, now: int) -> int:
    """Kafka timestamp of an event that was read without one."""
    received = read_time(enriched.received_at)
    return received[0] if received is not None and 0 < received[0] <= now else UNKNOWN_TIME
