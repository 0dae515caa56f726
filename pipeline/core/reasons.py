"""Every reason and warning code, once, with its meaning beside it.

The codes are an interface: users alert and query on them. None is renamed without a new
contract version. Where Segment's own ingest has a drop code for the case, the same word is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Self, final


class DocumentedEnum(StrEnum):
    """Words of an interface. A member is written as the word and its meaning."""

    meaning: str

    def __new__(cls, word: str, meaning: str = "") -> Self:
        """Keep the meaning beside the word."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member


class Reason(DocumentedEnum):
    """Why an event was refused (`dlq.reason`)."""

    NULL_VALUE = "null_value", "the record has no value (a tombstone)"
    EMPTY_VALUE = "empty_value", "the value has no bytes, or only white space"
    INVALID_UTF8 = "invalid_utf8", "the value is not UTF-8 text, or escapes a lone surrogate"
    INVALID_JSON = "invalid_json", "the value is not one JSON document that can be read exactly"
    TOO_DEEP = "too_deep", "objects and arrays are nested deeper than limits.max_depth"
    INVALID_HEADERS = "invalid_headers", "the name of a Kafka header is not UTF-8 text"
    RECORD_TOO_LARGE = (
        "record_too_large",
        "the record is longer than limits.max_record_bytes, or a line of a file than 16 MiB",
    )
    EVENT_TOO_LARGE = "event_too_large", "the event is longer than limits.max_event_bytes"
    NOT_AN_OBJECT = "not_an_object", "the value (or the batch item) is JSON, but not an object"
    EMPTY_BATCH = "empty_batch", "the batch array has no items"
    BATCH_NOT_ARRAY = "batch_not_array", "batch is there, event is not, and batch is not an array"
    BATCH_DUPLICATED = "batch_duplicated", "the key batch occurs twice at the top level"
    BATCH_TOO_LARGE = "batch_too_large", "the items together exceed limits.max_batch_output_bytes"
    EVENT_NOT_DEFINED = "event_not_defined", "event is absent or null"
    EVENT_NOT_STRING = "event_not_string", "event is not a string"
    EVENT_BLANK = "event_blank", "event is empty or only white space"
    UNSUPPORTED_TYPE = "unsupported_type", "type is set and is not track"
    NO_USER_ANON_ID = "no_user_anon_id", "neither userId nor anonymousId is usable"
    ID_NOT_STRING = "id_not_string", "an id is a boolean, a fraction, an object or an array"
    PROPERTIES_NOT_OBJECT = "properties_not_object", "properties is set and is not an object"
    CONTEXT_NOT_OBJECT = "context_not_object", "context is set and is not an object"
    INTEGRATIONS_NOT_OBJECT = (
        "integrations_not_object",
        "integrations is set and is not an object",
    )
    TRAITS_NOT_OBJECT = "traits_not_object", "context.traits is set and is not an object"
    REVENUE_INVALID = "revenue_invalid", "properties.revenue is not a plain decimal number"
    VALUE_INVALID = "value_invalid", "properties.value is not a plain decimal number"
    CURRENCY_INVALID = "currency_invalid", "properties.currency is not an ISO 4217 code"
    CONTEXT_FIELD_TYPE = "context_field_type", "a field of context has another type than specified"
    ENRICHED_TOO_LARGE = "enriched_too_large", "the result exceeds limits.max_output_bytes"
    TIMESTAMP_REFUSED = "timestamp_refused", "the broker refuses the record's Kafka timestamp"
    RECORD_REFUSED = (
        "record_refused",
        "the broker refuses the record by a rule of its own, such as a key that it wants",
    )
    PROCESSING_ERROR = "processing_error", "a bug in this program stopped the event; report it"


class WarningCode(DocumentedEnum):
    """What was changed or noticed on an event that was kept (`enrichment.warnings`)."""

    EMPTY_ARRAY_FOR_OBJECT = "empty_array_for_object", "an empty array was read as {} (PHP senders)"
    EMPTY_RESERVED_PROPERTY = "empty_reserved_property", "a blank reserved property was removed"
    NUMBER_FROM_STRING = "number_from_string", "an amount came as text and is now a number"
    MORE_THAN_NINE_DECIMALS = (
        "more_than_nine_decimals",
        "an amount has more decimals than a decimal(38,9) column keeps",
    )
    RESERVED_NAME_MISSPELLED = (
        "reserved_name_misspelled",
        "a reserved property is there in another case only",
    )
    CURRENCY_DEFAULT_CONFLICTS = (
        "currency_default_conflicts",
        "the default currency was assumed, but a product names another one",
    )
    ID_STRINGIFIED = "id_stringified", "a numeric id is now text"
    ID_NOT_STRING = "id_not_string", "an unusable id was left out"
    EVENT_NAME_PADDED = "event_name_padded", "event has outer white space; it was kept"
    MESSAGE_ID_GENERATED = "message_id_generated", "messageId was made from the coordinates"
    TRAITS_CONFLICT = "traits_conflict", "context.traits won over a different top-level traits"
    TRAITS_NOT_OBJECT = "traits_not_object", "context.traits is no object and was not lifted"
    ENRICHMENT_REPLACED = "enrichment_replaced", "an enrichment that came in was replaced"
    RECEIVED_AT_UNKNOWN = "received_at_unknown", "nothing tells when the event was received"
    SENT_BEFORE_ORIGINAL = (
        "sent_before_original",
        "sentAt is before the client's time: its clock moved",
    )
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range", "the corrected time is outside years 1-9999"
    TIMESTAMP_UNPARSABLE = "timestamp_unparsable", "a time could not be read and was left out"
    TIMESTAMP_IN_FUTURE = "timestamp_in_future", "the event is over 24 h later than its receipt"
    REVENUE_INVALID = "revenue_invalid", "rules.revenue_invalid is warn: kept as sent"
    VALUE_INVALID = "value_invalid", "rules.value_invalid is warn: kept as sent"
    CURRENCY_INVALID = "currency_invalid", "not an ISO 4217 code; no revenue, or the rule is warn"
    CONTEXT_FIELD_TYPE = "context_field_type", "a field of context has another type than specified"


class Stage(StrEnum):
    """Where an event was refused (`dlq.stage`)."""

    DECODE = "decode"
    SPLIT = "split"
    VALIDATE = "validate"
    NORMALISE = "normalise"
    ENCODE = "encode"
    PRODUCE = "produce"
    CRASH = "crash"


class Violation(NamedTuple):
    """One broken rule. `detail` never quotes ids or traits."""

    code: Reason
    pointer: str
    """JSON Pointer into the event; "" is the event itself."""
    detail: str
    """A sentence for a person, at most 200 characters."""


@final
class Invalid(NamedTuple):
    """The refusal of one event: a value beside the good result, never an exception."""

    stage: Stage
    violations: Sequence[Violation]
