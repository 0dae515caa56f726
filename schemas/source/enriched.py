"""What is written: the enriched event, and the identify message beside it (contract §4)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from pipeline.core.findings import JsonObject
from pipeline.core.normalise import MAX_WARNINGS
from pipeline.core.reasons import WarningCode as Noticed
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
    Amount,
    Anything,
    ContextObject,
    CurrencyCode,
    Object,
    Schema,
    Text,
    Time,
    TrimmedText,
    has,
    ref,
)

WARNING_PATTERN: Final = f"^(?:{'|'.join(code.value for code in Noticed)}) /"

MessageId = Annotated[
    TrimmedText,
    Field(description="Unique identifier of the message: the same whenever it is replayed."),
]
UserId = Annotated[TrimmedText, Field(description=USER_ID, examples=["AiUGstSDIg"])]
AnonymousId = Annotated[
    TrimmedText,
    Field(description=ANONYMOUS_ID, examples=["23adfd82-aa0f-45a7-a756-24f2a7a4c895"]),
]
Timestamp = Annotated[
    Time,
    Field(
        description="When the event happened. `enrichment.timestampSource` tells what it was made "
        "from; it is absent only when nothing tells the time."
    ),
]
OriginalTimestamp = Annotated[
    Time, Field(description="When the event happened, by the client's clock.")
]
SentAt = Annotated[Time, Field(description="When the event was sent, by the client's clock.")]
ReceivedAt = Annotated[
    Time,
    Field(
        description="When the event was received, by the server's clock; if it wasn't sent, the "
        "time of the Kafka record."
    ),
]
Integrations = Annotated[JsonObject, Field(description=INTEGRATIONS)]

TimestampSource = Literal["given", "corrected", "original", "received"]

_NAMES_SOMEBODY: Final[list[Schema]] = [{"required": ["userId"]}, {"required": ["anonymousId"]}]
_NON_EMPTY: Final[Schema] = {"type": "object", "minProperties": 1}
_HAS_TRAITS_TO_LIFT: Final[Schema] = {"properties": {"context": has("traits", _NON_EMPTY)}}


class Properties(Object):
    """The properties of the event. All but the reserved ones are as sent."""

    revenue: Amount = Field(OPTIONAL, description=REVENUE, examples=[19.99])
    currency: CurrencyCode | Text | bool | float | list[Any] | JsonObject = Field(
        OPTIONAL,
        description="Currency of the revenue, in ISO 4217 format, upper-case. Without a revenue "
        "it may be anything that is set.",
        examples=["USD"],
    )
    value: Amount = Field(OPTIONAL, description=VALUE, examples=[1])

    RULES: ClassVar[Schema] = {
        # A revenue is never without its currency.
        "dependentSchemas": {"revenue": has("currency", ref(CurrencyCode))},
    }


class Enrichment(Object):
    """Assumptions, sources and warnings; replaced when the event is processed again."""

    model_config = ConfigDict(extra="forbid")

    currency_defaulted: Literal[True] = Field(
        OPTIONAL, description="The currency was not set: it is an assumption. Else absent."
    )
    timestamp_source: TimestampSource = Field(
        OPTIONAL,
        description="What `timestamp` was made from: `given` (kept, since it was corrected "
        "upstream), `corrected` (receivedAt - (sentAt - originalTimestamp)), `original` (the "
        "client's time as it is), `received` (receivedAt).",
    )
    warnings: list[Annotated[str, Field(pattern=WARNING_PATTERN)]] = Field(
        OPTIONAL,
        min_length=1,
        max_length=MAX_WARNINGS,
        description="What was changed or noticed: a code and the JSON Pointer of its field. "
        "Absent when there is nothing.",
        examples=[["number_from_string /properties/revenue"]],
    )


class EnrichedEvent(Object):
    """A track event as it is written: typed, normalised, its traits lifted to the top.

    Its fields stand in the order given here; unknown fields follow, as they were sent.
    Where a rule is set to warn, a value that breaks it stays as sent.
    """

    type: Literal["track"] = Field(description="The API call.")
    event: Text = Field(description=EVENT, examples=["Order Completed"])
    message_id: MessageId
    user_id: UserId = Field(OPTIONAL)
    anonymous_id: AnonymousId = Field(OPTIONAL)
    timestamp: Timestamp = Field(OPTIONAL)
    original_timestamp: OriginalTimestamp = Field(OPTIONAL)
    sent_at: SentAt = Field(OPTIONAL)
    received_at: ReceivedAt = Field(OPTIONAL)
    properties: Properties = Field(description=PROPERTIES)
    traits: Anything = Field(
        OPTIONAL,
        description="Traits of the user: a non-empty `context.traits`, over a top-level `traits` "
        "that was sent. Without the former, the latter stays as sent, whatever it is.",
    )
    context: ContextObject = Field(description=CONTEXT)
    integrations: Integrations = Field(OPTIONAL)
    enrichment: Enrichment = Field(description="What this program says about the event.")

    RULES: ClassVar[Schema] = {
        # Somebody is named, traits are lifted, a timestamp tells its source.
        "anyOf": _NAMES_SOMEBODY,
        "if": _HAS_TRAITS_TO_LIFT,
        "then": has("traits", _NON_EMPTY),
        "dependentSchemas": {
            "timestamp": {"properties": {"enrichment": {"required": ["timestampSource"]}}}
        },
    }


class IdentifyMessage(Object):
    """The identify message that a rule makes beside a track event, of the traits it carried."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["identify"] = Field(description="The API call.")
    message_id: MessageId
    user_id: UserId = Field(OPTIONAL)
    anonymous_id: AnonymousId = Field(OPTIONAL)
    timestamp: Timestamp = Field(OPTIONAL)
    original_timestamp: OriginalTimestamp = Field(OPTIONAL)
    sent_at: SentAt = Field(OPTIONAL)
    received_at: ReceivedAt = Field(OPTIONAL)
    traits: Annotated[JsonObject, Field(min_length=1)] = Field(
        description="Traits of the user, as in the track event."
    )
    context: ContextObject = Field(description=CONTEXT)
    integrations: Integrations = Field(OPTIONAL)

    # Somebody is named; the traits are lifted ones.
    RULES: ClassVar[Schema] = {"anyOf": _NAMES_SOMEBODY, "allOf": [_HAS_TRAITS_TO_LIFT]}
