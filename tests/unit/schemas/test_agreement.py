"""The schemas and the program have the same verdict, and the schemas describe what is written."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.contract import Limits
from pipeline.core.money import AMOUNT_PATTERN, MIN_EXPONENT
from pipeline.core.record import Output, Role
from pipeline.core.reserved import AMOUNT_RULES
from tests.support import Digits, JsonObject, dead_letter_of, good, process, raw, text_of
from tests.unit.core import strategies as some
from tests.unit.core.values import ROWS, Row, event_text
from tests.unit.schemas.published import accepts, faults, load

EVERY_EVENT: Final = [{"event": "*"}]
AMOUNT_CODES: Final = {code.value: name for name, code in AMOUNT_RULES.items()}
_ENRICHED: Final = {Role.ENRICHED: "enriched", Role.IDENTIFY: "identify"}

UNSAID: Final[dict[str, JsonObject]] = {
    "the magnitude of an amount that is text": {"properties": {"revenue": "1e29"}},
    "the exponent of an amount that is text": {"properties": {"revenue": "1e-101"}},
    "the exponent with which a number was written": {"properties": {"revenue": Digits("1e-101")}},
}
"""What JSON Schema can't say of a decoded event: the program rejects more than the schema."""


def _amount_is_unsaid(value: Any) -> bool:
    if isinstance(value, str):
        return re.fullmatch(AMOUNT_PATTERN, value.strip()) is not None
    return isinstance(value, Decimal) and value.as_tuple().exponent < MIN_EXPONENT  # type: ignore[operator]


def _is_unsaid(event: Any, violation: str) -> bool:
    """Whether a violation is one of `UNSAID`."""
    code = violation.split(maxsplit=1)[0]
    return code in AMOUNT_CODES and _amount_is_unsaid(event["properties"][AMOUNT_CODES[code]])


def _check(schema: str, value: bytes, events: list[Any], outcomes: list[Output]) -> None:
    """The schema accepts exactly when nothing is rejected, except for what it can't say."""
    accepted = accepts(schema, load(value))
    dead_letters = [
        (event, dead_letter_of(output).broken)
        for event, output in zip(events, outcomes, strict=True)
        if output.role is Role.DEAD_LETTER
    ]
    if accepted:
        unsaid = [_is_unsaid(event, broken) for event, codes in dead_letters for broken in codes]
        assert all(unsaid), dead_letters
    else:
        assert dead_letters, "the schema rejects what the program enriches"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.field}-{row.name}")
def test_each_row_has_the_same_verdict(row: Row) -> None:
    """Every row of the table of values: the same verdict, and an output as described."""
    value = event_text(row).encode()
    (output,) = process(value)
    _check("raw", value, [load(value)], [output])
    if output.role is Role.ENRICHED:
        assert faults("enriched", output.value) == []


def test_few_rows_are_beyond_a_schema() -> None:
    """The exceptions stay exceptions: nine of ten rejected rows are rejected by the schema."""
    rejected = [load(event_text(row)) for row in ROWS if row.rejected]
    missed = [event for event in rejected if accepts("raw", event)]
    assert len(missed) * 10 < len(rejected)


@given(some.event_texts, st.none() | st.just(1))
def test_near_events_have_the_same_verdict(value: bytes, timestamp: int | None) -> None:
    """Events that are nearly right: the same verdict under default settings."""
    outputs = process(raw(value, timestamp=timestamp))
    _check("raw", value, [load(value)], list(outputs))


@given(some.envelopes())
def test_envelopes_have_the_same_verdict(
    envelope: tuple[bytes, list[bytes], dict[str, bytes]],
) -> None:
    """A batch is accepted exactly when each of its items is enriched."""
    value, parts, _ = envelope
    _check("batch", value, [load(part) for part in parts], list(process(value)))


def test_the_number_of_items_has_the_same_verdict() -> None:
    """A batch of as many items as the default allows is accepted, and one of more is rejected."""
    item = b'{"event":"Signed Up","userId":"u"}'
    for count in (Limits().max_batch_items, Limits().max_batch_items + 1):
        value = b'{"batch":[%b]}' % b",".join([item] * count)
        outputs = process(value)
        enriched = all(output.role is Role.ENRICHED for output in outputs)
        assert accepts("batch", load(value)) is enriched is (count == len(outputs))


def _strict(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with every rule on reject: what is written is then never wrong."""
    rules = dict.fromkeys(("id_not_string", "revenue_invalid", "value_invalid"), "reject")
    return settings | {"identify": EVERY_EVENT, "rules": rules}


@given(some.json_texts(some.mostly_good_events), some.settings.map(_strict), st.none() | st.just(1))
def test_outputs_are_as_described(
    value: bytes, settings: dict[str, Any], timestamp: int | None
) -> None:
    """Every enriched event and identify message is accepted by its schema."""
    for output in process(raw(value, timestamp=timestamp), **settings):
        if output.role in _ENRICHED:
            assert faults(_ENRICHED[output.role], output.value) == []


@pytest.mark.parametrize("name", UNSAID)
def test_what_a_schema_can_not_say(name: str) -> None:
    """Each exception is one: accepted by the schema, rejected by the program."""
    value = text_of(good(**UNSAID[name])).encode()
    assert accepts("raw", load(value))
    (output,) = process(value)
    assert all(_is_unsaid(load(value), broken) for broken in dead_letter_of(output).broken)
