"""The schemas of what is written are no formality: each promise that is broken is noticed."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.unit.schemas.published import EXAMPLES, accepts, load

JsonObject = dict[str, Any]
TIME: Final = "2015-12-12T19:11:01.249Z"

WRONG_EVENTS: Final[dict[str, JsonObject]] = {
    "no_type": {"type": ...},
    "other_type": {"type": "identify"},
    "no_event": {"event": ...},
    "blank_event": {"event": " \u00a0"},
    "no_message_id": {"messageId": ...},
    "empty_message_id": {"messageId": ""},
    "padded_message_id": {"messageId": "m\n"},
    "nobody": {"userId": ...},
    "numeric_id": {"userId": 5},
    "null_id": {"anonymousId": None},
    "time_without_milliseconds": {"sentAt": "2015-12-12T19:11:01Z"},
    "time_of_another_zone": {"timestamp": "2015-12-12T19:11:01.249+01:00"},
    "time_and_more": {"receivedAt": f"{TIME}\n"},
    "null_time": {"originalTimestamp": None},
    "no_properties": {"properties": ...},
    "null_properties": {"properties": None},
    "revenue_as_text": {"properties": {"revenue": "19.99", "currency": "USD"}},
    "revenue_null": {"properties": {"revenue": None, "currency": "USD"}},
    "revenue_too_large": {"properties": {"revenue": 10**29, "currency": "USD"}},
    "refund_too_large": {"properties": {"revenue": -(10**29), "currency": "USD"}},
    "revenue_without_currency": {"properties": {"revenue": 19}},
    "currency_in_lower_case": {"properties": {"revenue": 19, "currency": "usd"}},
    "currency_unknown": {"properties": {"revenue": 19, "currency": "BTC"}},
    "currency_null": {"properties": {"currency": None}},
    "currency_blank": {"properties": {"currency": " "}},
    "value_blank": {"properties": {"value": " "}},
    "value_null": {"properties": {"value": None}},
    "unreadable_that_is_no_time": {"enrichment": {"unreadable": {"/userId": "u"}}},
    "unreadable_that_is_long": {"enrichment": {"unreadable": {"/sentAt": "x" * 65}}},
    "no_context": {"context": ...},
    "context_array": {"context": [], "traits": {"plan": "pro"}},
    "traits_not_promoted": {"context": {"traits": {"plan": "pro"}}},
    "traits_replaced": {"context": {"traits": {"plan": "pro"}}, "traits": "pro"},
    "traits_lost": {"context": {"traits": {"plan": "pro"}}, "traits": {}},
    "integrations_array": {"integrations": []},
    "no_enrichment": {"enrichment": ...},
    "no_source_of_the_timestamp": {"enrichment": {}},
    "unknown_source": {"enrichment": {"timestampSource": "guessed"}},
    "currency_not_defaulted": {
        "enrichment": {"timestampSource": "given", "currencyDefaulted": False}
    },
    "no_warnings": {"enrichment": {"timestampSource": "given", "warnings": []}},
    "unknown_warning": {"enrichment": {"timestampSource": "given", "warnings": ["odd /event"]}},
    "warning_without_pointer": {
        "enrichment": {"timestampSource": "given", "warnings": ["id_stringified"]}
    },
    "too_many_warnings": {
        "enrichment": {"timestampSource": "given", "warnings": ["id_stringified /userId"] * 33}
    },
    "unknown_enrichment": {"enrichment": {"timestampSource": "given", "geo": "UK"}},
}
WRONG_MESSAGES: Final[dict[str, JsonObject]] = {
    "type_track": {"type": "track"},
    "nobody": {"userId": ..., "anonymousId": ...},
    "no_message_id": {"messageId": ...},
    "no_traits": {"traits": ...},
    "empty_traits": {"traits": {}},
    "traits_array": {"traits": ["plan"]},
    "context_without_traits": {"context": {}},
    "context_of_empty_traits": {"context": {"traits": {}}},
    "context_of_traits_array": {"context": {"traits": ["plan"]}},
    "context_array": {"context": []},
    "integrations_array": {"integrations": []},
    "padded_message_id": {"messageId": " m"},
    "numeric_user_id": {"userId": 5},
    "empty_anonymous_id": {"anonymousId": ""},
    "date_as_timestamp": {"timestamp": "2015-12-12"},
    "number_as_original_timestamp": {"originalTimestamp": 1449947461249},
    "blank_sent_at": {"sentAt": ""},
    "null_received_at": {"receivedAt": None},
    "event": {"event": "Button Clicked"},
    "enrichment": {"enrichment": {"timestampSource": "given"}},
}


def _changed(example: str, fields: JsonObject) -> JsonObject:
    """An example with these fields; `...` takes one away."""
    document: JsonObject = load((EXAMPLES / example).read_bytes())
    return {name: value for name, value in (document | fields).items() if value is not ...}


@pytest.mark.parametrize("name", WRONG_EVENTS)
def test_wrong_enriched_events(name: str) -> None:
    """An enriched event that breaks a promise is rejected."""
    assert accepts("enriched", _changed("enriched/order_completed.json", {}))
    wrong = _changed("enriched/order_completed.json", WRONG_EVENTS[name])
    assert not accepts("enriched", wrong)


@pytest.mark.parametrize("name", WRONG_MESSAGES)
def test_wrong_identify_messages(name: str) -> None:
    """An identify message that breaks a promise is rejected."""
    assert accepts("identify", _changed("identify/button_clicked.json", {}))
    wrong = _changed("identify/button_clicked.json", WRONG_MESSAGES[name])
    assert not accepts("identify", wrong)
