"""Types of the input: the raw track event and the batch envelope (contract §2, §3)."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from pipeline.core.contract import Limits
from pipeline.core.json_value import JsonObject
from schemas.source.values import (
    ANONYMOUS_ID,
    CONTEXT,
    EVENT,
    INTEGRATIONS,
    OPTIONAL,
    PROPERTIES,
    REVENUE,
    USER_ID,
    VALUE,
    WRITE_KEY,
    Amount,
    AmountText,
    Anything,
    ContextObject,
    CurrencyText,
    EmptyArray,
    NotSet,
    NumericId,
    Object,
    Schema,
    SentTime,
    Text,
    TrackText,
    has,
    ref,
)

_USABLE_ID: Final[Schema] = {"anyOf": [ref(Text), ref(NumericId)]}


class RawProperties(Object):
    """Properties of an event as sent. All but the reserved ones are kept unchanged."""

    revenue: Amount | AmountText | NotSet = Field(
        OPTIONAL, description=REVENUE, examples=[19.99, "$19.99", -5]
    )
    currency: CurrencyText | NotSet | Anything = Field(
        OPTIONAL,
        description="Currency of the revenue, in ISO 4217 format. If this is not set, the revenue "
        "is taken to be in US dollars. Without a revenue anything else is kept, with warning "
        "`currency_invalid`.",
        examples=["EUR", "usd"],
    )
    value: Amount | AmountText | NotSet | Anything = Field(
        OPTIONAL,
        description=VALUE + " Anything else, and text of more than 15 digits, is kept as sent, "
        "with warning `value_invalid`.",
        examples=[1, "0.5"],
    )

    RULES: ClassVar[Schema] = {
        # A revenue that is set requires a currency that is valid, or not set.
        "if": has("revenue", {"not": ref(NotSet)}),
        "then": {"properties": {"currency": {"anyOf": [ref(CurrencyText), ref(NotSet)]}}},
    }


class RawEvent(Object):
    """A track event as it is sent. An event that is not valid becomes a dead letter.

    Unknown fields are accepted and kept, and so is everything that no rule reads, in the bytes that
    it was sent in. Not expressed here: the limits on the size of an event, on the depth of its
    nesting and on the digits of a number in an id; and of a key that occurs twice, the last counts.
    """

    type: TrackText | NotSet = Field(OPTIONAL, description="The API call: track, or not set.")
    action: Anything = Field(
        OPTIONAL, description="Intilery's older form of `type`, read when `type` is not set."
    )
    event: Text = Field(description=EVENT, examples=["Order Completed", "User Registered"])
    message_id: str | int | Anything = Field(
        OPTIONAL,
        description="Unique identifier of the message. Generated where it is missing or unusable.",
    )
    user_id: NumericId | str | None = Field(
        OPTIONAL, description=USER_ID + " Trimmed; blank means not set.", examples=["AiUGstSDIg"]
    )
    anonymous_id: NumericId | str | Anything = Field(
        OPTIONAL,
        description=ANONYMOUS_ID + " An unusable one next to a usable `userId` is removed, with "
        "warning `id_not_string`.",
        examples=["23adfd82-aa0f-45a7-a756-24f2a7a4c895"],
    )
    timestamp: SentTime = Field(
        OPTIONAL,
        description="When the event happened; the client's time, if `originalTimestamp` "
        "isn't there.",
    )
    original_timestamp: SentTime = Field(
        OPTIONAL, description="When the event happened, by the client's clock."
    )
    sent_at: SentTime = Field(
        OPTIONAL,
        description="When the event was sent, by the client's clock; used to correct the "
        "error of that clock in `timestamp`.",
    )
    received_at: SentTime = Field(
        OPTIONAL,
        description="When the event was received, by the server's clock; if not set, the time of "
        "the Kafka record.",
    )
    properties: RawProperties | EmptyArray | None = Field(OPTIONAL, description=PROPERTIES)
    traits: Anything = Field(
        OPTIONAL, description="Traits of the user; the keys of `context.traits` take precedence."
    )
    context: ContextObject | EmptyArray | None = Field(OPTIONAL, description=CONTEXT)
    integrations: JsonObject | EmptyArray | None = Field(OPTIONAL, description=INTEGRATIONS)
    enrichment: Anything = Field(
        OPTIONAL,
        description="Written by the pipeline: one that is sent is replaced, but for `unreadable` "
        "and a `currencyDefaulted` that is still true.",
    )
    write_key_in_camel_case: Anything = Field(OPTIONAL, alias="writeKey", description=WRITE_KEY)
    write_key_in_snake_case: Anything = Field(OPTIONAL, alias="write_key", description=WRITE_KEY)
    write_key_in_pascal_case: Anything = Field(OPTIONAL, alias="WriteKey", description=WRITE_KEY)

    RULES: ClassVar[Schema] = {
        # There must be an id. Without a type, a string `action` is the type.
        "anyOf": [has("userId", _USABLE_ID), has("anonymousId", _USABLE_ID)],
        "if": has("type", ref(TrackText)),
        "else": {
            "properties": {
                "action": {"anyOf": [ref(TrackText), ref(NotSet), {"not": {"type": "string"}}]}
            }
        },
    }


class Batch(Object):
    """Body of a batch call of a tracking API, valid when every item is.

    An item that is rejected becomes a dead letter by itself, and the others are enriched. A record
    with an `event` is one event, whatever its `batch` holds. Not expressed here: the limit on the
    size of all outputs together.
    """

    batch: list[RawEvent] = Field(
        min_length=1,
        max_length=Limits().max_batch_items,
        description="The events, each processed by itself.",
    )
    event: None = Field(OPTIONAL, description="Not set: a record with an event is not a batch.")
    context: ContextObject | EmptyArray | None = Field(
        OPTIONAL, description="Merged into each item, one level deep. The item takes precedence."
    )
    integrations: JsonObject | EmptyArray | None = Field(
        OPTIONAL, description="Merged into each item, one level deep. The item takes precedence."
    )
    sent_at: SentTime = Field(OPTIONAL, description="Used for items that have none.")
    received_at: SentTime = Field(OPTIONAL, description="Used for items that have none.")
