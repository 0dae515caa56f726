"""A table of hostile payloads for the tests of the core, the worker and the commands.

A row says what a record holds and what has to become of it under default settings: one outcome
for each event, `enriched` or the reason code of its dead letter. Values are built when they are
asked for, since some take megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Headers

MEBIBYTE: Final = 1_048_576
BOM: Final = b"\xef\xbb\xbf"
OK: Final = "enriched"
EVENT: Final = b'{"event":"Order Completed","userId":"u1"}'
"""A small good event."""


class Hostile(NamedTuple):
    """A record that a client or another program may have written."""

    name: str
    make: Callable[[], bytes | None]
    outcomes: tuple[str, ...]
    headers: Headers = ()
    settings: dict[str, Any] = {}  # noqa: RUF012  never changed
    """Contract settings other than the default; only in `UNDER_LIMITS`."""

    @property
    def value(self) -> bytes | None:
        """Value of the record, built on each access."""
        return self.make()


def _row(name: str, value: bytes | None, *outcomes: str) -> Hostile:
    return Hostile(name, lambda: value, outcomes)


def _made(name: str, make: Callable[[], bytes], *outcomes: str) -> Hostile:
    return Hostile(name, make, outcomes)


def with_property(text: bytes) -> bytes:
    """A good event with one custom property, given as JSON text."""
    return b'{"event":"Order Completed","userId":"u1","properties":{"free":' + text + b"}}"


def with_revenue(text: bytes) -> bytes:
    """A good event with a revenue, given as JSON text."""
    return b'{"event":"Order Completed","userId":"u1","properties":{"revenue":' + text + b"}}"


def with_field(name: bytes, text: bytes) -> bytes:
    """A good event with one more field; the last of two equal keys wins."""
    return EVENT[:-1] + b',"' + name + b'":' + text + b"}"


def nested(levels: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """A good event of a given depth; the event is level 1, its properties level 2."""
    return with_property(
        opening * (levels - 2) + b"null" * (opening != b"[") + closing * (levels - 2)
    )


def batch(*items: bytes, rest: bytes = b"") -> bytes:
    """A batch envelope of items; `rest` are further fields with a leading comma."""
    return b'{"batch":[' + b",".join(items) + b"]" + rest + b"}"


def padded(size: int) -> bytes:
    """A good event of an exact size in bytes."""
    return with_property(b'"' + b"x" * (size - len(with_property(b'""'))) + b'"')


def _nothing_there() -> Iterator[Hostile]:
    yield _row("tombstone", None, "null_value")
    yield _row("empty", b"", "empty_value")
    yield _row("spaces", b"   ", "empty_value")
    yield _row("json_white_space", b" \t\r\n", "empty_value")
    yield _row("bom_only", BOM, "empty_value")
    yield _row("bom_and_white_space", BOM + b" \n", "empty_value")


def _encodings() -> Iterator[Hostile]:
    yield _row("bom_then_event", BOM + EVENT, OK)
    yield _row("bom_then_batch", BOM + batch(EVENT, EVENT), OK, OK)
    yield _row("two_boms", BOM + BOM + EVENT, "invalid_json")
    yield _row("two_boms_then_batch", BOM + BOM + batch(EVENT, EVENT), "invalid_json")
    yield _row("1000_boms", BOM * 1_000 + EVENT, "invalid_json")
    yield _row("white_space_then_bom", b" " + BOM + EVENT, "invalid_json")
    yield _row("bom_at_the_end", EVENT + BOM, "invalid_json")
    yield _row("bom_then_truncated", BOM + EVENT[:-1], "invalid_json")
    yield _row("utf16_with_bom", EVENT.decode().encode("utf-16"), "invalid_utf8")
    yield _row(
        "utf16_big_endian_with_bom",
        b"\xfe\xff" + EVENT.decode().encode("utf-16-be"),
        "invalid_utf8",
    )
    yield _row("utf32_with_bom", EVENT.decode().encode("utf-32"), "invalid_utf8")
    # Plain ASCII in UTF-16 without a mark is well-formed UTF-8: text and NULs.
    yield _row("utf16_ascii_without_bom", EVENT.decode().encode("utf-16-le"), "invalid_utf8")
    yield _row("latin_1", with_property('"Zürich"'.encode("latin-1")), "invalid_utf8")
    yield _row("latin_1_key", b'{"event":"E","userId":"u1","caf\xe9":1}', "invalid_utf8")
    yield _row("lone_continuation_byte", with_property(b'"\x80"'), "invalid_utf8")
    yield _row("truncated_character", with_property(b'"\xe2\x82"'), "invalid_utf8")
    yield _row("overlong_nul", with_property(b'"\xc0\x80"'), "invalid_utf8")
    yield _row("above_unicode", with_property(b'"\xf4\x90\x80\x80"'), "invalid_utf8")
    yield _row("cesu_8_pair", with_property(b'"\xed\xa0\xbd\xed\xb8\x80"'), "invalid_utf8")
    yield _row("bad_byte_outside_strings", EVENT + b"\xff", "invalid_utf8")
    yield _row(
        "gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf", "invalid_utf8"
    )
    yield _row("confluent_avro", b"\x00\x00\x00\x00\x07\x0cCourse\x08u1\xc3", "invalid_utf8")
    yield _row("random_nuls", b"\x00" * 64, "invalid_json")


def _surrogates() -> Iterator[Hostile]:
    yield _row("raw_lone_surrogate", with_property(b'"\xed\xa0\x80"'), "invalid_utf8")
    yield _row(
        "raw_lone_surrogate_key", b'{"event":"E","userId":"u1","\xed\xb0\x80":1}', "invalid_utf8"
    )
    yield _row("escaped_high_surrogate", with_property(rb'"\ud800"'), OK)
    yield _row("escaped_low_surrogate", with_property(rb'"\udc00"'), OK)
    yield _row("escaped_high_then_text", with_property(rb'"\ud800 and more text"'), OK)
    yield _row("escaped_high_then_ascii", with_property(rb'"\ud800\u0041"'), OK)
    yield _row("escaped_high_twice", with_property(rb'"\ud83d\ud83d\ude00"'), OK)
    yield _row("escaped_pair_reversed", with_property(rb'"\udc00\ud800"'), OK)
    yield _row("escaped_surrogate_in_key", with_property(rb'{"\uDBFF":1}'), OK)
    yield _row("escaped_surrogate_in_unknown_field", with_field(rb"\ud800", b"1"), OK)
    yield _row("escaped_surrogate_in_event", with_field(b"event", rb'"\ud800"'), OK)
    yield _row("escaped_surrogate_in_user_id", with_field(b"userId", rb'"\ud800"'), OK)
    yield _row("escaped_surrogate_after_bom", BOM + with_property(rb'"\ud800"'), OK)
    yield _row("escaped_surrogate_in_revenue", with_revenue(rb'"\ud800"'), "revenue_invalid")
    yield _row("escaped_surrogate_overridden", rb'{"event":"\ud800","event":"E","userId":"u1"}', OK)
    yield _row("escaped_surrogate_in_batch", batch(EVENT, with_property(rb'"\ud800"')), OK, OK)
    yield _row(
        "escaped_surrogate_in_shared_context",
        batch(EVENT, EVENT, rest=rb',"context":{"page":{"title":"\ud83d"}}'),
        OK,
        OK,
    )
    yield _row("escaped_surrogate_in_batch_beside_event", with_field(b"batch", rb'["\ud800"]'), OK)
    yield _row("escaped_surrogate_beside_empty_batch", rb'{"batch":[],"\ud800":1}', "empty_batch")
    yield _row("escaped_surrogate_beside_nan", with_property(rb'["\ud800",NaN]'), "invalid_json")
    yield _row("escaped_surrogate_outside_strings", with_property(rb"\ud800"), "invalid_json")
    yield _row("escaped_surrogate_alone", rb'"\ud800"', "not_an_object")
    yield _row("escaped_surrogate_then_truncated", with_property(rb'"\ud800')[:-2], "invalid_json")
    yield _row("escaped_pair", with_property(rb'"\ud83d\ude00"'), OK)
    yield _row("escaped_backslash_before_surrogate", with_property(rb'"\\ud83d"'), OK)
    yield _made("100000_halves", lambda: with_property(b'"' + rb"\ud83d" * 100_000 + b'"'), OK)
    yield _made(
        "halves_in_10000_strings",
        lambda: with_property(b"[" + rb'"\ud83d",' * 10_000 + b"0]"),
        OK,
    )
    yield _made("half_at_512_levels", lambda: nested(512).replace(b"[]", rb'["\ud83d"]'), OK)


def _text() -> Iterator[Hostile]:
    yield _row("escaped_nul", with_property(rb'"a\u0000b"'), OK)
    yield _row("escaped_nul_in_key", with_property(rb'{"a\u0000b":1}'), OK)
    yield _row("escaped_nul_event", with_field(b"event", rb'"\u0000"'), OK)
    yield _row("raw_nul_in_string", with_property(b'"a\x00b"'), "invalid_json")
    yield _row("raw_newline_in_string", with_property(b'"a\nb"'), "invalid_json")
    yield _row("raw_escape_in_string", with_property(b'"\x1b[31m"'), "invalid_json")
    yield _row("escaped_terminal_codes", with_field(b"event", rb'"\u001b[31mred\u0007"'), OK)
    yield _row("delete_character", with_property(b'"\x7f"'), OK)
    yield _row("right_to_left", with_property('"שלום \u202eevil\u202c مرحبا"'.encode()), OK)
    yield _row(
        "combining", with_property('"e\u0301 Z\u0351\u036b\u0343\u036aa\u0302\u0302"'.encode()), OK
    )
    yield _row("zero_width", with_field(b"event", '"\u200bSignup\u200d"'.encode()), OK)
    yield _row("not_a_character", with_property('"\uffff\U0010ffff"'.encode()), OK)
    yield _row("line_separators", with_property('"\u2028\u2029\u0085"'.encode()), OK)
    yield _row("unknown_escape", with_property(rb'"\x41"'), "invalid_json")
    yield _row("short_unicode_escape", with_property(rb'"\u12"'), "invalid_json")
    yield _row("empty_key", with_property(b'{"":1}'), OK)
    yield _row("python_names_as_keys", with_property(b'{"__class__":1,"__proto__":{}}'), OK)


def _not_json() -> Iterator[Hostile]:
    yield _row("truncated", EVENT[:-1], "invalid_json")
    yield _row("truncated_in_string", EVENT[:12], "invalid_json")
    yield _row("truncated_in_escape", EVENT[:12] + b"\\", "invalid_json")
    yield _row("only_brace", b"{", "invalid_json")
    yield _row("trailing_text", EVENT + b"x", "invalid_json")
    yield _row("trailing_brace", EVENT + b"}", "invalid_json")
    yield _row("trailing_nul", EVENT + b"\x00", "invalid_json")
    yield _row("two_events", EVENT + EVENT, "invalid_json")
    yield _row("two_lines", EVENT + b"\n" + EVENT, "invalid_json")
    yield _row("trailing_comma", EVENT[:-1] + b",}", "invalid_json")
    yield _row("line_comment", b"// hello\n" + EVENT, "invalid_json")
    yield _row("block_comment", EVENT + b" /* hello */", "invalid_json")
    yield _row("hash_comment", EVENT + b" # hello", "invalid_json")
    yield _row("single_quotes", b"{'event':'E','userId':'u1'}", "invalid_json")
    yield _row("bare_keys", b'{event:"E",userId:"u1"}', "invalid_json")
    yield _row("undefined", with_property(b"undefined"), "invalid_json")
    yield _row("python_none", with_property(b"None"), "invalid_json")
    yield _row("capital_true", with_property(b"True"), "invalid_json")
    yield _row("jsonp", b"callback(" + EVENT + b")", "invalid_json")
    yield _row("form_encoded", b"event=Order+Completed&userId=u1", "invalid_json")
    yield _row("xml", b"<event>Order Completed</event>", "invalid_json")
    yield _row("base64_event", b"eyJldmVudCI6IkUiLCJ1c2VySWQiOiJ1MSJ9", "invalid_json")
    yield _row("form_feed_before", b"\x0c" + EVENT, "invalid_json")
    yield _row("no_break_space_before", "\u00a0".encode() + EVENT, "invalid_json")
    yield _row("white_space_around", b" \r\n\t" + EVENT + b"\n \t\r\n", OK)


def _top_level() -> Iterator[Hostile]:
    for name, text in (
        ("array", b"[]"),
        ("array_of_events", b"[" + EVENT + b"]"),
        ("string", b'"track"'),
        ("event_in_a_string", b'"{\\"event\\":\\"E\\"}"'),
        ("number", b"5"),
        ("large_number", b"1e999"),
        ("null", b"null"),
        ("true", b"true"),
    ):
        yield _row(f"top_level_{name}", text, "not_an_object")
    yield _row("top_level_nan", b"NaN", "invalid_json")
    yield _row("empty_object", b"{}", "event_not_defined")


def _numbers() -> Iterator[Hostile]:
    yield _row("nan", with_property(b"NaN"), "invalid_json")
    yield _row("infinity", with_property(b"Infinity"), "invalid_json")
    yield _row("minus_infinity", with_property(b"-Infinity"), "invalid_json")
    yield _row("nan_revenue", with_revenue(b"NaN"), "invalid_json")
    yield _row("leading_zero", with_property(b"01"), "invalid_json")
    yield _row("leading_plus", with_property(b"+1"), "invalid_json")
    yield _row("leading_point", with_property(b".5"), "invalid_json")
    yield _row("trailing_point", with_property(b"1."), "invalid_json")
    yield _row("hexadecimal", with_property(b"0x10"), "invalid_json")
    yield _row("exponent_missing", with_property(b"1e"), "invalid_json")
    yield _row("1e999", with_property(b"1e999"), OK)
    yield _row("1e999_revenue", with_revenue(b"1e999"), "revenue_invalid")
    yield _row("1e-999_revenue", with_revenue(b"1e-999"), "revenue_invalid")
    yield _row("1e999_user_id", with_field(b"userId", b"1e999"), "id_not_string")
    yield _row("1e999999999_user_id", with_field(b"userId", b"1e999999999"), "id_not_string")
    yield _row("1e-999999999_user_id", with_field(b"userId", b"1e-999999999"), "id_not_string")
    yield _row("0e-999999999_user_id", with_field(b"userId", b"0e-999999999"), OK)
    yield _row("1e999999999_message_id", with_field(b"messageId", b"1e999999999"), OK)
    yield _row("1e999999999_timestamp", with_field(b"timestamp", b"1e999999999"), OK)
    yield _row("1e-999999999_timestamp", with_field(b"timestamp", b"1e-999999999"), OK)
    yield _row("1e999999999_revenue", with_revenue(b"1e999999999"), "revenue_invalid")
    yield _row("1e999999999_text_revenue", with_revenue(b'"1e999999999"'), "revenue_invalid")
    yield _row("1e-999999999_text_revenue", with_revenue(b'"1e-999999999"'), "revenue_invalid")
    yield _row("exponent_of_20_digits", with_property(b"1e99999999999999999999"), OK)
    yield _row("negative_exponent_of_20_digits", with_property(b"1e-99999999999999999999"), OK)
    yield _row(
        "exponent_of_20_digits_text_revenue",
        with_revenue(b'"1e99999999999999999999"'),
        "revenue_invalid",
    )
    yield _row("integer_of_20_digits", with_property(b"9" * 20), OK)
    yield _row("integer_of_20_digits_user_id", with_field(b"userId", b"9" * 20), OK)
    yield _row("integer_of_39_digits_user_id", with_field(b"userId", b"9" * 39), "id_not_string")
    yield _row("integer_of_4000_digits", with_property(b"9" * 4000), OK)
    yield _row(
        "integer_of_4000_digits_user_id", with_field(b"userId", b"9" * 4000), "id_not_string"
    )
    yield _row("integer_of_4000_digits_timestamp", with_field(b"timestamp", b"9" * 4000), OK)
    yield _row("integer_of_5000_digits", with_property(b"9" * 5000), OK)
    yield _row("integer_of_5000_digits_revenue", with_revenue(b"9" * 5000), "revenue_invalid")
    yield _row(
        "text_of_5000_digits_revenue", with_revenue(b'"' + b"9" * 5000 + b'"'), "revenue_invalid"
    )
    yield _row(
        "text_of_5000_digits_timestamp", with_field(b"timestamp", b'"' + b"9" * 5000 + b'"'), OK
    )
    yield _row("fraction_of_5000_digits", with_property(b"0." + b"1" * 5000), OK)
    yield _row(
        "fraction_of_5000_digits_revenue", with_revenue(b"0." + b"1" * 5000), "revenue_invalid"
    )


def _depth() -> Iterator[Hostile]:
    yield _made("nested_200", lambda: nested(200), OK)
    yield _made("nested_512", lambda: nested(512), OK)
    yield _made("nested_513", lambda: nested(513), "too_deep")
    yield _made("nested_900", lambda: nested(900), "too_deep")
    yield _made("nested_2000", lambda: nested(2_000), "too_deep")
    yield _made("nested_1000000", lambda: nested(1_000_000), "too_deep")
    yield _made("nested_objects_512", lambda: nested(512, b'{"a":', b"}"), OK)
    yield _made("nested_objects_513", lambda: nested(513, b'{"a":', b"}"), "too_deep")
    yield _made("nested_objects_100000", lambda: nested(100_000, b'{"a":', b"}"), "too_deep")
    yield _made("brackets_never_closed", lambda: b"[" * 1_000_000, "too_deep")
    yield _made("600_brackets_never_closed", lambda: b"[" * 600, "too_deep")
    yield _made("950_brackets_never_closed", lambda: b"[" * 950, "too_deep")
    yield _made("512_brackets_never_closed", lambda: b"[" * 512, "invalid_json")
    yield _made("braces_never_closed", lambda: b'{"a":' * 100_000, "too_deep")
    yield _made("brackets_in_text", lambda: with_property(b'"' + b"[{" * 5_000 + b'"'), OK)
    yield _made(
        "brackets_after_quotes", lambda: with_property(rb'"\"\\' + b"[{" * 5_000 + b'"'), OK
    )
    yield _made(
        "many_brackets_side_by_side", lambda: with_property(b"[" + b"[]," * 5_000 + b"0]"), OK
    )
    yield _made("batch_item_too_deep", lambda: batch(EVENT, nested(511)), OK, "too_deep")
    yield _made("batch_item_much_too_deep", lambda: batch(nested(9_000), EVENT), "too_deep", OK)
    yield _made(
        "batch_beside_too_deep",
        lambda: batch(EVENT, rest=b',"a":' + b"[" * 512 + b"]" * 512),
        "too_deep",
    )
    yield _made("batch_item_never_closed", lambda: batch(EVENT, b"[" * 600), "too_deep")
    yield _made("batch_item_just_deep_enough", lambda: batch(EVENT, nested(510)), OK, OK)
    yield _made(
        "context_traits_deep",
        lambda: with_field(b"context", b'{"traits":' + b'{"a":' * 509 + b"1" + b"}" * 510),
        OK,
    )


def _size() -> Iterator[Hostile]:
    yield _made("key_of_100_kB", lambda: with_property(b'{"' + b"k" * 100_000 + b'":1}'), OK)
    yield _made("top_level_key_of_100_kB", lambda: with_field(b"k" * 100_000, b"1"), OK)
    yield _made(
        "event_name_of_100_kB", lambda: with_field(b"event", b'"' + b"E" * 100_000 + b'"'), OK
    )
    yield _made(
        "10000_properties",
        lambda: with_property(
            b"{" + b",".join(b'"key-%d":%d' % (n, n) for n in range(10_000)) + b"}"
        ),
        OK,
    )
    yield _made(
        "10000_wrong_properties",
        lambda: (
            b'{"userId":[],"properties":{'
            + b",".join(b'"k%d":""' % n for n in range(10_000))
            + b"}}"
        ),
        "event_not_defined",
    )
    yield _made("event_of_1_MiB", lambda: padded(MEBIBYTE), "enriched_too_large")
    yield _made("event_of_1_MiB_and_1", lambda: padded(MEBIBYTE + 1), "event_too_large")
    yield _made("event_of_990_kB", lambda: padded(990_000), OK)
    yield _made(
        "batch_with_one_large_item",
        lambda: batch(EVENT, padded(MEBIBYTE + 1), EVENT),
        OK,
        "event_too_large",
        OK,
    )
    yield _made("spaces_of_1_MiB", lambda: b" " * (MEBIBYTE + 1), "empty_value")


def _duplicates() -> Iterator[Hostile]:
    yield _row("duplicate_event", b'{"event":5,"userId":"u1","event":"E"}', OK)
    yield _row(
        "duplicate_event_bad_last", b'{"event":"E","userId":"u1","event":5}', "event_not_string"
    )
    yield _row("duplicate_user_id_null_last", EVENT[:-1] + b',"userId":null}', "no_user_anon_id")
    yield _row(
        "duplicate_properties_bad_last",
        with_property(b"1")[:-1] + b',"properties":1}',
        "properties_not_object",
    )
    yield _row("duplicate_revenue_good_last", with_revenue(b'"x","revenue":5'), OK)
    yield _row("duplicate_by_escape", with_field(rb"\u0065vent", b"null"), "event_not_defined")


def _times() -> Iterator[Hostile]:
    for name, text in (
        ("year_0", b"0000-01-01T00:00:00Z"),
        ("year_1_east", b"0001-01-01T00:00:00+05:00"),
        ("year_1_west", b"0001-01-01T00:00:00-05:00"),
        ("year_9999_west", b"9999-12-31T23:59:59-05:00"),
        ("year_9999_last", b"9999-12-31T23:59:59.999Z"),
        ("year_10000", b"10000-01-01T00:00:00Z"),
        ("year_minus_1", b"-0001-01-01T00:00:00Z"),
        ("year_plus_275760", b"+275760-09-13T00:00:00.000Z"),
        ("offset_99", b"2015-12-12T19:11:01+99:99"),
        ("offset_24", b"2015-12-12T19:11:01+24:00"),
        ("leap_second", b"2016-12-31T23:59:60Z"),
        ("hour_24", b"2015-12-12T24:00:00Z"),
        ("february_30", b"2015-02-30T00:00:00Z"),
        ("full_width_digits", "２０１５-12-12T19:11:01Z".encode()),
        ("arabic_digits", "٢٠١٥-12-12T19:11:01Z".encode()),
        ("superscript_epoch", "¹⁴⁴⁹⁹⁴⁷⁴⁶¹".encode()),
        ("fraction_of_40_digits", b"2015-12-12T19:11:01." + b"9" * 40 + b"Z"),
        ("words", b"tomorrow"),
        ("text_of_100_kB", b"2015-12-12T" + b"1" * 100_000),
    ):
        for field in (b"timestamp", b"sentAt", b"receivedAt", b"originalTimestamp"):
            yield _row(f"{field.decode()}_{name}", with_field(field, b'"' + text + b'"'), OK)
    yield _row(
        "times_at_both_ends",
        with_field(b"originalTimestamp", b'"0001-01-01T00:00:00Z","sentAt":"9999-12-31T23:59:59Z"'),
        OK,
    )
    for name, text in (
        ("object", b"{}"),
        ("array", b"[1]"),
        ("true", b"true"),
        ("minus", b"-1449947461"),
    ):
        yield _row(f"timestamp_{name}", with_field(b"timestamp", text), OK)


def _shapes() -> Iterator[Hostile]:
    for name in ("properties", "context", "integrations"):
        for kind, text in (
            ("text", b'"x"'),
            ("number", b"5"),
            ("true", b"true"),
            ("array", b"[1]"),
        ):
            yield _row(f"{name}_{kind}", with_field(name.encode(), text), f"{name}_not_object")
        yield _row(f"{name}_empty_array", with_field(name.encode(), b"[]"), OK)
        yield _row(f"{name}_null", with_field(name.encode(), b"null"), OK)
    for field in (b"enrichment", b"traits", b"writeKey", b"messageId", b"unknown"):
        for kind, text in (
            ("text", b'"x"'),
            ("number", b"5.5"),
            ("true", b"true"),
            ("array", b"[1]"),
            ("object", b'{"a":1}'),
        ):
            yield _row(f"{field.decode()}_{kind}", with_field(field, text), OK)
    yield _row(
        "products_of_every_type",
        with_revenue(b'5,"products":[1,null,"x",{"currency":[]},[{}]]'),
        OK,
    )
    yield _row(
        "everything_wrong",
        b'{"type":5,"event":[],"userId":{},"properties":1,"context":2}',
        "unsupported_type",
    )
    yield _row(
        "identify_call", b'{"type":"identify","userId":"u1","traits":{"a":1}}', "unsupported_type"
    )


def _batches() -> Iterator[Hostile]:
    bad = with_revenue(b'"x"')
    yield _row("batch_of_two", batch(EVENT, EVENT), OK, OK)
    yield _row("batch_empty", batch(), "empty_batch")
    yield _row("batch_empty_event_null", batch(rest=b',"event":null'), "empty_batch")
    yield _row("batch_null", b'{"batch":null}', "batch_not_array")
    yield _row("batch_null_with_event", with_field(b"batch", b"null"), OK)
    yield _row("batch_object", b'{"batch":{"0":' + EVENT + b"}}", "batch_not_array")
    yield _row("batch_string", b'{"batch":"[]"}', "batch_not_array")
    yield _row("batch_number", b'{"batch":1}', "batch_not_array")
    yield _row("batch_true", b'{"batch":true}', "batch_not_array")
    yield _row("batch_string_with_event", with_field(b"batch", b'"B-17"'), OK)
    yield _row("batch_duplicated", batch(EVENT, rest=b',"batch":[]'), "batch_duplicated")
    yield _row(
        "batch_duplicated_by_escape",
        batch(EVENT, rest=rb',"\u0062atch":[' + EVENT + b"]"),
        "batch_duplicated",
    )
    yield _row(
        "batch_duplicated_beside_event",
        with_field(b"batch", b"[" + EVENT + b'],"batch":[]'),
        "batch_duplicated",
    )
    yield _row("batch_duplicated_not_arrays", b'{"batch":1,"batch":2}', "batch_duplicated")
    yield _row("batch_spelled_with_escape", rb'{"b\u0061tch":[' + EVENT + b"]}", OK)
    yield _row("batch_in_an_item_twice", batch(with_field(b"batch", b'1,"batch":2')), OK)
    yield _row(
        "batch_items_not_objects",
        batch(b"5", b'"x"', b"null", b"[]", EVENT),
        *["not_an_object"] * 4,
        OK,
    )
    yield _row("batch_in_batch", batch(batch(EVENT)), "event_not_defined")
    yield _row("batch_beside_event", with_field(b"batch", b"[" + bad + b"]"), OK)
    yield _row(
        "batch_beside_event_not_string", batch(EVENT, rest=b',"event":5'), "event_not_string"
    )
    yield _row("batch_one_bad_item", batch(EVENT, bad, EVENT), OK, "revenue_invalid", OK)
    yield _row(
        "batch_all_bad_differently",
        batch(b"{}", bad, b"1"),
        "event_not_defined",
        "revenue_invalid",
        "not_an_object",
    )
    yield _row("batch_truncated", batch(EVENT, EVENT)[:-2], "invalid_json")
    yield _row("batch_broken_item", batch(EVENT, EVENT[:-1]), "invalid_json")
    yield _row("batch_trailing_comma", batch(EVENT, b""), "invalid_json")
    yield _row("batch_item_behind_bom", batch(BOM + EVENT, EVENT), "invalid_json")
    yield _row("batch_item_behind_bom_and_nan", batch(BOM + EVENT, b"NaN"), "invalid_json")
    yield _row("batch_in_array", b"[" + batch(EVENT) + b"]", "not_an_object")
    yield _row(
        "batch_white_space", b' { "batch" : [ ' + EVENT + b" ,\n" + EVENT + b" ] } \n", OK, OK
    )
    yield _row(
        "batch_shared_nulls",
        batch(EVENT, rest=b',"context":null,"integrations":null,"sentAt":null'),
        OK,
    )
    yield _row(
        "batch_shared_context_text",
        batch(EVENT, EVENT, rest=b',"context":"x"'),
        *["context_not_object"] * 2,
    )
    yield _row(
        "batch_shared_times_bad", batch(EVENT, rest=b',"sentAt":[],"receivedAt":"never"'), OK
    )
    yield _row(
        "batch_of_other_types",
        batch(EVENT, b'{"type":"page","userId":"u1"}'),
        OK,
        "unsupported_type",
    )
    yield _made(
        "batch_of_1000_empty_events",
        lambda: batch(*[b"{}"] * 1_000),
        *["event_not_defined"] * 1_000,
    )
    yield _made("batch_of_500000_numbers", lambda: batch(*[b"1"] * 500_000), "batch_too_large")
    yield _made(
        "batch_with_huge_shared_context",
        lambda: batch(*[EVENT] * 1_000, rest=b',"context":{"blob":"' + b"x" * 20_000 + b'"}'),
        "batch_too_large",
    )


def _unreadable_items() -> Iterator[Hostile]:
    for kind, text, outcome in (
        ("nan", b"NaN", "invalid_json"),
        ("infinity", b"-Infinity", "invalid_json"),
        ("undefined", b"undefined", "invalid_json"),
        ("not_utf8", b'"\xff"', "invalid_utf8"),
        ("bad_escape", rb'"\x41"', "invalid_json"),
        ("line_break", b'"a\nb"', "invalid_json"),
        ("trailing_comma", b"[1,]", "invalid_json"),
        ("half_and_nan", rb'["\ud83d",NaN]', "invalid_json"),
        ("brackets_in_text", b'["]}{[,",NaN]', "invalid_json"),
    ):
        bad = with_property(text)
        yield _row(f"batch_item_{kind}", batch(EVENT, bad, EVENT), OK, outcome, OK)
        yield _row(f"batch_of_one_{kind}", batch(bad), outcome)
        yield _row(f"batch_beside_{kind}", batch(EVENT, rest=b',"context":' + text), outcome)
        yield _row(f"batch_cut_off_after_{kind}", batch(bad, EVENT)[:-1], outcome)
    nan = with_property(b"NaN")
    yield _row("batch_item_is_nan", batch(b"NaN", EVENT), "invalid_json", OK)
    yield _row(
        "batch_items_all_unreadable",
        batch(nan, with_property(b'"\xff"'), with_property(rb'"\x41"')),
        "invalid_json",
        "invalid_utf8",
        "invalid_json",
    )
    yield _row(
        "batch_item_unreadable_and_others_wrong",
        batch(b"5", nan, with_revenue(b'"x"'), b"{}"),
        "not_an_object",
        "invalid_json",
        "revenue_invalid",
        "event_not_defined",
    )
    yield _row("batch_item_nan_after_bom", BOM + batch(nan, EVENT, rest=b" "), "invalid_json", OK)
    yield _row(
        "batch_spelled_with_escape_item_nan",
        rb' { "b\u0061tch" : [ ' + EVENT + b" , " + nan + b" ] } ",
        OK,
        "invalid_json",
    )
    yield _row("batch_items_without_comma", batch(nan + EVENT, EVENT), "invalid_json")
    yield _row("batch_item_missing_beside_nan", batch(nan, b"", EVENT), "invalid_json")
    yield _row("batch_item_not_closed", batch(nan[:-1], EVENT), "invalid_json")
    yield _row("batch_item_quote_missing", batch(with_property(b'"x'), EVENT), "invalid_json")
    yield _row("batch_duplicated_item_nan", batch(nan, rest=b',"batch":[]'), "invalid_json")
    yield _row("batch_beside_event_item_nan", with_field(b"batch", b"[NaN]"), "invalid_json")
    yield _row("batch_in_array_item_nan", b"[" + batch(nan) + b"]", "invalid_json")
    yield _row("batch_then_text_item_nan", batch(nan) + b"x", "invalid_json")
    yield _made(
        "batch_of_1000_every_other_nan",
        lambda: batch(*[EVENT, nan] * 500),
        *[OK, "invalid_json"] * 500,
    )


FORGED: Final[Headers] = (
    (TrackHeader.SOURCE, b"other/9/9"),
    (TrackHeader.CONTRACT, b"0;0"),
    (TrackHeader.REPLAY, b"forged"),
    (TrackHeader.REDRIVE, b"forged"),
    (TrackHeader.ORIGIN, b"other/9/9/9"),
    (TrackHeader.ORIGIN_TIMESTAMP, b"1"),
    ("track.", b"forged"),
    ("track.anything", None),
    (DlqHeader.VERSION, b"99"),
    (DlqHeader.REASON, b"forged"),
    (DlqHeader.REASON, b"forged twice"),
    (DlqHeader.REASONS, b"[forged"),
    (DlqHeader.STAGE, b"forged"),
    (DlqHeader.SOURCE, b"other/9/9"),
    (DlqHeader.ATTEMPT, b"99"),
    (DlqHeader.FIRST_FAILED_AT, b"1999-01-01T00:00:00.000Z"),
    (DlqHeader.POINTER, b"1"),
    ("dlq.made.up", b"\xff\x00"),
)
"""Header names that only this program may write."""

OTHERS: Final[Headers] = (
    ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("x", None),
    ("x", b""),
    ("x", b"\x00\xff\xfe"),
    ("", b"no name"),
    ("Track.source", b"another case"),
    ("track", b"no point"),
    ("dlq-reason", b"of another program"),
    ("заголовок", "значение".encode()),
)
"""Headers of the sender, which are kept as they are and in this order."""


def _headers() -> Iterator[Hostile]:
    mixed = tuple(header for pair in zip(OTHERS, FORGED, strict=False) for header in pair)
    for name, headers in (("forged", FORGED), ("odd", OTHERS), ("mixed", mixed)):
        yield Hostile(f"{name}_headers", lambda: EVENT, (OK,), headers)
        yield Hostile(f"{name}_headers_tombstone", lambda: None, ("null_value",), headers)
        yield Hostile(
            f"{name}_headers_batch", lambda: batch(EVENT, b"1"), (OK, "not_an_object"), headers
        )
    many = tuple((f"dlq.{n}", b"x" * 100) for n in range(1_000))
    yield Hostile("1000_forged_headers", lambda: b"{}", ("event_not_defined",), many)


HOSTILE: Final[tuple[Hostile, ...]] = (
    *_nothing_there(),
    *_encodings(),
    *_surrogates(),
    *_text(),
    *_not_json(),
    *_top_level(),
    *_numbers(),
    *_depth(),
    *_size(),
    *_duplicates(),
    *_times(),
    *_shapes(),
    *_batches(),
    *_unreadable_items(),
    *_headers(),
)


def _limited(name: str, make: Callable[[], bytes], *outcomes: str, **limits: int) -> Hostile:
    return Hostile(name, make, outcomes, settings={"limits": limits})


def _under_limits() -> Iterator[Hostile]:
    size = len(EVENT)
    two = batch(EVENT, EVENT)
    yield _limited("record_fits", lambda: EVENT, OK, max_record_bytes=size)
    yield _limited("record_too_large", lambda: EVENT, "record_too_large", max_record_bytes=size - 1)
    yield _limited(
        "envelope_too_large", lambda: two, "record_too_large", max_record_bytes=len(two) - 1
    )
    yield _limited("large_rubbish", lambda: b"\xff" * 100, "record_too_large", max_record_bytes=99)
    yield _limited("event_fits", lambda: EVENT, OK, max_event_bytes=size)
    yield _limited("event_too_large", lambda: EVENT, "event_too_large", max_event_bytes=size - 1)
    yield _limited("items_count_alone", lambda: two, OK, OK, max_event_bytes=size)
    yield _limited(
        "one_item_too_large",
        lambda: batch(EVENT, padded(200)),
        OK,
        "event_too_large",
        max_event_bytes=199,
    )
    yield _limited("eight_levels", lambda: nested(8), OK, max_depth=8)
    yield _limited("nine_levels", lambda: nested(9), "too_deep", max_depth=8)
    yield _limited(
        "output_too_large", lambda: padded(1_024), "enriched_too_large", max_output_bytes=1_024
    )
    yield _limited(
        "one_output_too_large",
        lambda: batch(EVENT, padded(1_024), EVENT),
        OK,
        "enriched_too_large",
        OK,
        max_output_bytes=1_024,
    )
    yield _limited(
        "segment_limit", lambda: padded(32_769), "event_too_large", max_event_bytes=32_768
    )
    yield _limited(
        "one_item_too_many", lambda: batch(*[EVENT] * 11), "batch_too_large", max_batch_items=10
    )
    yield _limited(
        "small_items_in_a_large_context",
        lambda: batch(*[EVENT] * 100, rest=b',"context":{"blob":"' + b"x" * 1_000 + b'"}'),
        "batch_too_large",
        max_batch_output_bytes=100_000,
    )


UNDER_LIMITS: Final[tuple[Hostile, ...]] = tuple(_under_limits())
"""Rows that need settings other than the default."""
