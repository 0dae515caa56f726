"""The table of accepted and rejected values: amounts, currencies, ids, event names, types, times.

Each row spells out what is sent (JSON text) and the expected result: the JSON text that stands in
the enriched event (None: the field is not there) with every warning, or every violation.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple


class Row(NamedTuple):
    """One value of one field in an otherwise good event."""

    field: str
    """A key of `FIELDS`."""
    name: str
    sent: str
    out: str | None = None
    warnings: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    """`code /pointer` of every violation."""


class Field(NamedTuple):
    """Where a value is put, and where its result is looked for."""

    path: tuple[str, ...]
    others: dict[str, str | None]
    """Fields that differ from `BASE` (JSON text; None takes one away); `%s` is the value."""


BASE: Final[dict[str, str | None]] = {
    "type": '"track"',
    "event": '"Order Completed"',
    "messageId": '"message-1"',
    "userId": '"user-1"',
    "timestamp": '"2015-12-12T19:11:01.152Z"',
    "receivedAt": '"2015-12-12T19:11:01.266Z"',
}
RECEIVED: Final = '"2015-12-12T19:11:01.266Z"'

FIELDS: Final[dict[str, Field]] = {
    "revenue": Field(("properties", "revenue"), {"properties": '{"revenue":%s,"currency":"EUR"}'}),
    "value": Field(("properties", "value"), {"properties": '{"value":%s}'}),
    "currency": Field(("properties", "currency"), {"properties": '{"revenue":5,"currency":%s}'}),
    "lone_currency": Field(("properties", "currency"), {"properties": '{"currency":%s}'}),
    "userId": Field(("userId",), {"userId": "%s", "anonymousId": '"anonymous-1"'}),
    "anonymousId": Field(("anonymousId",), {"anonymousId": "%s"}),
    "only_userId": Field(("userId",), {"userId": "%s"}),
    "only_anonymousId": Field(("anonymousId",), {"userId": None, "anonymousId": "%s"}),
    "messageId": Field(("messageId",), {"messageId": "%s"}),
    "event": Field(("event",), {"event": "%s"}),
    "type": Field(("type",), {"type": "%s"}),
    "action": Field(("type",), {"type": None, "action": "%s"}),
    "timestamp": Field(("timestamp",), {"timestamp": "%s"}),
    "sentAt": Field(("sentAt",), {"sentAt": "%s"}),
    "receivedAt": Field(("receivedAt",), {"receivedAt": "%s"}),
}


def event_text(row: Row) -> str:
    """The JSON text of the event that is sent."""
    fields = {name: text for name, text in (BASE | FIELDS[row.field].others).items() if text}
    members = (f'"{name}":{text.replace("%s", row.sent)}' for name, text in fields.items())
    return "{" + ",".join(members) + "}"


def _amounts() -> list[Row]:
    """Rows that hold for `revenue` and `value` alike."""
    numbers = {
        "integer": ("5", "5"),
        "zero": ("0", "0"),
        "minus_zero": ("-0", "-0"),
        "minus_zero_exponent": ("-0e0", "-0e0"),
        "zero_point_zero": ("0.00", "0.00"),
        "decimal": ("19.99", "19.99"),
        "trailing_zero_kept": ("1.10", "1.10"),
        "three_decimals": ("14.985", "14.985"),
        "negative": ("-5", "-5"),
        "negative_decimal": ("-19.99", "-19.99"),
        "exponent": ("1e3", "1E+3"),
        "capital_exponent": ("1E3", "1E+3"),
        "negative_exponent": ("5e-2", "0.05"),
        "nine_decimals": ("0.123456789", "0.123456789"),
        "twelve_decimals_of_zeros": ("1.500000000000", "1.500000000000"),
        "large_integer": ("18446744073709551616", "18446744073709551616"),
        "29_nines": ("9" * 29, "9" * 29),
        "29_nines_and_nine_decimals": ("9" * 29 + "." + "9" * 9, "9" * 29 + "." + "9" * 9),
        "minus_29_nines": ("-" + "9" * 29, "-" + "9" * 29),
        "1e28": ("1e28", "1E+28"),
        "zero_with_large_exponent": ("0e999", "0E+999"),
    }
    rounded = {
        "ten_decimals": ("0.1234567891", "0.1234567891"),
        "eighteen_decimals": ("19.990000000000000001", "19.990000000000000001"),
        "1e-100": ("1e-100", "1E-100"),
        "29_nines_rounding_down": ("9" * 29 + "." + "9" * 9 + "4", "9" * 29 + "." + "9" * 9 + "4"),
    }
    texts = {
        "decimal": ("19.99", "19.99"),
        "integer": ("5", "5"),
        "padded": (" 12 ", "12"),
        "tab_and_newline": ("\t12\n", "12"),
        "dollar": ("$19.99", "19.99"),
        "dollar_padded": (" $5 ", "5"),
        "dollar_minus": ("$-5", "-5"),
        "dollar_plus": ("$+5", "5"),
        "exponent": ("1e3", "1E+3"),
        "signed_exponent": ("1E-2", "0.01"),
        "negative": ("-5", "-5"),
        "plus": ("+5", "5"),
        "zero": ("0", "0"),
        "minus_zero": ("-0", "-0"),
        "trailing_zero": ("1.10", "1.10"),
        "zero_decimal": ("0.5", "0.5"),
        "minus_zero_decimal": ("-0.50", "-0.50"),
        "zero_exponent": ("0e5", "0E+5"),
        "point_first": (".5", "0.5"),
        "minus_point_first": ("-.5", "-0.5"),
        "point_last": ("5.", "5"),
        "dollar_point_last": ("$5.", "5"),
        "point_before_exponent": ("5.e2", "5E+2"),
        "15_digits": ("123456789.012345", "123456789.012345"),
    }
    long_texts = {
        "16_digits": ("1234567890123456", "1234567890123456"),
        "16_digits_with_a_zero": ("1.500000000000000", "1.500000000000000"),
        "29_nines": ("9" * 29, "9" * 29),
    }
    rejected_texts = {
        "leading_zeros": "007",
        "leading_zeros_decimal": "00.5",
        "leading_zero_minus": "-007",
        "leading_zero_dollar": "$00420",
        "two_zeros": "00",
        "thousands_comma": "1,234.56",
        "thousands_only": "1,234",
        "decimal_comma": "19,99",
        "european": "1.234,56",
        "thousands_space": "1 234",
        "thousands_apostrophe": "1'234",
        "underscore": "1_000",
        "two_points": "1.2.3",
        "euro": "€5",
        "pound": "£19.99",
        "yen": "¥500",
        "full_width_dollar": "＄5",
        "dollar_behind": "5$",
        "two_dollars": "$$5",
        "minus_dollar": "-$5",
        "plus_dollar": "+$5",
        "dollar_space": "$ 5",
        "dollar_only": "$",
        "us_dollar": "US$5",
        "code_before": "USD 5",
        "code_behind": "5 USD",
        "percent": "5%",
        "hexadecimal": "0x10",
        "octal": "0o17",
        "arabic_digits": "١٢",
        "full_width_digits": "１２",
        "superscript": "5²",
        "half": "½",
        "quotient": "1/2",
        "minus_sign_of_unicode": "−5",
        "nan": "NaN",
        "small_nan": "nan",
        "signalling_nan": "sNaN",
        "infinity": "Infinity",
        "minus_infinity": "-Infinity",
        "inf": "inf",
        "word": "free",
        "true": "true",
        "null": "null",
        "two_minuses": "--5",
        "minus_only": "-",
        "point_only": ".",
        "exponent_missing": "1e",
        "exponent_only": "e5",
        "exponent_decimal": "1e5.5",
        "space_before_exponent": "1 e3",
        "nul_behind": "5\x00",
        "zero_width_space": "\u200b5",
        "1e29": "1e29",
        "30_nines": "9" * 30,
        "1e-101": "1e-101",
        "exponent_of_20_digits": "1e99999999999999999999",
    }
    rejected = {
        "true": "true",
        "false": "false",
        "empty_array": "[]",
        "array": "[5]",
        "empty_object": "{}",
        "object": '{"amount":5}',
        "1e29": "1e29",
        "minus_1e29": "-1e29",
        "30_digits": "1" + "0" * 29,
        "29_nines_rounding_up": "9" * 29 + "." + "9" * 10,
        "1e400": "1e400",
        "1e999": "1e999",
        "1e-101": "1e-101",
        "1e-999": "1e-999",
    }
    rows: list[Row] = []
    for field in ("revenue", "value"):
        at = f" /properties/{field}"
        text, bad = f"number_from_string{at}", f"{field}_invalid{at}"
        rows += [Row(field, f"number_{name}", *pair) for name, pair in numbers.items()]
        rows += [Row(field, f"number_{name}", *pair) for name, pair in rounded.items()]
        rows += [
            Row(field, f"text_{name}", json.dumps(sent), out, (text,))
            for name, (sent, out) in texts.items()
        ]
        rows.append(Row(field, "text_ten_decimals", '"0.1234567891"', "0.1234567891", (text,)))
        invalid = rejected | {f"text_{name}": json.dumps(s) for name, s in rejected_texts.items()}
        if field == "revenue":
            rows += [
                Row(field, f"text_{name}", json.dumps(sent), out, (text,))
                for name, (sent, out) in long_texts.items()
            ]
            rows += [Row(field, name, sent, rejected=(bad,)) for name, sent in invalid.items()]
        else:
            # A `value` is no money: what can't be read is kept, and so is what may be an id.
            invalid |= {f"text_{name}": f'"{sent}"' for name, (sent, _) in long_texts.items()}
            rows += [Row(field, name, sent, sent, (bad,)) for name, sent in invalid.items()]
        rows.append(Row(field, "null", "null", None))
        for name, sent in {"blank": '""', "spaces": '" \\t "'}.items():
            rows.append(Row(field, name, sent, None, (f"empty_reserved_property{at}",)))
    return rows


def _currencies() -> list[Row]:
    good = {
        "code": ('"EUR"', '"EUR"'),
        "dollar": ('"USD"', '"USD"'),
        "lower_case": ('"eur"', '"EUR"'),
        "mixed_case": ('"Gbp"', '"GBP"'),
        "padded": ('" eur\\n"', '"EUR"'),
        "without_minor_unit": ('"JPY"', '"JPY"'),
        "kuna_while_in_use": ('"HRK"', '"HRK"'),
        "rouble_while_in_use": ('"byr"', '"BYR"'),
        "gold": ('"XAU"', '"XAU"'),
    }
    bad = {
        "no_currency": '"XXX"',
        "test_currency": '"xts"',
        "word": '"euro"',
        "too_short": '"EU"',
        "too_long": '"USDT"',
        "unknown_code": '"BTC"',
        "offshore_yuan": '"CNH"',
        "sign": '"€"',
        "dollar_sign": '"$"',
        "us_dollar_sign": '"US$"',
        "numeric_code_text": '"978"',
        "numeric_code": "978",
        "misprint_of_the_standard": '"4127"',
        "dotless_i": '"ıdr"',
        "long_s": '"uſd"',
        "full_width": '"ＥＵＲ"',
        "combining": '"EUR\\u0301"',
        "inner_space": '"E R"',
        "nul": '"EU\\u0000"',
        "list": '["EUR"]',
        "empty_list": "[]",
        "object": '{"code":"EUR"}',
        "true": "true",
        "zero": "0",
    }
    withdrawn = {"mark": '"DEM"', "old_lira": '"TRL"'}
    blank = {"blank": '""', "spaces": '"   "'}
    at = "/properties/currency"
    rows: list[Row] = []
    for field in ("currency", "lone_currency"):
        rows += [Row(field, name, sent, out) for name, (sent, out) in good.items()]
    rows += [
        Row("currency", n, sent, rejected=(f"currency_invalid {at}",)) for n, sent in bad.items()
    ]
    rows += [
        Row("lone_currency", name, sent, sent, (f"currency_invalid {at}",))
        for name, sent in bad.items()
    ]
    rows.append(Row("currency", "null", "null", '"USD"'))
    rows.append(Row("lone_currency", "null", "null", None))
    for name, sent in blank.items():
        rows.append(Row("currency", name, sent, '"USD"', (f"empty_reserved_property {at}",)))
        rows.append(Row("lone_currency", name, sent, None, (f"empty_reserved_property {at}",)))
    for name, sent in withdrawn.items():
        rows.append(Row("currency", name, sent, sent, (f"currency_withdrawn {at}",)))
        rows.append(Row("lone_currency", name, sent, sent))
    return rows


def _ids() -> list[Row]:
    texts = {
        "text": ('"u1"', '"u1"'),
        "padded": ('"  u1\\t"', '"u1"'),
        "inner_space": ('"u 1"', '"u 1"'),
        "digits": ('"00123"', '"00123"'),
        "unicode": ('"ユーザー"', '"ユーザー"'),
        "long": ('"' + "u" * 5_000 + '"', '"' + "u" * 5_000 + '"'),
    }
    placeholders = {
        "undefined": ('"undefined"', '"undefined"'),
        "null_text": ('" null "', '"null"'),
        "none_of_python": ('"None"', '"None"'),
        "null_of_sql": ('"NULL"', '"NULL"'),
        "nan": ('"NaN"', '"NaN"'),
        "object_of_javascript": ('"[object Object]"', '"[object Object]"'),
        "zero_uuid": ('"00000000-0000-0000-0000-000000000000"',) * 2,
    }
    numbers = {
        "integer": ("12345", '"12345"'),
        "zero": ("0", '"0"'),
        "minus_zero": ("-0", '"0"'),
        "negative": ("-5", '"-5"'),
        "zero_fraction": ("12345.0", '"12345"'),
        "long_zero_fraction": ("12345.000000", '"12345"'),
        "exponent": ("12e3", '"12000"'),
        "exponent_and_fraction": ("1.2345e4", '"12345"'),
        "above_64_bits": ("18446744073709551617", '"18446744073709551617"'),
        "38_digits": ("9" * 38, '"' + "9" * 38 + '"'),
        "1e37": ("1e37", '"1' + "0" * 37 + '"'),
    }
    bad = {
        "fraction": "12.5",
        "small_fraction": "12345.000000001",
        "39_digits": "1" + "0" * 38,
        "1e38": "1e38",
        "1e999": "1e999",
        "1e-999": "1e-999",
        "true": "true",
        "false": "false",
        "object": '{"id":"u1"}',
        "empty_object": "{}",
        "list": '["u1"]',
        "empty_list": "[]",
    }
    blank = {"null": "null", "blank": '""', "spaces": '"  "'}
    rows: list[Row] = []
    for field in ("userId", "anonymousId", "only_userId", "only_anonymousId", "messageId"):
        at = "/" + field.removeprefix("only_")
        rows += [Row(field, name, sent, out) for name, (sent, out) in texts.items()]
        rows += [
            Row(field, name, sent, out, (f"id_placeholder {at}",))
            for name, (sent, out) in placeholders.items()
        ]
        rows += [
            Row(field, name, sent, out, (f"id_stringified {at}",))
            for name, (sent, out) in numbers.items()
        ]
    for name, sent in bad.items():
        no_id = "no_user_anon_id"
        rows += [
            Row("userId", name, sent, rejected=("id_not_string /userId",)),
            Row("anonymousId", name, sent, None, ("id_not_string /anonymousId",)),
            Row("only_userId", name, sent, rejected=("id_not_string /userId", no_id)),
            Row("only_anonymousId", name, sent, rejected=("id_not_string /anonymousId", no_id)),
        ]
    for name, sent in blank.items():
        rows += [
            Row("userId", name, sent),
            Row("anonymousId", name, sent),
            Row("only_userId", name, sent, rejected=("no_user_anon_id",)),
            Row("only_anonymousId", name, sent, rejected=("no_user_anon_id",)),
        ]
    return rows


def _names() -> list[Row]:
    event, padded, blank = "/event", ("event_name_padded /event",), ("event_blank /event",)
    rows = [
        Row("event", "text", '"Order Completed"', '"Order Completed"'),
        Row("event", "one_character", '"e"', '"e"'),
        Row("event", "inner_spaces", '"a  b"', '"a  b"'),
        Row("event", "emoji", '"🛒"', '"🛒"'),
        Row("event", "space_before", '" Order"', '" Order"', padded),
        Row("event", "newline_behind", '"Order\\n"', '"Order\\n"', padded),
        Row("event", "null", "null", rejected=(f"event_not_defined {event}",)),
        Row("event", "blank", '""', rejected=blank),
        Row("event", "spaces", '"   "', rejected=blank),
        Row("event", "tabs", '"\\t\\n"', rejected=blank),
        Row("type", "track", '"track"', '"track"'),
        Row("type", "null", "null", '"track"'),
        Row("type", "blank", '""', '"track"'),
        Row("type", "spaces", '" \\t"', '"track"'),
        Row("action", "track", '"track"', '"track"'),
        Row("action", "null", "null", '"track"'),
        Row("action", "blank", '""', '"track"'),
        Row("action", "capital", '"Track"', '"track"', ("type_normalised /action",)),
        Row("action", "number", "5", '"track"'),
        Row("action", "object", "{}", '"track"'),
    ]
    for name, sent in {
        "number": "5",
        "zero": "0",
        "true": "true",
        "list": '["e"]',
        "object": "{}",
    }.items():
        rows.append(Row("event", name, sent, rejected=(f"event_not_string {event}",)))
    for name, sent in {
        "identify": '"identify"',
        "page": '"page"',
        "two_words": '"track call"',
        "plural": '"tracks"',
        "kelvin_sign": '"trac\u212a"',
        "number": "1",
        "false": "false",
        "object": "{}",
        "list": '["track"]',
    }.items():
        rows.append(Row("type", name, sent, rejected=("unsupported_type /type",)))
    for name, sent in {
        "capital": '"Track"',
        "upper_case": '"TRACK"',
        "padded": '" track"',
        "padded_by_a_wide_space": '"Track\u00a0"',
    }.items():
        rows.append(Row("type", name, sent, '"track"', ("type_normalised /type",)))
    return rows


def _times() -> list[Row]:
    good = {
        "canonical": ("2015-12-12T19:11:01.249Z", "2015-12-12T19:11:01.249Z"),
        "no_fraction": ("2015-12-12T19:11:01Z", "2015-12-12T19:11:01.000Z"),
        "no_seconds": ("2015-12-12T19:11Z", "2015-12-12T19:11:00.000Z"),
        "no_seconds_no_zone": ("2015-12-12T19:11", "2015-12-12T19:11:00.000Z"),
        "date_only": ("2015-12-12", "2015-12-12T00:00:00.000Z"),
        "space_for_t": ("2015-12-12 19:11:01", "2015-12-12T19:11:01.000Z"),
        "space_for_t_zone": ("2015-12-12 19:11:01.5+00:00", "2015-12-12T19:11:01.500Z"),
        "no_zone": ("2015-12-12T19:11:01.249", "2015-12-12T19:11:01.249Z"),
        "one_digit": ("2015-12-12T19:11:01.2Z", "2015-12-12T19:11:01.200Z"),
        "two_digits": ("2015-12-12T19:11:01.24Z", "2015-12-12T19:11:01.240Z"),
        "four_digits": ("2015-12-12T19:11:01.2499Z", "2015-12-12T19:11:01.249Z"),
        "six_digits": ("2015-12-12T19:11:01.249999Z", "2015-12-12T19:11:01.249Z"),
        "nine_digits_truncated": ("2015-12-12T19:11:01.999999999Z", "2015-12-12T19:11:01.999Z"),
        "plus_colon": ("2015-12-12T20:11:01.249+01:00", "2015-12-12T19:11:01.249Z"),
        "plus_plain": ("2015-12-12T20:11:01.249+0100", "2015-12-12T19:11:01.249Z"),
        "plus_hours": ("2015-12-12T20:11:01.249+01", "2015-12-12T19:11:01.249Z"),
        "minus_colon": ("2015-12-12T14:11:01.249-05:00", "2015-12-12T19:11:01.249Z"),
        "minus_half_hour": ("2015-12-12T15:41:01-0330", "2015-12-12T19:11:01.000Z"),
        "nepal": ("2015-12-13T00:56:01+05:45", "2015-12-12T19:11:01.000Z"),
        "offset_over_midnight": ("2015-12-01T01:00:00+14:00", "2015-11-30T11:00:00.000Z"),
        "minus_zero_offset": ("2015-12-12T19:11:01-00:00", "2015-12-12T19:11:01.000Z"),
        "leap_day": ("2012-02-29T12:00:00Z", "2012-02-29T12:00:00.000Z"),
        "before_1970": ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        "first_moment": ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        "first_moment_by_offset": ("0001-01-01T05:00:00+05:00", "0001-01-01T00:00:00.000Z"),
        "leading_space": (" 2015-12-12T19:11:01.249Z", "2015-12-12T19:11:01.249Z"),
        "trailing_space": ("2015-12-12T20:11:01+01:00 ", "2015-12-12T19:11:01.000Z"),
        "padded_date": ("\\t2015-12-12\\u00a0", "2015-12-12T00:00:00.000Z"),
        "trailing_newline": ("2015-12-12T19:11:01.249Z\\n", "2015-12-12T19:11:01.249Z"),
        "padded_digits": (" 1449947461 ", "2015-12-12T19:11:01.000Z"),
        "one_digit_hour": ("2015-12-12T4:00", "2015-12-12T04:00:00.000Z"),
        "one_digit_hour_and_all": ("2015-12-12 4:05:06.7+02:00", "2015-12-12T02:05:06.700Z"),
        "zone_with_seconds": ("2015-12-12T19:30:33+00:19:32", "2015-12-12T19:11:01.000Z"),
        "zone_with_seconds_plain": ("2015-12-12T18:51:29.5-001932", "2015-12-12T19:11:01.500Z"),
        "zone_after_a_space": ("2015-12-12 20:11:01 +0100", "2015-12-12T19:11:01.000Z"),
        "zone_name": ("2015-12-12T19:11:01 UTC", "2015-12-12T19:11:01.000Z"),
        "zone_name_and_fraction": ("2015-12-12 11:11:01.25 PST", "2015-12-12T19:11:01.250Z"),
        "rfc_1123": ("Sat, 12 Dec 2015 19:11:01 GMT", "2015-12-12T19:11:01.000Z"),
        "rfc_1123_utc": ("Sat, 12 Dec 2015 19:11:01 UTC", "2015-12-12T19:11:01.000Z"),
        "rfc_1123_offset": ("Sat, 12 Dec 2015 20:11:01 +0100", "2015-12-12T19:11:01.000Z"),
        "rfc_1123_no_seconds": ("Sat, 12 Dec 2015 19:11 GMT", "2015-12-12T19:11:00.000Z"),
        "rfc_1123_one_digit_day": ("Sat, 2 May 2015 19:11:01 GMT", "2015-05-02T19:11:01.000Z"),
        "rfc_1123_no_day_name": ("12 Dec 2015 19:11:01 GMT", "2015-12-12T19:11:01.000Z"),
        "rfc_1123_other_day_name": ("Mon, 12 Dec 2015 19:11:01 GMT", "2015-12-12T19:11:01.000Z"),
        "rfc_1123_lower_case": ("sat, 12 dec 2015 19:11:01 gmt", "2015-12-12T19:11:01.000Z"),
        "rfc_850": ("Saturday, 12-Dec-15 19:11:01 GMT", "2015-12-12T19:11:01.000Z"),
        "rfc_850_full_year": ("Saturday, 12-Dec-2015 19:11:01 UTC", "2015-12-12T19:11:01.000Z"),
        "rfc_822": ("12 Dec 15 14:11 EST", "2015-12-12T19:11:00.000Z"),
        "rfc_822_ut": ("12 Dec 15 19:11:01 UT", "2015-12-12T19:11:01.000Z"),
        "rfc_822_z": ("12 Dec 15 19:11:01 Z", "2015-12-12T19:11:01.000Z"),
        "rfc_822_edt": ("12 Dec 2015 15:11:01 EDT", "2015-12-12T19:11:01.000Z"),
        "rfc_822_cst": ("12 Dec 2015 13:11:01 CST", "2015-12-12T19:11:01.000Z"),
        "rfc_822_cdt": ("12 Dec 2015 14:11:01 CDT", "2015-12-12T19:11:01.000Z"),
        "rfc_822_mst": ("12 Dec 2015 12:11:01 MST", "2015-12-12T19:11:01.000Z"),
        "rfc_822_mdt": ("12 Dec 2015 13:11:01 MDT", "2015-12-12T19:11:01.000Z"),
        "rfc_822_pst": ("12 Dec 2015 11:11:01 PST", "2015-12-12T19:11:01.000Z"),
        "rfc_822_pdt": ("12 Dec 2015 12:11:01 PDT", "2015-12-12T19:11:01.000Z"),
    }
    bad = {
        "blank": '""',
        "spaces": '"  "',
        "word": '"yesterday"',
        "now": '"now"',
        "year_0": '"0000-01-01T00:00:00Z"',
        "year_10000": '"10000-01-01T00:00:00Z"',
        "negative_year": '"-0001-01-01T00:00:00Z"',
        "before_year_1_by_offset": '"0001-01-01T00:00:00+05:00"',
        "after_year_9999_by_offset": '"9999-12-31T23:59:59-01:00"',
        "month_13": '"2015-13-01T00:00:00Z"',
        "month_0": '"2015-00-01T00:00:00Z"',
        "day_32": '"2015-12-32T00:00:00Z"',
        "february_29": '"2015-02-29T00:00:00Z"',
        "hour_25": '"2015-12-12T25:00:00Z"',
        "minute_60": '"2015-12-12T19:60:00Z"',
        "ten_fraction_digits": '"2015-12-12T19:11:01.0123456789Z"',
        "fraction_missing": '"2015-12-12T19:11:01.Z"',
        "offset_99": '"2015-12-12T19:11:01+99:00"',
        "offset_seconds_60": '"2015-12-12T19:11:01+00:00:60"',
        "offset_of_mixed_form": '"2015-12-12T19:11:01+0019:32"',
        "zone_of_many": '"2015-12-12T19:11:01 CET"',
        "zone_of_the_military": '"2015-12-12T19:11:01 A"',
        "zone_without_space": '"2015-12-12T19:11:01UTC"',
        "two_zones": '"2015-12-12T19:11:01Z+01:00"',
        "offset_and_name": '"2015-12-12 19:11:01 +0000 UTC"',
        "hour_of_three_digits": '"2015-12-12T004:00"',
        "one_digit_minute": '"2015-12-12T4:0"',
        "rfc_1123_no_zone": '"Sat, 12 Dec 2015 19:11:01"',
        "rfc_1123_zone_of_many": '"Sat, 12 Dec 2015 19:11:01 CET"',
        "rfc_1123_comment": '"Sat, 12 Dec 2015 19:11:01 +0000 (UTC)"',
        "rfc_1123_day_32": '"Sat, 32 Dec 2015 19:11:01 GMT"',
        "rfc_1123_day_0": '"Sat, 0 Dec 2015 19:11:01 GMT"',
        "rfc_1123_february_29": '"Sun, 29 Feb 2015 19:11:01 GMT"',
        "rfc_1123_hour_24": '"Sat, 12 Dec 2015 24:11:01 GMT"',
        "rfc_1123_no_comma": '"Sat 12 Dec 2015 19:11:01 GMT"',
        "rfc_1123_french": '"sam, 12 d\u00e9c 2015 19:11:01 GMT"',
        "rfc_1123_month_in_full": '"Sat, 12 December 2015 19:11:01 GMT"',
        "rfc_1123_long_s": '"\u017fat, 12 Dec 2015 19:11:01 GMT"',
        "rfc_1123_year_of_three": '"Sat, 12 Dec 015 19:11:01 GMT"',
        "rfc_850_mixed": '"Saturday, 12-Dec 15 19:11:01 GMT"',
        "asctime": '"Sat Dec 12 19:11:01 2015"',
        "javascript": '"Sat Dec 12 2015 19:11:01 GMT+0100 (CET)"',
        "american": '"12/12/2015 19:11"',
        "two_digit_year": '"15-12-12T19:11:01Z"',
        "one_digit_month": '"2015-1-12T19:11:01Z"',
        "full_width_digits": '"２０１５-12-12T19:11:01Z"',
        "trailing_text": '"2015-12-12T19:11:01.249Zx"',
        "inner_space": '"2015-12-12 T 19:11:01Z"',
        "leading_zero": '"01449947461"',
        "plus_digits": '"+1449947461"',
        "comma_for_point": '"1449947461,5"',
        "point_at_the_end": '"1449947461."',
        "nine_digits": "144994746",
        "nine_digits_text": '"144994746"',
        "twelve_digits": "144994746124",
        "fifteen_digits": "144994746124900",
        "eighteen_digits": "144994746124900000",
        "twenty_digits": "14499474612490000000",
        "twenty_digits_text": '"14499474612490000000"',
        "zero": "0",
        "negative_number": "-1449947461",
        "negative_digits": '"-1449947461"',
        "1e999": "1e999",
        "1e-999": "1e-999",
        "true": "true",
        "false": "false",
        "list": '["2015-12-12"]',
        "object": '{"$date":"2015-12-12"}',
    }
    numbers = {
        "seconds": ("1449947461", "2015-12-12T19:11:01.000Z"),
        "milliseconds": ("1449947461249", "2015-12-12T19:11:01.249Z"),
        "microseconds": ("1449947461249999", "2015-12-12T19:11:01.249Z"),
        "nanoseconds": ("1449947461249999999", "2015-12-12T19:11:01.249Z"),
        "microseconds_with_fraction": ("1449947461249999.9", "2015-12-12T19:11:01.249Z"),
        "nanoseconds_with_exponent": ("1.449947461249E18", "2015-12-12T19:11:01.249Z"),
        "many_digits_truncated": ("1449947461.249" + "9" * 50, "2015-12-12T19:11:01.249Z"),
        "smallest_seconds": ("1000000000", "2001-09-09T01:46:40.000Z"),
        "milliseconds_with_exponent": ("1.449947461249e12", "2015-12-12T19:11:01.249Z"),
        "seconds_zero_fraction": ("1449947461.0", "2015-12-12T19:11:01.000Z"),
        "seconds_with_fraction": ("1449947461.2499", "2015-12-12T19:11:01.249Z"),
        "milliseconds_with_fraction": ("1449947461249.9", "2015-12-12T19:11:01.249Z"),
        "seconds_as_java_prints_them": ("1.449947461249E9", "2015-12-12T19:11:01.249Z"),
    }
    # What stands in each field when the sent time can't be read: the Kafka record's own time.
    instead = {"timestamp": RECEIVED, "sentAt": None, "receivedAt": '"2015-12-12T19:11:01.300Z"'}
    rows = [
        Row("timestamp", "null", "null", RECEIVED),
        Row("sentAt", "null", "null"),
        Row("receivedAt", "null", "null", instead["receivedAt"]),
        Row("timestamp", "in_24_hours", '"2015-12-13T19:11:01.266Z"', '"2015-12-13T19:11:01.266Z"'),
    ]
    future = ("timestamp_in_future /timestamp",)
    for name, text in {
        "in_over_24_hours": "2015-12-13T19:11:01.267Z",
        "in_9999": "9999-12-31T23:59:59.999Z",
    }.items():
        rows.append(Row("timestamp", name, f'"{text}"', f'"{text}"', future))
    for field, unreadable in instead.items():
        rows += [
            Row(field, f"number_{name}", sent, f'"{out}"', _clock(field, out))
            for name, (sent, out) in numbers.items()
        ]
        rows += [
            Row(field, f"digits_{name}", f'"{sent}"', f'"{out}"', _clock(field, out))
            for name, (sent, out) in numbers.items()
        ]
        rows += [
            Row(field, name, f'"{sent}"', f'"{out}"', _clock(field, out))
            for name, (sent, out) in good.items()
        ]
        rows += [
            Row(field, name, sent, unreadable, (f"timestamp_unparsable /{field}",))
            for name, sent in bad.items()
        ]
    return rows


def _clock(field: str, read: str) -> tuple[str, ...]:
    """What else follows from a readable time beside the base's times, in December 2015."""
    if field == "timestamp" and read < "2005-12-11":
        return ("timestamp_far_past /timestamp",)
    if field == "sentAt" and read < "2015-12-12T19:11:01.152Z":
        return ("sent_before_original /sentAt",)
    if field == "receivedAt" and read < "2015-12-11T19:11:01.152Z":
        return ("timestamp_in_future /timestamp",)
    return ()


ROWS: Final[tuple[Row, ...]] = (*_amounts(), *_currencies(), *_ids(), *_names(), *_times())
