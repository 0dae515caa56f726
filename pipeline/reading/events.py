"""What is read from the output topics, as typed objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TypeAlias

from pipeline.core.coordinates import Source
from pipeline.core.dead_letter_fields import Problem
from pipeline.core.json_value import JsonObject, JsonValue
from pipeline.reading.json_parts import read_object, read_part


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Origin of a message, as its headers say."""

    source: Source | None
    """Coordinates of the raw event: topic, partition, offset, and the item of a batch call (-1
    without one). Unique per event, also when it is replayed: a key to deduplicate by."""
    contract: str | None
    """Version of the contract that it was made under, such as `2`."""
    contract_hash: str | None
    """Hash of everything that decides what becomes of an event: settings, rules, currencies."""
    replay: str | None
    """Id of the replay that wrote it; None for the live pipeline."""
    redrive: str | None
    """Id of the redrive that wrote it; None when it was not redriven."""
    replaces: Source | None
    """Coordinates, in the enriched topic, of the record that this correction replaces."""


@dataclass(frozen=True, kw_only=True)
class Enrichment:
    """What the pipeline noticed about an event."""

    currency_defaulted: bool = False
    """Whether the currency was not sent but is the default one."""
    timestamp_source: str | None = None
    """How `timestamp` was determined: `given`, `corrected`, `original` or `received`."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Times that could not be read: JSON Pointer → start of the text that was sent."""
    warnings: tuple[str, ...] = ()
    """Warnings, each a code, a space and a JSON Pointer: `id_stringified /userId`."""
    others: JsonObject = field(default_factory=dict)
    """Members that a later version of the contract has added."""


@dataclass(frozen=True, kw_only=True)
class UserMessage:
    """What enriched events and identify messages have in common.

    Free-form parts are kept as JSON text with the sender's own bytes (`…_json`), and decoded when
    they are first asked for: objects to dicts, numbers to int, or to Decimal with all their digits.
    A number that neither can hold (an integer of more than 4,300 digits) stays a `msgspec.Raw`.
    The times are UTC, exact to the millisecond.
    """

    message_id: str
    """The same whenever the event is replayed."""
    user_id: str | None
    anonymous_id: str | None
    """One of the two ids is always there."""
    timestamp: datetime | None
    """When it happened, with the client's clock corrected; None when no time is known at all."""
    original_timestamp: datetime | None
    """When it happened by the client's clock."""
    sent_at: datetime | None
    """When the client sent it, by the client's clock."""
    received_at: datetime | None
    """When the tracking server, or else Kafka, received it."""
    traits_json: bytes | None
    context_json: bytes
    integrations_json: bytes | None
    extra_json: bytes
    """Top-level fields that the contract does not know, as one JSON object: those of the sender,
    and those of a later version of the contract."""
    provenance: Provenance

    @cached_property
    def traits(self) -> JsonValue:
        """Traits of the user: an object, or whatever else was sent; None without any."""
        return read_part(self.traits_json)

    @cached_property
    def context(self) -> JsonObject:
        """The context: library, page, device and so on."""
        return read_object(self.context_json)

    @cached_property
    def integrations(self) -> JsonObject:
        """Choice of destinations for the event; empty when nothing was sent."""
        return read_object(self.integrations_json)

    @cached_property
    def extra(self) -> JsonObject:
        """Top-level fields that the contract does not know."""
        return read_object(self.extra_json)


@dataclass(frozen=True, kw_only=True)
class Identify(UserMessage):
    """An identify message: the traits of a user."""


@dataclass(frozen=True, kw_only=True)
class EnrichedTrack(UserMessage):
    """An enriched event: what a user did, with its revenue."""

    event: str
    """Name of the action, exactly as sent."""
    revenue: Decimal | None
    """Exact amount in `currency`, with all digits that were sent; None when there is none, or when
    a rule of the contract let a wrong one pass. A decimal(38, 9) column holds it rounded."""
    value: Decimal | None
    """The same for the property `value`, which is not always money."""
    currency: str | None
    """Code of ISO 4217, or an extra code of the settings."""
    properties_json: bytes
    enrichment: Enrichment

    @cached_property
    def properties(self) -> JsonObject:
        """All properties, also `revenue`, `value` and `currency`."""
        return read_object(self.properties_json)


@dataclass(frozen=True, kw_only=True)
class DeadLetterMessage:
    """A dead letter of this program: a rejected record, or item of a batch call, and why."""

    value: bytes | None
    """The rejected bytes; of an item of a batch call the envelope with only this item. Bytes with
    the framing of a Schema Registry keep it."""
    is_stub: bool
    """Whether the value only refers to a record that was too large for the topic."""
    reason: str
    """Reason code of the first problem."""
    problems: tuple[Problem, ...]
    """All reasons, each with `code`, `pointer` and `detail`; at least one."""
    stage: str
    """Stage that rejected the event: decode, split, validate, normalise, encode, produce or
    crash."""
    attempt: int
    """1, and one more each time that it was redriven and failed again."""
    failed_at: datetime | None
    first_failed_at: datetime | None
    source_timestamp: datetime | None
    """Kafka timestamp of the raw record."""
    event: str | None
    """Name of the event, at most 200 characters; None when it can't be read."""
    message_id: str | None
    """The sender's `messageId`, likewise."""
    library: str | None
    """`name/version` of the library that sent it, likewise."""
    provenance: Provenance
    """`source` names the raw record, also after a redrive."""


OutputMessage: TypeAlias = EnrichedTrack | Identify | DeadLetterMessage
"""Whatever the output topics hold."""
