"""Processing of one event, step by step: the page to read first.

    Record ─► decode ─► split ─► validate ─► normalise ─► encode ─► Enriched
                └─────────┴─────────┴────────────┴───────────┴───► DeadLetter, Other or Dropped
                                                                   plus Identify, by rule

Every event has exactly one outcome. A rejection is a value (`Invalid`) that is returned in place of
the good result: nothing here raises because of the contents of a record, and nothing here knows the
clock, the network or the environment.
"""

from __future__ import annotations

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
from pipeline.core.envelope import LEVELS, Envelope, open_envelope, split_unreadable
from pipeline.core.findings import Findings
from pipeline.core.formats import PLAIN_JSON, Formats, TypedValues
from pipeline.core.headers import TrackHeader
from pipeline.core.members import Members
from pipeline.core.normalise import (
    normalise,
)
from pipeline.core.origin import Origin, read_origin, sender_headers, without_schema_id
from pipeline.core.other_calls import is_other_call
from pipeline.core.output_writer import SOURCE, UNKNOWN_TIME, OutputWriter
from pipeline.core.policy import Policy
from pipeline.core.reasons import Invalid, Reason, Stage, WarningCode
from pipeline.core.record import (
    INVALID_HEADERS,
    Headers,
    ItemOutputs,
    Output,
    Record,
    Role,
    new_tuple,
    output_bytes,
)
from pipeline.core.reserved import rejected_revenue
from pipeline.core.sent_event import SentEvent
from pipeline.core.validate import validate


@mypyc_attr(allow_interpreted_subclasses=True)
class Processor:
    """The contract under given settings. It is pure and deterministic.

    `formats` says how records are read and outputs written when they are not plain JSON.
    `trust_origin` accepts origin headers whatever the settings say, for records whose headers this
    program has made itself.
    """

    def __init__(
        self,
        settings: ContractSettings,
        identity: Identity,
        formats: Formats = PLAIN_JSON,
        *,
        trust_origin: bool = False,
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
        self._read = formats.read
        self._is_typed = formats.enriched is not None
        self._writer = OutputWriter(formats, self._headers, self._policy)

    def text(self, record: Record) -> bytes | None:
        """The value of a record as JSON text, whatever its format; None when it can't be read."""
        if self._read is None or not record.value:
            return record.value
        text = self._read(record.value, record.headers)
        return None if type(text) is Invalid else text

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        """The outputs of one record: one outcome per event, and identify messages.

        `now` (epoch ms) is only used for Kafka timestamps and the `failed.at` headers. Raises
        TransportError when the schema of the record can't be looked up now.
        """
        limits = self._policy.limits
        origin = read_origin(record, accept_headers=self._accept_headers)
        value = self._read_value(record)
        if type(value) is Invalid:
            return (self._reject_record(record, origin, value, now),)
        text = value or b""
        sent = new_tuple(SentEvent, (record, origin, record.value or b"", None, text, ()))
        members = read_record(value, limits.max_depth)
        if type(members) is Invalid:
            envelope = split_unreadable(
                text.removeprefix(BYTE_ORDER_MARK),
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

    def _read_value(self, record: Record) -> bytes | Invalid | None:
        """The value of a record as JSON text, whatever its format, or why it is not read."""
        value, headers, limit = record.value, record.headers, self._policy.limits.max_record_bytes
        if headers == INVALID_HEADERS:
            return reject(Reason.INVALID_HEADERS, "a header name is not UTF-8; no header was kept")
        if limit is not None and value is not None and len(value) > limit:
            detail = f"{len(value)} bytes, over limits.max_record_bytes"
            return reject(Reason.RECORD_TOO_LARGE, detail)
        return self._read(value, headers) if self._read is not None and value else value

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

    def _event(self, sent: SentEvent, members: Members, now: int) -> tuple[Output, ...]:
        """Outputs of one event: normally its enriched event, with an identify message by rule."""
        _record, origin, original, _envelope, text, changed = sent
        policy = self._policy
        if len(text) > policy.limits.max_event_bytes:
            detail = f"{len(text)} bytes, over limits.max_event_bytes"
            return (self._reject(sent, reject(Reason.EVENT_TOO_LARGE, detail), now, members),)
        if policy.takes_other_calls and is_other_call(members):
            return (self._other_call(sent, now),)
        findings = Findings()
        typed = TypedValues() if self._is_typed else None
        for pointer in changed:
            findings.warn(WarningCode.LONE_SURROGATE_REPLACED, pointer)
        try:
            track = validate(members, findings, policy)
            if type(track) is Invalid:
                return (self._reject(sent, track, now, members),)
            enriched = normalise(members, track, findings, policy, origin, original, typed)
        except ValidationError:
            invalid = reject(Reason.INVALID_JSON, "an integer has too many digits to be read")
            return (self._reject(sent, invalid, now, members),)
        outputs = self._writer.write(sent, members, track, enriched, typed, findings, now)
        return (self._reject(sent, outputs, now, members),) if type(outputs) is Invalid else outputs

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
            self._carried_headers(sent),
            record.partition,
            sent.origin,
            invalid,
            members,
        )
        dead_letter = self._dead_letters.write(rejected, now)
        revenue = None if members is None else rejected_revenue(members, self._policy)
        return dead_letter if revenue is None else dead_letter._replace(revenue=revenue)

    def _carried_headers(self, sent: SentEvent) -> Headers:
        """Headers for `SentEvent.carried_value`: an item of a framed batch call is plain JSON."""
        headers = sender_headers(sent.record.headers)
        return without_schema_id(headers) if self._read and sent.envelope else headers

    def _other_call(self, sent: SentEvent, now: int) -> Output:
        """The record as it was read, with our headers; or only a count when a setting says so."""
        record, origin = sent.record, sent.origin
        if not self._policy.forwards_other_calls:
            reason = Reason.UNSUPPORTED_TYPE.value
            return Output(Role.DROPPED, None, None, (), now, record.partition, reason)
        source = (SOURCE, origin.source().encode())
        headers = [*self._carried_headers(sent), source, *self._headers]
        time = origin.timestamp or UNKNOWN_TIME
        value = sent.carried_value()
        return Output(Role.OTHER, value, record.key, headers, time, record.partition)
