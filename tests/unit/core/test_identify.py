"""Identify messages by rule (contract §4)."""

from __future__ import annotations

from typing import Any

from pipeline.core.record import Role
from tests.support import good, process, read

RULE: dict[str, Any] = {"identify": [{"event": "Order Completed"}, {"event": "Signed Up"}]}
WITH_TRAITS = good(context={"traits": {"plan": "pro"}}, integrations={"All": True}, extra=1)


def roles(*outputs: Any) -> list[Role]:
    """The roles of outputs, in order."""
    return [output.role for output in outputs]


def test_identify_needs_a_rule_of_that_name() -> None:
    """No rule, or one of another event (names match exactly), gives no message."""
    assert roles(*process(WITH_TRAITS)) == [Role.ENRICHED]
    for other in ("order completed", " Order Completed", "Order"):
        assert roles(*process(WITH_TRAITS, identify=[{"event": other}])) == [Role.ENRICHED]
    assert roles(*process(WITH_TRAITS, **RULE)) == [Role.ENRICHED, Role.IDENTIFY]


def test_identify_for_every_event() -> None:
    """The rule `*` holds for every name, but only where traits were promoted."""
    every: dict[str, Any] = {"identify": [{"event": "*"}]}
    assert roles(*process(WITH_TRAITS, **every)) == [Role.ENRICHED, Role.IDENTIFY]
    assert roles(*process(WITH_TRAITS | {"event": "x"}, **every)) == [Role.ENRICHED, Role.IDENTIFY]
    for unlifted in (good(), good(traits={"a": 1}), good(context={"traits": {}})):
        assert roles(*process(unlifted, **every)) == [Role.ENRICHED]


def test_identify_message_fields() -> None:
    """Person, traits, context, times and integrations are there; event and properties not."""
    message = read(process(WITH_TRAITS | {"sentAt": "2015-12-12T19:11:02Z"}, **RULE)[1].value)
    assert set(message) == {
        "type",
        "messageId",
        "userId",
        "traits",
        "context",
        "integrations",
        "timestamp",
        "originalTimestamp",
        "sentAt",
        "receivedAt",
    }
    assert message["type"] == "identify"
    assert message["traits"] == {"plan": "pro"}


def test_no_identify_beside_a_dead_letter() -> None:
    """A rejected event gives no message; in a batch each item has its own."""
    assert roles(*process(WITH_TRAITS | {"properties": 5}, **RULE)) == [Role.DEAD_LETTER]
    outputs = process({"batch": [WITH_TRAITS, good(), WITH_TRAITS]}, **RULE)
    assert roles(*outputs) == [
        Role.ENRICHED,
        Role.IDENTIFY,
        Role.ENRICHED,
        Role.ENRICHED,
        Role.IDENTIFY,
    ]
