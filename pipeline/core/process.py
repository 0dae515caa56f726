"""Processing of one event, step by step: the page to read first.

    Record ─► decode ─► split ─► validate ─► normalise ─► encode ─► Enriched
                └─────────┴─────────┴────────────┴───────────┴───► DeadLetter, Other or Dropped
                                                                   plus Identify, by rule

Every event has exactly one outcome. A rejection is a value (`Invalid`) that is returned in place of
the good result: nothing here raises because of the contents of a record, and nothing here knows the
clock, the network or the environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import ValidationError
from mypy_extensions import mypyc_attr

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.dead_letter import DeadLetterWriter, RejectedEvent
from pipeline.core.decode import (
    BYTE_ORDER_MARK,
    read_event,
    read_record,
    read_repaired,
    reject,
    too_deep,
)
from pipeline.core.encode import encode_event
from pipeline.core.enriched_event import EnrichedEvent
from pipeline.core.envelope import LEVELS, Envelope, open_envelope, split_unreadable
from pipeline.core.findings import Findings
from pipeline.core.headers import TrackHeader
from pipeline.core.members import Members
from pipeline.core.normalise import (
    has_traits,
    identify_message,
    normalise,
    other_members,
    warn_of_write_key,
)
from pipeline.core.origin import Origin, read_origin, sender_headers
from pipeline.core.other_calls import is_other_call
from pipeline.core.policy import Policy
from pipeline.core.reasons import Invalid, Reason, Stage, WarningCode
from pipeline.core.record import (
    INVALID_HEADERS,
    ItemOutputs,
    Output,
    Record,
    Role,
    new_tuple,
    output_bytes,
)
from pipeline.core.reserved import rejected_revenue
from pipeline.core.timestamps import read_time
from pipeline.core.validate import validate
from pipeline.core.write_keys import may_have_url_with_key

# Globals are found faster than members of an enum.
_ENRICHED: Final = Role.ENRICHED
_SOURCE: Final = TrackHeader.SOURCE.value
UNKNOWN_TIME: Final = 1
"""Kafka timestamp of an output whose time is not known: the client takes 0 for "now"."""


class SentEvent(NamedTuple):
    """One event of a record, as it was sent."""

    record: Record
    origin: Origin
    original: bytes
    """The event's own bytes."""
    envelope: Envelope | None
    """The envelope that is kept around it; None when it has all of the record."""
    text: bytes
    """The event's bytes as they were read, which is without halves of surrogate pairs."""
    changed: Sequence[str]
    """JSON Pointers of strings that had such halves."""

    def carried_value(self) -> bytes | None:
        """What a dead letter or a forwarded call holds: the record, or the envelope with it."""
        return self.envelope.around(self.original) if self.envelope else self.record.value


@mypyc_attr(allow_interpreted_subclasses=True)
class Processor:
    """The contract under given settings. It is pure and deterministic.

    `trust_origin` accepts origin headers whatever the settings say, for records whose headers this
    program has made itself.
    """

    def __init__(
        self, settings: ContractSettings, identity: Identity, *, trust_origin: bool = False
    ) -> None:
        self.contract = settings.contract()
        self._policy = Policy.from_settings(settings)
        self._accept_headers = trust_origin or settings.accept_origin_headers
        self._dead_letters = DeadLetterWriter(
            identity, self.contract, connect_headers=settings.dead_letter.connect_headers
        )
        self._headers: list[tuple[str, bytes | None]] = [
            (TrackHeader.CONTRACT.value, self.contract.encode())
        ]
        if identity.replay:
            self._headers.append((TrackHeader.REPLAY.value, identity.replay.encode()))

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        """The outputs of one record: one outcome per event, and identify messages.

        `now` (epoch ms) is only used for Kafka timestamps and the `failed.at` headers.
        """
        value, limits = record.value, self._policy.limits
        origin = read_origin(record, accept_headers=self._accept_headers)
        if record.headers == INVALID_HEADERS:
            invalid = reject(
                Reason.INVALID_HEADERS, "a header name is not UTF-8; no header was kept"
            )
            return (self._reject_record(record, origin, invalid, now),)
        if limits.max_record_bytes is not None and len(value or b"") > limits.max_record_bytes:
            detail = f"{len(value or b'')} bytes, over limits.max_record_bytes"
            invalid = reject(Reason.RECORD_TOO_LARGE, detail)
            return (self._reject_record(record, origin, invalid, now),)
        original = value or b""
        sent = new_tuple(SentEvent, (record, origin, original, None, original, ()))
        members = read_record(value, limits.max_depth)
        if type(members) is Invalid:
            envelope = split_unreadable(
                original.removeprefix(BYTE_ORDER_MARK),
                limits.max_depth,
                repairs=self._policy.replaces_surrogates,
            )
            if envelope is not None:
                return self._items(record, origin, envelope, now)
            sent, members = self._repaired(sent, limits.max_depth, members)
            if type(members) is Invalid:
                return (self._reject(sent, members, now),)
        if "batch" in members:
            return self._batch(sent, members, now)
        return self._event(sent, members, now)

    def crashed(self, record: Record, now: int) -> Output:
        """Dead letter of a record on which `process` has raised, which is a bug of ours."""
        detail = "a bug in this program prevented processing; its log has the traceback"
        return self.set_aside(record, now, Reason.PROCESSING_ERROR, Stage.CRASH, detail)

    def set_aside(
        self, record: Record, now: int, reason: Reason, stage: Stage, detail: str
    ) -> Output:
        """Dead letter of a whole record for a reason outside of the rules; it is not decoded."""
        origin = read_origin(record, accept_headers=self._accept_headers)
        return self._reject_record(record, origin, reject(reason, detail, stage), now)

    def _batch(self, sent: SentEvent, members: Members, now: int) -> tuple[Output, ...]:
        """Outputs of the items of an envelope, or of one event that has a field `batch`."""
        text, max_depth = sent.text.removeprefix(BYTE_ORDER_MARK), self._policy.limits.max_depth
        repairs = self._policy.replaces_surrogates
        envelope = open_envelope(text, members, max_depth, repairs=repairs)
        if envelope is None:
            deep = too_deep(text, max_depth)
            return (self._reject(sent, deep, now),) if deep else self._event(sent, members, now)
        if type(envelope) is Invalid:
            return (self._reject(sent, envelope, now),)
        return self._items(sent.record, sent.origin, envelope, now)

    def _items(
        self, record: Record, origin: Origin, envelope: Envelope, now: int
    ) -> tuple[Output, ...]:
        outputs: list[Output] = []
        total, limits = 0, self._policy.limits
        if len(envelope.items) > limits.max_batch_items:
            detail = (
                f"{len(envelope.items):,} items, over limits.max_batch_items "
                f"({limits.max_batch_items:,}): send smaller batches, or raise it and redrive"
            )
            invalid = reject(Reason.BATCH_TOO_LARGE, detail, Stage.SPLIT)
            return (self._reject_record(record, origin, invalid, now),)
        # A redriven envelope of one item keeps the index that the item had first.
        single = len(envelope.items) == 1
        for index, item in enumerate(envelope.items):
            own = origin if single and origin.item is not None else origin._replace(item=index)
            around = None if single else envelope
            sent = SentEvent(record, own, item, around, item, envelope.changed)
            members = read_event(item, limits.max_depth - LEVELS)
            if type(members) is Invalid:
                sent, members = self._repaired(sent, limits.max_depth - LEVELS, members)
            produced: tuple[Output, ...]
            if type(members) is Invalid:
                produced = (self._reject(sent, members, now),)
            else:
                # Without an output nothing would bound the work of merging a large context.
                if not (self._policy.takes_other_calls and is_other_call(members)):
                    envelope.merge(members)
                produced = self._event(sent, members, now)
            outputs += produced
            total += sum(map(output_bytes, produced))
            if total > limits.max_batch_output_bytes:
                detail = "the items together exceed limits.max_batch_output_bytes"
                invalid = reject(Reason.BATCH_TOO_LARGE, detail, Stage.SPLIT)
                return (self._reject_record(record, origin, invalid, now),)
        return ItemOutputs(outputs)

    def _repaired(
        self, sent: SentEvent, max_depth: int, invalid: Invalid
    ) -> tuple[SentEvent, Members | Invalid]:
        """An event that can't be read as it is, with its halves of surrogate pairs replaced."""
        if not self._policy.replaces_surrogates:
            return sent, invalid
        repaired = read_repaired(sent.original, max_depth, invalid)
        if type(repaired) is Invalid:
            return sent, repaired
        text, members, changed = repaired
        return sent._replace(text=text, changed=[*changed, *sent.changed]), members

    def _event(  # noqa: PLR0911  one for each verdict
        self, sent: SentEvent, members: Members, now: int
    ) -> tuple[Output, ...]:
        """Outputs of one event: normally its enriched event, with an identify message by rule."""
        record, origin, original, _envelope, text, changed = sent
        policy = self._policy
        if len(original) > policy.limits.max_event_bytes:
            detail = f"{len(original)} bytes, over limits.max_event_bytes"
            return (self._reject(sent, reject(Reason.EVENT_TOO_LARGE, detail), now, members),)
        if policy.takes_other_calls and is_other_call(members):
            return (self._other_call(sent, now),)
        findings = Findings()
        for pointer in changed:
            findings.warn(WarningCode.LONE_SURROGATE_REPLACED, pointer)
        try:
            track = validate(members, findings, policy)
            if type(track) is Invalid:
                return (self._reject(sent, track, now, members),)
            enriched = normalise(members, track, findings, policy, origin, original)
        except ValidationError:
            invalid = reject(Reason.INVALID_JSON, "an integer has too many digits to be read")
            return (self._reject(sent, invalid, now, members),)
        others = other_members(members, text, policy)
        value = encode_event(enriched, others)
        if (
            may_have_url_with_key(value)
            and not policy.keep_write_key
            and warn_of_write_key(enriched, value, findings)
        ):
            value = encode_event(enriched, others)
        _value, key, headers, _timestamp, _topic, partition, _offset = record
        size = len(value) + (len(key) if key else 0)
        if headers:
            headers = sender_headers(headers)
            size += sum(len(name) + len(sent or b"") for name, sent in headers)
        if size > policy.limits.max_output_bytes:
            detail = f"{len(value)} bytes of enriched event, over limits.max_output_bytes"
            invalid = reject(Reason.ENRICHED_TOO_LARGE, detail, Stage.ENCODE)
            return (self._reject(sent, invalid, now, members),)
        time = origin.timestamp or _kafka_time(enriched, now)
        headers = [*headers, (_SOURCE, origin.source().encode()), *self._headers]
        output = new_tuple(
            Output, (_ENRICHED, value, key, headers, time, partition, "", track.revenue)
        )
        if policy.identify_events and has_traits(track.traits) and policy.identifies(track.name):
            message = encode_event(identify_message(enriched), b"")
            return output, output._replace(role=Role.IDENTIFY, value=message, revenue=None)
        return (output,)

    def _reject_record(self, record: Record, origin: Origin, invalid: Invalid, now: int) -> Output:
        """Dead letter of a record as a whole."""
        return self._reject(SentEvent(record, origin, b"", None, b"", ()), invalid, now)

    def _reject(
        self, sent: SentEvent, invalid: Invalid, now: int, members: Members | None = None
    ) -> Output:
        """Dead letter of a rejected event."""
        record = sent.record
        rejected = RejectedEvent(
            sent.carried_value(),
            record.key,
            sender_headers(record.headers),
            record.partition,
            sent.origin,
            invalid,
            members,
        )
        dead_letter = self._dead_letters.write(rejected, now)
        revenue = None if members is None else rejected_revenue(members, self._policy)
        return dead_letter if revenue is None else dead_letter._replace(revenue=revenue)

    def _other_call(self, sent: SentEvent, now: int) -> Output:
        """The record as it was read, with our headers; or only a count when a setting says so."""
        record, origin = sent.record, sent.origin
        if not self._policy.forwards_other_calls:
            reason = Reason.UNSUPPORTED_TYPE.value
            return Output(Role.DROPPED, None, None, (), now, record.partition, reason)
        source = (_SOURCE, origin.source().encode())
        headers = [*sender_headers(record.headers), source, *self._headers]
        time = origin.timestamp or UNKNOWN_TIME
        value = sent.carried_value()
        return Output(Role.OTHER, value, record.key, headers, time, record.partition)


def _kafka_time(enriched: EnrichedEvent, now: int) -> int:
    """Kafka timestamp of an event that was read without one."""
    received = read_time(enriched.received_at)
    return received[0] if received is not None and 0 < received[0] <= now else UNKNOWN_TIME
