"""What contract version 2 does differently on purpose, each with its reason.

An entry whose examples do not need it fails a test: the table has nothing to spare.
"""

from __future__ import annotations

from typing import Any, Final

from tests.hostile import EVENT, with_field, with_property, with_revenue
from tests.oracle import changes, items
from tests.oracle.changes import without_warnings
from tests.oracle.difference import Difference, each, example, in_turn


def _with_context(text: bytes) -> bytes:
    return with_field(b"context", text)


_THREE: Final = b'{"batch":[%b,%b,%b]}' % (EVENT, EVENT, EVENT)
_WARN: Final[dict[str, Any]] = {"rules": {"revenue_invalid": "warn"}}

DIFFERENCES: Final[tuple[Difference, ...]] = (
    Difference(
        "batch of too many items",
        "limits.max_batch_items bounds the work on one record; it is found by counting",
        example(_THREE, limits={"max_batch_items": 2}),
        resend=items.emptied_when_too_many,
        change=items.reject_too_many,
    ),
    Difference(
        "headers of a batch's outputs",
        "limits.max_batch_output_bytes counts headers and keys, which small events have most of",
        example(_THREE, limits={"max_batch_output_bytes": 1_000}),
        change=changes.headers_count,
    ),
    Difference(
        "half of a surrogate pair",
        "it is replaced by U+FFFD with a warning: nearly all SDKs cut texts between the two halves",
        (
            *example(with_property(rb'"cut \ud83d"')),
            *example(rb'{"batch":[{"event":"\udc00"},%b]}' % EVENT),
        ),
        resend=changes.whole_characters,
        change=without_warnings("lone_surrogate_replaced"),
    ),
    Difference(
        "number that can't be read exactly",
        "a number that no rule reads is carried, however large it is; where a rule reads it, it is "
        "as out of bounds as any other huge number",
        (
            *example(with_property(b"1e99999999999999999999")),
            *example(with_property(b"9" * 5_000)),
            *example(with_revenue(b"9" * 5_000)),
            *example(b'{"batch":[%b,%b]}' % (EVENT, with_property(b"9" * 5_000))),
        ),
        resend=changes.readable_numbers,
    ),
    Difference(
        "batch item that can't be read",
        "it is rejected alone, whatever is wrong with it; version 1 rejected the whole call",
        example(b'{"batch":[%b, NaN ,%b]}' % (EVENT, EVENT)),
        resend=items.without_unreadable,
        change=changes.reasons_of_items,
    ),
    Difference(
        "amounts that are identifiers",
        "text with a leading zero, or a value of more than 15 digits in text, is kept as it is",
        (
            *example(with_revenue(b'"00420"')),
            *example(with_revenue(b'"00420"'), **_WARN),
        ),
        resend=changes.no_amounts,
        change=each(changes.as_sent),
    ),
    Difference(
        "codes for no currency",
        "XXX and XTS say that there is no currency, or that it is a test",
        example(with_revenue(b'1,"currency":"xxx"')),
        resend=changes.no_currencies,
        change=each(changes.as_sent),
    ),
    Difference(
        "times in other forms",
        "dates of RFC 1123, 822 and 850, epochs of 16 and 19 digits, one-digit hours are read, "
        "since SDKs send them",
        (
            *example(with_field(b"timestamp", b'"Sat, 12 Dec 2015 19:11:01 GMT"')),
            *example(with_field(b"sentAt", b"1449947461249000")),
        ),
        resend=changes.readable_times,
    ),
    Difference(
        "times of many digits",
        "they are truncated to milliseconds like all others; version 1 rounded after 28 digits",
        example(with_field(b"timestamp", b"1449947461.2499999999999999999999999999")),
        resend=changes.truncated_times,
    ),
    Difference(
        "record that is too deep and not UTF-8",
        "brackets that are never closed are looked at last, when all else was ruled out",
        example(b"[" * 513 + b"\xff"),
        change=each(changes.too_deep_and_not_utf8),
    ),
    Difference(
        "order of merged members",
        "where an item overrides a member of a shared object, or context.traits one of traits, it "
        "stands with the overriding object's other members, whose bytes are carried in one piece",
        (
            *example(b'{"batch":[%b],"context":{"ip":1,"a":2}}' % _with_context(b'{"ip":"::1"}')),
            *example(_with_context(b'{"traits":{"a":1}},"traits":{"a":2,"b":3}')),
            *example(b'{"batch":[%b],"context":{"ip":1}}' % _with_context(b'{"locale":3,"ip":{}}')),
        ),
        change=each(changes.merged_members),
    ),
    Difference(
        "place of a default currency",
        "it stands where the blank currency stood that it replaces",
        example(with_revenue(b'5,"currency":"","free":1')),
        change=each(changes.kept_place),
    ),
    Difference(
        "place of a repeated reserved name",
        "the last one counts, as ever, and stands where it was sent; the first is not written",
        example(with_revenue(b'1,"free":1,"revenue":2')),
        change=each(changes.repeated_reserved),
    ),
    Difference(
        "spelling of an envelope's names",
        "the dead letter of an item keeps the escapes of the envelope's names",
        example(rb'{"b\u0061tch":[{},%b],"\u0078":1}' % EVENT),
        change=each(changes.spelling_of_envelope),
    ),
    Difference(
        "integer of thousands of digits in an event",
        "where a rule needs its value, the event alone is no JSON that can be read, not its batch",
        example(b'{"batch":[{"type":%b},%b]}' % (b"9" * 5_000, EVENT)),
        change=each(changes.too_many_digits),
    ),
    Difference(
        "track in another spelling",
        "a spelling must never make an event vanish: it is a track call, with a warning",
        (
            *example(with_field(b"type", b'" Track"')),
            *example(with_field(b"type", b'""')),
            *example(with_field(b"action", b'"TRACK"')),
            *example(with_field(b"action", b'" "')),
        ),
        resend=changes.track_in_other_spellings,
        change=in_turn(without_warnings("type_normalised"), each(changes.spelling_of_action)),
    ),
    Difference(
        "violations of other calls",
        "a call of another type is not a broken track call: it has no event name",
        example(b'{"type":"page"}'),
        change=each(changes.unsupported_type_alone),
    ),
    Difference(
        "reserved properties that are null",
        "null is not set: typed SDKs always send the member, so there is no warning",
        example(with_revenue(b'null,"value":""')),
        change=each(changes.null_reserved),
    ),
    Difference(
        "times that can't be read",
        "their text is kept in enrichment.unreadable: nothing is lost silently",
        example(with_field(b"timestamp", b'"yesterday"')),
        change=each(changes.unreadable_times),
    ),
    Difference(
        "times long ago",
        "a zero time of Go, .NET or Unix is kept with a warning, and is not corrected",
        (
            *example(with_field(b"timestamp", b'"1970-01-01T00:00:00Z"')),
            *example(with_field(b"timestamp", b'"0001-01-01T00:00:00Z","sentAt":"2015-01-01"')),
        ),
        change=each(changes.far_past),
    ),
    Difference(
        "write keys",
        "they are credentials under any of their names",
        (
            *example(with_field(b"write_key", b'"k"')),
            *example(_with_context(b'{"query_parameters":{"writeKey":"k"}}')),
            *example(_with_context(b'{"page":{"url":"https://example.com/?writeKey=k"}}')),
        ),
        change=in_turn(without_warnings("write_key_in_url"), each(changes.write_keys)),
    ),
    Difference(
        "ids that stand for no id",
        "the sender's bug is shown by a warning",
        example(with_field(b"userId", b'"undefined"')),
        change=without_warnings("id_placeholder"),
    ),
    Difference(
        "currencies that were withdrawn",
        "a warning: an amount may be wrong by a factor of a million",
        example(with_revenue(b'1,"currency":"TRL"')),
        change=without_warnings("currency_withdrawn"),
    ),
    Difference(
        "unknown calls are never dropped",
        "what is no page, screen, identify, group or alias call may be a misspelt track call",
        example(with_field(b"type", b'"trak"'), on_other_type="drop"),
        change=each(changes.unknown_call),
    ),
    Difference(
        "revenue that a rule let pass",
        "an amount that is not one is no revenue in statistics, also when it is a tiny number",
        example(with_revenue(b"1e-999"), **_WARN),
        change=each(changes.revenue_let_pass),
    ),
    Difference(
        "revenue of almost 10^29 in statistics",
        "version 1 rounded it to 10^29 in its own statistics, and left it out of them",
        example(with_revenue(b"9" * 29 + b".9")),
        change=each(changes.largest_revenue),
    ),
    Difference(
        "huge revenue that a rule let pass",
        "version 1 raised an error of its own, which made a dead letter `processing_error`",
        example(with_revenue(b"1e9999999"), **_WARN),
        change=changes.raised,
    ),
)
