"""Filters select events of a record, and the outputs that belong to them."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.headers import TrackHeader
from pipeline.core.record import Record, Role
from pipeline.reconcile.event_filters import (
    EVERY_EVENT,
    WHOLE,
    Filters,
    processor_for,
    read_value_filter,
)
from tests.hostile import HOSTILE

IDENTITY: Final = Identity(app="test", replay="r")
EVENT: Final = {
    "type": "track",
    "event": "Order Completed",
    "userId": "u1",
    "messageId": "m1",
    "properties": {"plan": "pro", "seats": 3, "trial": True},
    "context": {"library": {"name": "analytics.js", "version": "4.1"}},
}


def _record(value: Any) -> Record:
    return Record(json.dumps(value).encode(), b"k", (), 1_700_000_000_000, "raw", 0, 7)


@pytest.mark.parametrize(
    ("filters", "selected"),
    [
        (Filters(events=frozenset({"Order Completed"})), True),
        (Filters(events=frozenset({"order completed"})), False),
        (Filters(libraries=frozenset({"analytics.js"})), True),
        (Filters(libraries=frozenset({"analytics.js/4.1"})), True),
        (Filters(libraries=frozenset({"analytics.js/4"})), False),
        (Filters(users=frozenset({"u1", "other"})), True),
        (Filters(users=frozenset({"u2"})), False),
        (Filters(message_ids=frozenset({"m1"})), True),
        (Filters(values=(("/properties/plan", "pro"),)), True),
        (Filters(values=(("/properties/seats", "3"),)), True),
        (Filters(values=(("/properties/seats", "3.0"),)), True),
        (Filters(values=(("/properties/trial", "true"),)), True),
        (Filters(values=(("/properties/trial", "1"),)), False),
        (Filters(values=(("/properties/none", "null"),)), False),
        (Filters(events=frozenset({"Order Completed"}), users=frozenset({"u2"})), False),
    ],
)
def test_all_filters_must_match(filters: Filters, *, selected: bool) -> None:
    """All filters must match, with any of the values of each."""
    assert filters.selects(_record(EVENT).value) is selected


def test_broken_record_is_selected_only_without_filters() -> None:
    """A broken record has no event name, but it belongs to the whole window."""
    broken = Record(b"{", None, (), 1, "raw", 0, 1)
    assert EVERY_EVENT.selects(broken.value)
    assert not Filters(events=frozenset({"Order Completed"})).selects(broken.value)


@pytest.mark.parametrize(
    "score", [b"9" * 5000, b"1e99999999999999999999", rb'"\ud83d"', b"1E+3", b'{"a":[1]}']
)
def test_values_that_no_rule_reads_hide_nothing(score: bytes) -> None:
    """An event that is enriched is selected, whatever is beside the members that filters read."""
    value = json.dumps(EVENT).encode().replace(b'"seats": 3', b'"seats": 3, "score": ' + score)
    record = _record(EVENT)._replace(value=value)
    filters = Filters(
        events=frozenset({"Order Completed"}),
        libraries=frozenset({"analytics.js"}),
        values=(("/properties/plan", "pro"),),
    )
    assert filters.selects(record.value)
    (output,) = processor_for(ContractSettings(), IDENTITY, filters).process(record, 1)
    assert output.role is Role.ENRICHED
    if score.isdigit() or score.startswith(b"1e"):
        assert Filters(values=(("/properties/score", score.decode()),)).selects(record.value)


def test_an_unreadable_item_hides_no_other() -> None:
    """Of a batch with an item that can't be read, the others are selected as ever."""
    item = json.dumps(EVENT).encode()
    value = b'{"batch":[%b,%b,%b]}' % (item, item.replace(b"3", b"NaN"), item.replace(b"u1", b"u2"))
    assert Filters(users=frozenset({"u2"})).items(value) == frozenset({2})
    assert Filters(users=frozenset({"u1"})).items(value) == frozenset({0})


def test_items_of_a_batch_are_selected_one_by_one() -> None:
    """Each item is merged with the shared fields of its envelope."""
    envelope = {
        "batch": [EVENT | {"userId": "a"}, EVENT | {"userId": "b", "context": {}}],
        "context": {"library": {"name": "shared", "version": "1"}},
    }
    value = _record(envelope).value
    assert Filters(users=frozenset({"b"})).items(value) == frozenset({1})
    assert Filters(libraries=frozenset({"shared"})).items(value) == frozenset({1})
    assert Filters(users=frozenset({"a", "b"})).items(value) is WHOLE
    assert Filters(users=frozenset({"c"})).items(value) == frozenset()


def test_only_selected_items_have_outputs() -> None:
    """Only the selected items of a batch have outputs, rejected ones among them."""
    envelope = {
        "batch": [
            EVENT | {"userId": "a"},
            EVENT | {"userId": "b", "properties": {"revenue": "x"}},
            EVENT | {"userId": "b"},
        ]
    }
    processor = processor_for(ContractSettings(), IDENTITY, Filters(users=frozenset({"b"})))
    outputs = processor.process(_record(envelope), 1)
    assert [output.role for output in outputs] == [Role.DEAD_LETTER, Role.ENRICHED]
    assert dict(outputs[1].headers)[TrackHeader.SOURCE] == b"raw/0/7/2"


@pytest.mark.parametrize("text", ["plan", "plan=pro", "=x"])
def test_wrong_value_filter_is_rejected(text: str) -> None:
    """A value filter must have the form POINTER=VALUE."""
    with pytest.raises(ValueError, match="is n"):
        read_value_filter(text)


_ANY: Final = st.sampled_from(
    [None, 5, -0.5, True, "x", [], ["x"], {}, {"a": ["x"]}, {"library": {"name": ["x"]}}]
)


@given(event=st.dictionaries(st.sampled_from([*EVENT, "anonymousId", "batch"]), _ANY))
@example(event={"event": ["Order Completed"]})
@example(event={"context": {"library": {"name": ["analytics.js"]}}})
def test_filters_accept_any_event(event: Any) -> None:
    """No form of an event breaks a filter."""
    filters = Filters(
        events=frozenset({"x"}),
        libraries=frozenset({"analytics.js"}),
        users=frozenset({"u1"}),
        message_ids=frozenset({"m1"}),
        values=(("/properties/plan/0", "pro"),),
    )
    assert not filters.selects(_record(event).value)
    for name in ("events", "libraries", "users", "message_ids", "values"):
        alone = Filters(**{name: getattr(filters, name)})
        assert alone.selects(_record({"batch": [event, EVENT]}).value) in {True, False}


@pytest.mark.parametrize("hostile", [row.value for row in HOSTILE], ids=[r.name for r in HOSTILE])
def test_filters_accept_hostile_payloads(hostile: bytes | None) -> None:
    """No payload breaks a filter."""
    filters = Filters(events=frozenset({"x"}), values=(("/a", "1"),))
    assert not filters.selects(hostile)
