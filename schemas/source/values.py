"""Values in the published schemas: white space, ids, amounts, currencies, times.

Each type is a name in the `$defs` of a schema, with its docstring as the description. Patterns and
bounds are made from the constants of the rules. They only use what the regular expressions of
ECMAScript and Python have in common.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    WithJsonSchema,
    create_model,
)
from pydantic.alias_generators import to_camel

from pipeline.core.currencies import ISO_4217
from pipeline.core.enriched_event import TRACK
from pipeline.core.identities import MAX_ID_DIGITS
from pipeline.core.json_value import JsonObject
from pipeline.core.money import AMOUNT_PATTERN, COLUMN_DECIMALS, LIMIT
from pipeline.core.raw_event import CONTEXT_TYPES

OPTIONAL: Final[Any] = None
"""Default of a field that may be absent. Its type says whether it may be null."""
WHITE: Final = r"[\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""Matches what `str.strip` removes; `\\s` means something else in each language."""
NOT_BLANK: Final = WHITE.replace("[", "[^", 1)

_ID_LIMIT: Final = 10**MAX_ID_DIGITS
_ROUNDS_TO_LIMIT: Final = Context(prec=100).subtract(
    Decimal(LIMIT), Decimal(5).scaleb(-COLUMN_DECIMALS - 1)
)
"""Smallest amount that is 10^29 when rounded to nine decimals."""
_LENGTH_OF_TIME: Final = len("2015-12-12T19:11:01.249Z")


def _trimmed(pattern: str) -> str:
    return f"^{WHITE}*(?:{pattern}){WHITE}*$"


def _any_case(code: str) -> str:
    return "".join(f"[{character}{character.lower()}]" for character in code)


class TrackText(RootModel[Annotated[str, Field(pattern=_trimmed(_any_case(TRACK.upper())))]]):
    """`track` in any case, outer white space trimmed; becomes `track`."""


class Anything(RootModel[Any]):
    """Any JSON value. Next to a type: an event with another type is not rejected."""


class NotSet(RootModel[Annotated[str, Field(pattern=f"^{WHITE}*$")] | None]):
    """Null, "" and white space all mean "not set", as if the field were absent."""


class Text(RootModel[Annotated[str, Field(pattern=NOT_BLANK)]]):
    """Text that is not blank."""


class TrimmedText(
    RootModel[
        Annotated[
            str,
            Field(
                min_length=1,
                json_schema_extra={"not": {"pattern": f"^{WHITE}|{WHITE}$"}},
            ),
        ]
    ]
):
    """Text without outer white space, never empty."""


class NumericId(RootModel[Annotated[int, Field(gt=-_ID_LIMIT, lt=_ID_LIMIT)]]):
    """An id that was sent as a number: integral (`12345.0` is), at most 38 digits. Becomes text."""


class Amount(
    RootModel[
        Annotated[
            Decimal,
            WithJsonSchema(
                {
                    "type": "number",
                    "exclusiveMinimum": _ROUNDS_TO_LIMIT.copy_negate(),
                    "exclusiveMaximum": _ROUNDS_TO_LIMIT,
                }
            ),
        ]
    ]
):
    """An exact decimal number, below 10^29 in magnitude when rounded to nine decimals.

    Negative ones are refunds. One that was sent as a number keeps its spelling (`1.10`, `1e3`). Not
    expressed here: an exponent below -100 is no amount.
    """


class AmountText(RootModel[Annotated[str, Field(pattern=_trimmed(AMOUNT_PATTERN))]]):
    """One plain decimal number as text; becomes a number.

    Outer white space and one leading `$` are accepted. Thousands separators, decimal commas and
    other currency signs are rejected, since their meaning varies by country, and leading zeros,
    which belong to identifiers.
    Not expressed here: its magnitude has the same limits as a number.
    """


class CurrencyCode(
    RootModel[Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(ISO_4217)})]]
):
    """A code of ISO 4217, current or withdrawn; the setting `currency.extra_codes` adds others."""


class CurrencyText(
    RootModel[Annotated[str, Field(pattern=_trimmed("|".join(map(_any_case, sorted(ISO_4217)))))]]
):
    """A code of ISO 4217 in any case, outer white space trimmed; becomes upper-case."""


class Time(
    RootModel[
        Annotated[
            str,
            Field(
                pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
                max_length=_LENGTH_OF_TIME,
                json_schema_extra={"format": "date-time"},
                examples=["2015-12-12T19:11:01.249Z"],
            ),
        ]
    ]
):
    """A moment in ISO-8601, UTC, with milliseconds and `Z`; years 0001 to 9999."""


class SentTime(RootModel[str | float | Anything]):
    """A moment as clients send it.

    Accepted are ISO-8601 (`Z`, an offset or none, which is UTC; date only; hours of one digit; up
    to nine decimals of a second), dates of RFC 1123, RFC 822 and RFC 850, and epoch seconds (10
    digits), milliseconds (13), microseconds (16) or nanoseconds (19), with or without a fraction,
    as number or text; outer white space is trimmed. No event is rejected because of a time: one
    that can't be read is moved to `enrichment.unreadable`, with warning `timestamp_unparsable`.
    """


class EmptyArray(RootModel[Annotated[list[Any], WithJsonSchema({"type": "array", "maxItems": 0})]]):
    """An empty object as PHP sends it; read as `{}`, with warning `empty_array_for_object`."""


EVENT: Final = (
    "Name of the action that a user has performed. Kept as sent, since names are matched exactly."
)
PROPERTIES: Final = "Free-form dictionary of properties of the event, like `revenue`."
REVENUE: Final = (
    "Amount of revenue the event resulted in: a decimal value, so a shirt worth 19.99 results in "
    "a revenue of 19.99."
)
VALUE: Final = (
    "An abstract value to associate with the event, where it doesn't generate revenue but has an "
    "intrinsic value, like newsletter signups."
)
USER_ID: Final = "Unique identifier of the user who performed the action."
ANONYMOUS_ID: Final = (
    "Any pseudo-unique identifier, for when you don't know who the user is but still want to tie "
    "them to an event."
)
CONTEXT: Final = (
    "Dictionary of extra information that provides useful context about the event, but is not "
    "directly related to the call, like ip address or locale."
)
WRITE_KEY: Final = "A credential: removed from the event."
INTEGRATIONS: Final = "Destinations that the event is for. Kept as sent."

CONTEXT_FIELDS: Final = {
    "active": "Whether a user is active.",
    "app": "The current application: name, version, build.",
    "campaign": "The campaign that resulted in the call: name, source, medium, term, content, and "
    "any other custom UTM parameter.",
    "channel": "Where the request originated from: server, browser or mobile.",
    "device": "The device: id, advertisingId, manufacturer, model, name, type, version.",
    "groupId": "Group or account id.",
    "ip": "Current user's IP address.",
    "library": "The library that makes the requests: name, version.",
    "locale": "Locale of the current user, for example en-US.",
    "network": "The current network connection: bluetooth, carrier, cellular, wifi.",
    "os": "The operating system: name, version.",
    "page": "The current page in the browser: path, referrer, search, title, url.",
    "referrer": "The way the user was referred to the website or app: type, name, url, link.",
    "screen": "The device's screen: density, height, width.",
    "timezone": "Time zone of the user as a tzdata name, for example America/New_York.",
    "traits": "Traits of the current user, filled as in an identify call. A non-empty object is "
    "promoted to the top-level `traits` of the enriched event.",
    "userAgent": "User agent of the device that makes the request.",
    "userAgentData": "User agent data of the device: brands, mobile, platform, and more.",
}
"""Descriptions of the fields of `CONTEXT_TYPES`, in the words of Segment's "Spec: Track"."""


def _context_field(name: str) -> tuple[Any, Any]:
    """A field of `context`. Its type is documented but not enforced: a wrong one is a warning."""
    kind = JsonObject if CONTEXT_TYPES[name] is dict else CONTEXT_TYPES[name]
    return kind | Anything, Field(None, description=CONTEXT_FIELDS[name])


Schema = dict[str, Any]


class Object(BaseModel):
    """An object that may have more fields than these."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel)

    RULES: ClassVar[Schema] = {}
    """Additional keywords: rules that concern several fields."""


def ref(kind: type[BaseModel]) -> Schema:
    """A reference to the type of a field of the same schema, for a rule."""
    return {"$ref": f"#/$defs/{kind.__name__}"}


def has(name: str, schema: Schema) -> Schema:
    """Keywords that require a field with the given schema."""
    return {"required": [name], "properties": {name: schema}}


_context_fields: dict[str, Any] = {name: _context_field(name) for name in CONTEXT_TYPES}
ContextObject: type[Object] = create_model(
    "Context",
    __base__=Object,
    __doc__="Kept as sent, but for a write key in `query_parameters`. A field with another type "
    "than documented is kept too, with warning `context_field_type` (of `traits`, "
    "`traits_not_object`).",
    **_context_fields,
)
