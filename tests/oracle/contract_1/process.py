"""Processing of one event, step by step: the page to read first.

    Record ─► decode ─► split ─► validate ─► normalise ─► encode ─► Enriched
                └─────────┴─────────┴────────────┴───────────┴───► DeadLetter (or Dropped)
                                                                   plus Identify, by rule

Every event has exactly one outcome. A rejection is a value (`Invalid`) that is returned in place of
the good result: nothing here raises because of the contents of a record, and nothing here knows the
clock, the network or the environment.
"""

from __future__ import annotations

from typing import Any, Final

from tests.oracle.contract_1.batch import merge
from tests.oracle.contract_1.contract import ContractSettings, Identity
from tests.oracle.contract_1.dead_letter import DeadLetterWriter, RejectedEvent
from tests.oracle.contract_1.decode import Envelope, decode, duplicates_batch, reject, split
from tests.oracle.contract_1.encode import encode_json
from tests.oracle.contract_1.findings import Findings
from tests.oracle.contract_1.headers import TrackHeader
from tests.oracle.contract_1.json_value import JsonValue
from tests.oracle.contract_1.normalise import has_promoted_traits, identify_message, normalise
from tests.oracle.contract_1.origin import Origin, read_origin, sender_headers
from tests.oracle.contract_1.policy import Policy
from tests.oracle.contract_1.reasons import Invalid, Reason, Stage
from tests.oracle.contract_1.record import (
    INVALID_HEADERS,
    ItemOutputs,
    Output,
    Record,
    Role,
    new_tuple,
)
from tests.oracle.contract_1.reserved import rejected_revenue, stated_revenue
from tests.oracle.contract_1.timestamps import read_time
from tests.oracle.contract_1.validate import validate

# Globals are found faster than members of an enum.
_ENRICHED: Final = Role.ENRICHED
_SOURCE: Final = TrackHeader.SOURCE.value


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
        if record.headers is INVALID_HEADERS:
            invalid = reject(
                Reason.INVALID_HEADERS, "a header name is not UTF-8; no header was kept"
            )
            return (self._reject(record, origin, invalid, now),)
        if limits.max_record_bytes is not None:
            size = len(value or b"")
            if size > limits.max_record_bytes:
                detail = f"{size} bytes, over limits.max_record_bytes"
                return (self._reject(record, origin, reject(Reason.RECORD_TOO_LARGE, detail), now),)
        decoded = decode(value, limits.max_depth)
        if type(decoded) is dict and "batch" in decoded:
            return self._batch(record, origin, decoded, now)
        return self._event(record, origin, decoded, value or b"", now)

    def crashed(self, record: Record, now: int) -> Output:
        """Dead letter of a record on which `process` has raised, which is a bug of ours."""
        detail = "a bug in this program prevented processing; its log has the traceback"
        return self.set_aside(record, now, Reason.PROCESSING_ERROR, Stage.CRASH, detail)

    def set_aside(
        self, record: Record, now: int, reason: Reason, stage: Stage, detail: str
    ) -> Output:
        """Dead letter of a whole record for a reason outside of the rules; it is not decoded."""
        origin = read_origin(record, accept_headers=self._accept_headers)
        return self._reject(record, origin, reject(reason, detail, stage), now)

    def _batch(
        self, record: Record, origin: Origin, decoded: dict[str, Any], now: int
    ) -> tuple[Output, ...]:
        """Outputs of the items of an envelope, or of one event that has a field `batch`."""
        value = record.value or b""
        if decoded.get("event") is not None and not duplicates_batch(value):
            return self._event(record, origin, decoded, value, now)
        envelope = split(value, decoded["batch"])
        if type(envelope) is Invalid:
            return (self._reject(record, origin, envelope, now),)
        return self._items(record, origin, decoded, envelope, now)

    def _items(
        self,
        record: Record,
        origin: Origin,
        decoded: dict[str, Any],
        envelope: Envelope,
        now: int,
    ) -> tuple[Output, ...]:
        outputs: list[Output] = []
        total, limit = 0, self._policy.limits.max_batch_output_bytes
        # A redriven envelope of one item keeps the index that the item had first.
        single = len(envelope.items) == 1
        for index, (item, raw) in enumerate(zip(decoded["batch"], envelope.items, strict=True)):
            own = origin if single and origin.item is not None else origin._replace(item=index)
            alone = record if single else record._replace(value=envelope.around(raw))
            produced = self._event(alone, own, merge(item, decoded), raw, now)
            outputs += produced
            total += sum(len(output.value or b"") for output in produced)
            if total > limit:
                detail = "the items together exceed limits.max_batch_output_bytes"
                invalid = reject(Reason.BATCH_TOO_LARGE, detail, Stage.SPLIT)
                return (self._reject(record, origin, invalid, now),)
        return ItemOutputs(outputs)

    def _event(
        self,
        record: Record,
        origin: Origin,
        decoded: JsonValue,
        original: bytes,
        now: int,
    ) -> tuple[Output, ...]:
        """Outputs of one event. `original` is its own bytes; a dead letter keeps `record.value`."""
        if type(decoded) is not dict:
            invalid = decoded
            if type(invalid) is not Invalid:
                invalid = reject(Reason.NOT_AN_OBJECT, "the JSON value is not an object")
            return (self._reject(record, origin, invalid, now),)
        policy = self._policy
        if len(original) > policy.limits.max_event_bytes:
            detail = f"{len(original)} bytes, over limits.max_event_bytes"
            invalid = reject(Reason.EVENT_TOO_LARGE, detail)
            return (self._reject(record, origin, invalid, now, decoded),)
        findings = Findings()
        track = validate(decoded, findings, policy)
        if type(track) is Invalid:
            return (self._reject(record, origin, track, now, decoded),)
        enriched = normalise(track, findings, policy, origin, original)
        value = encode_json(enriched)
        _value, key, headers, _timestamp, _topic, partition, _offset = record
        size = len(value) + (len(key) if key else 0)
        if headers:
            headers = sender_headers(headers)
            size += sum(len(name) + len(sent or b"") for name, sent in headers)
        if size > policy.limits.max_output_bytes:
            detail = f"{len(value)} bytes of enriched event, over limits.max_output_bytes"
            invalid = reject(Reason.ENRICHED_TOO_LARGE, detail, Stage.ENCODE)
            return (self._reject(record, origin, invalid, now, decoded),)
        time = origin.timestamp or _kafka_time(enriched, now)
        headers = [*headers, (_SOURCE, origin.source().encode()), *self._headers]
        properties = track.properties
        revenue = stated_revenue(properties, policy) if "revenue" in properties else None
        output = new_tuple(Output, (_ENRICHED, value, key, headers, time, partition, "", revenue))
        if policy.identify_events and has_promoted_traits(track) and policy.identifies(track.event):
            message = encode_json(identify_message(enriched))
            return output, output._replace(role=Role.IDENTIFY, value=message, revenue=None)
        return (output,)

    def _reject(
        self,
        record: Record,
        origin: Origin,
        invalid: Invalid,
        now: int,
        event: JsonValue = None,
    ) -> Output:
        """Dead letter of a rejected event, or only a count when a setting says so."""
        if self._policy.drops_other_types and any(
            violation.code is Reason.UNSUPPORTED_TYPE for violation in invalid.violations
        ):
            reason = Reason.UNSUPPORTED_TYPE.value
            return Output(Role.DROPPED, None, None, (), now, record.partition, reason)
        headers = sender_headers(record.headers)
        rejected = RejectedEvent(
            record.value, record.key, headers, record.partition, origin, invalid, event
        )
        dead_letter = self._dead_letters.write(rejected, now)
        properties = event.get("properties") if type(event) is dict else None
        revenue = rejected_revenue(properties, self._policy)
        return dead_letter if revenue is None else dead_letter._replace(revenue=revenue)


def _kafka_time(enriched: dict[str, Any], now: int) -> int:
    """Kafka timestamp of an event that was read without one."""
    received = read_time(enriched.get("receivedAt"))
    return received[0] if received is not None and 0 < received[0] <= now else 1
