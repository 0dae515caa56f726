"""Every reason and warning code with its meaning.

The codes are an interface: users alert and query on them. None is renamed without a new
contract version. Where Segment's own ingest has a drop code for a case, ours is the same word.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Self, final


class DocumentedEnum(StrEnum):
    """Codes of an interface, each with its meaning: `NAME = "code", "meaning"`."""

    meaning: str

    def __new__(cls, code: str, meaning: str = "") -> Self:
        """Make a member from its code and its meaning."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


class Reason(DocumentedEnum):
    """Reason why an event was rejected (`dlq.reason`)."""

    NULL_VALUE = "null_value", "the record has no value (a tombstone)"
    EMPTY_VALUE = "empty_value", "the value is empty or only white space"
    INVALID_UTF8 = (
        "invalid_utf8",
        "the value is not UTF-8 text, or has a lone surrogate and rules.lone_surrogate is reject",
    )
    INVALID_JSON = "invalid_json", "the value is not one JSON document that can be read exactly"
    INVALID_AVRO = (
        "invalid_avro",
        "a record can't be read with the schema that it names, or names none as it must",
    )
    SCHEMA_UNKNOWN = (
        "schema_unknown",
        "the record names a schema that is in neither the registry nor input.schemas",
    )
    TOO_DEEP = "too_deep", "objects and arrays are nested deeper than limits.max_depth"
    INVALID_HEADERS = "invalid_headers", "the name of a Kafka header is not UTF-8 text"
    RECORD_TOO_LARGE = (
        "record_too_large",
        "the record is over limits.max_record_bytes, a line over 16 MiB, or its JSON is too long",
    )
    EVENT_TOO_LARGE = "event_too_large", "the event is larger than limits.max_event_bytes"
    NOT_AN_OBJECT = "not_an_object", "the value (or the batch item) is JSON, but not an object"
    EMPTY_BATCH = "empty_batch", "the batch array has no items"
    BATCH_NOT_ARRAY = "batch_not_array", "there is no event, and batch is not an array"
    BATCH_DUPLICATED = "batch_duplicated", "the key batch occurs more than once at the top level"
    BATCH_TOO_LARGE = (
        "batch_too_large",
        "the items exceed limits.max_batch_items, limits.max_batch_output_bytes or a transaction",
    )
    EVENT_NOT_DEFINED = "event_not_defined", "event is absent or null"
    EVENT_NOT_STRING = "event_not_string", "event is not a string"
    EVENT_BLANK = "event_blank", "event is empty or only white space"
    UNSUPPORTED_TYPE = "unsupported_type", "type is set to something other than track"
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
    VALUE_INVALID = (
        "value_invalid",
        "properties.value is not a plain decimal number, or is text of more than 15 digits",
    )
    CURRENCY_INVALID = "currency_invalid", "properties.currency is not an ISO 4217 code"
    CONTEXT_FIELD_TYPE = "context_field_type", "a field of context does not have the specified type"
    ENRICHED_TOO_LARGE = "enriched_too_large", "the enriched event exceeds limits.max_output_bytes"
    TIMESTAMP_REFUSED = (
        "timestamp_refused",
        "the broker does not accept the record's Kafka timestamp",
    )
    RECORD_REFUSED = (
        "record_refused",
        "the broker does not accept the record, for a reason of its own such as a missing key",
    )
    PROCESSING_ERROR = (
        "processing_error",
        "a bug in this program prevented processing; please report it",
    )


class WarningCode(DocumentedEnum):
    """Change or problem of an event that was kept (`enrichment.warnings`)."""

    LONE_SURROGATE_REPLACED = (
        "lone_surrogate_replaced",
        "text had half of a surrogate pair, in place of which it has U+FFFD now",
    )
    TYPE_NORMALISED = "type_normalised", "type was track in another spelling"
    EMPTY_ARRAY_FOR_OBJECT = "empty_array_for_object", "an empty array was read as {} (PHP senders)"
    EMPTY_RESERVED_PROPERTY = "empty_reserved_property", "a blank reserved property was removed"
    NUMBER_FROM_STRING = "number_from_string", "an amount was sent as text and is now a number"
    MORE_THAN_NINE_DECIMALS = (
        "more_than_nine_decimals",
        "an amount has more decimals than a decimal(38,9) column keeps",
    )
    RESERVED_NAME_MISSPELLED = (
        "reserved_name_misspelled",
        "a reserved property is written in another case",
    )
    CURRENCY_WITHDRAWN = (
        "currency_withdrawn",
        "the currency of a revenue was withdrawn before the event happened",
    )
    CURRENCY_DEFAULT_CONFLICTS = (
        "currency_default_conflicts",
        "the default currency was used, but a product has another one",
    )
    ID_STRINGIFIED = "id_stringified", "a numeric id is now text"
    ID_NOT_STRING = "id_not_string", "an unusable id was removed"
    ID_PLACEHOLDER = "id_placeholder", "an id is text that stands for no id, such as undefined"
    EVENT_NAME_PADDED = "event_name_padded", "event begins or ends with white space, which was kept"
    MESSAGE_ID_GENERATED = "message_id_generated", "messageId was generated from the coordinates"
    TRAITS_CONFLICT = (
        "traits_conflict",
        "context.traits took precedence over different top-level traits",
    )
    TRAITS_NOT_OBJECT = "traits_not_object", "context.traits is not an object and was not promoted"
    ENRICHMENT_REPLACED = "enrichment_replaced", "an enrichment that was sent was replaced"
    WRITE_KEY_IN_URL = (
        "write_key_in_url",
        "a URL contains a writeKey (a credential); it was kept",
    )
    RECEIVED_AT_UNKNOWN = "received_at_unknown", "the time when the event was received is unknown"
    SENT_BEFORE_ORIGINAL = (
        "sent_before_original",
        "sentAt is before the client's time, so its clock was changed",
    )
    TIMESTAMP_OUT_OF_RANGE = (
        "timestamp_out_of_range",
        "the corrected time is outside of the years 1-9999",
    )
    TIMESTAMP_UNPARSABLE = (
        "timestamp_unparsable",
        "a time could not be read; it was moved to enrichment.unreadable",
    )
    TIMESTAMP_FAR_PAST = (
        "timestamp_far_past",
        "the event is before the year 2000, or more than ten years before its receipt",
    )
    TIMESTAMP_IN_FUTURE = (
        "timestamp_in_future",
        "the event is more than 24 h later than its receipt",
    )
    REVENUE_INVALID = "revenue_invalid", "rules.revenue_invalid is warn: kept as sent"
    VALUE_INVALID = "value_invalid", "properties.value is not an amount and was kept as sent"
    CURRENCY_INVALID = (
        "currency_invalid",
        "not an ISO 4217 code; there is no revenue, or the rule is warn",
    )
    CONTEXT_FIELD_TYPE = "context_field_type", "a field of context does not have the specified type"


class Stage(StrEnum):
    """Step that rejected an event (`dlq.stage`)."""

    DECODE = "decode"
    SPLIT = "split"
    VALIDATE = "validate"
    NORMALISE = "normalise"
    ENCODE = "encode"
    PRODUCE = "produce"
    CRASH = "crash"


class Violation(NamedTuple):
    """One broken rule."""

    code: Reason
    pointer: str
    """JSON Pointer into the event; empty for the event itself."""
    detail: str
    """Explanation for people, at most 200 characters. It never quotes ids or traits."""


@final
class Invalid(NamedTuple):
    """Rejection of one event: a value in place of the good result, never an exception."""

    stage: Stage
    violations: Sequence[Violation]
