"""Types of the outputs: the enriched event and the identify message (contract §4)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from pipeline.core.event_times import TIMES
from pipeline.core.findings import MAX_UNREADABLE
from pipeline.core.json_value import JsonObject
from pipeline.core.normalise import MAX_WARNINGS
from pipeline.core.reasons import WarningCode
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

WARNING_PATTERN: Final = f"^(?:{'|'.join(code.value for code in WarningCode)}) /"

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
        description="When the event happened. `enrichment.timestampSource` says how it was "
        "determined; it is absent only when no time is known."
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

_HAS_AN_ID: Final[list[Schema]] = [{"required": ["userId"]}, {"required": ["anonymousId"]}]
_NON_EMPTY: Final[Schema] = {"type": "object", "minProperties": 1}
_HAS_TRAITS_TO_PROMOTE: Final[Schema] = {"properties": {"context": has("traits", _NON_EMPTY)}}


class Properties(Object):
    """Properties of the event. All but the reserved ones are kept as sent."""

    revenue: Amount = Field(OPTIONAL, description=REVENUE, examples=[19.99])
    currency: CurrencyCode | Text | bool | float | list[Any] | JsonObject = Field(
        OPTIONAL,
        description="Currency of the revenue, in ISO 4217 format, upper-case. Without a revenue "
        "it may be anything that is set.",
        examples=["USD"],
    )
    value: Amount | Text | bool | float | list[Any] | JsonObject = Field(
        OPTIONAL,
        description=VALUE + " A number; anything else that is set was kept as sent, with warning "
        "`value_invalid`.",
        examples=[1],
    )

    RULES: ClassVar[Schema] = {
        # A revenue always has a currency.
        "dependentSchemas": {"revenue": has("currency", ref(CurrencyCode))},
    }


class Enrichment(Object):
    """Defaults, sources and warnings. Replaced when the event is processed again."""

    model_config = ConfigDict(extra="forbid")

    currency_defaulted: Literal[True] = Field(
        OPTIONAL, description="The currency was not sent and is the default. Otherwise absent."
    )
    timestamp_source: TimestampSource = Field(
        OPTIONAL,
        description="How `timestamp` was determined: `given` (kept, since it was corrected "
        "upstream), `corrected` (receivedAt - (sentAt - originalTimestamp)), `original` (the "
        "client's time as it is), `received` (receivedAt).",
    )
    unreadable: dict[
        Annotated[str, Field(pattern=f"^/(?:{'|'.join(TIMES)})$")],
        Annotated[str, Field(max_length=MAX_UNREADABLE)],
    ] = Field(
        OPTIONAL,
        description="Times that could not be read, and were left out: the JSON Pointer of each "
        "and its text, cut after 64 characters. They remain when the event is processed again.",
        examples=[{"/timestamp": "yesterday"}],
    )
    warnings: list[Annotated[str, Field(pattern=WARNING_PATTERN)]] = Field(
        OPTIONAL,
        min_length=1,
        max_length=MAX_WARNINGS,
        description="Changes and problems: a code and the JSON Pointer of the field. Absent "
        "when there are none.",
        examples=[["number_from_string /properties/revenue"]],
    )


class EnrichedEvent(Object):
    """A track event as it is written: typed, normalised, its traits promoted to the top level.

    Its fields are in the order given here, followed by unknown fields as they were sent. What no
    rule changes has the bytes that it was sent in: numbers of any size and spelling (`1e3`, `-0`),
    strings with escapes, and objects in which a key occurs twice, of which the last one counts.
    Where the severity of a rule is warn, a value that breaks it is kept as sent.
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
        description="Traits of the user: a non-empty `context.traits`, merged over a top-level "
        "`traits` that was sent. Without the former, the latter is kept as sent, whatever it is.",
    )
    context: ContextObject = Field(description=CONTEXT)
    integrations: Integrations = Field(OPTIONAL)
    enrichment: Enrichment = Field(description="Information about the processing of the event.")

    RULES: ClassVar[Schema] = {
        # There is an id, traits are promoted, and a timestamp has its source.
        "anyOf": _HAS_AN_ID,
        "if": _HAS_TRAITS_TO_PROMOTE,
        "then": has("traits", _NON_EMPTY),
        "dependentSchemas": {
            "timestamp": {"properties": {"enrichment": {"required": ["timestampSource"]}}}
        },
    }


class IdentifyMessage(Object):
    """The identify message that a rule makes from the traits of a track event."""

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

    # There is an id, and the traits are promoted ones.
    RULES: ClassVar[Schema] = {"anyOf": _HAS_AN_ID, "allOf": [_HAS_TRAITS_TO_PROMOTE]}
