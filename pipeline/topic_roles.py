"""Topics that have a role, so that no command writes anything else to them."""

from __future__ import annotations

from typing import Final

from pipeline.errors import SettingsError
from pipeline.settings.groups import Topics
from pipeline.settings.names import is_topic
from pipeline.topics import LEDGER_SUFFIX, PLANS_TOPIC, REPLAY_INFIX

RAW: Final = "the raw topic"
_INTERNAL: Final = "__"
"""Prefix of the names of Kafka's own topics, such as __consumer_offsets."""


def topic_role(name: str, topics: Topics) -> str | None:
    """Role of a topic, whether it exists or not; None when it has no role."""
    if name.startswith(_INTERNAL):
        return "a topic of Kafka's own"
    base = name.removesuffix(LEDGER_SUFFIX)
    is_ours = base == topics.dead_letter or base.startswith(topics.dead_letter + REPLAY_INFIX)
    if is_ours and base != name:
        return "a ledger of dead letters"
    roles = {
        topics.raw: RAW,
        topics.enriched: "the live topic of enriched events",
        topics.dead_letter: "the live topic of dead letters",
        topics.identify: "the live topic of identify messages",
        topics.other: "the live topic of forwarded calls",
        PLANS_TOPIC: "the topic of replay plans",
    }
    return roles.get(name)


def is_replay_output(name: str, topics: Topics) -> bool:
    """Whether the topic is named like the output of a replay."""
    outputs = (topics.enriched, topics.dead_letter, topics.identify, topics.other)
    return any(name.startswith(topic + REPLAY_INFIX) for topic in outputs)


def require_no_role(
    option: str, name: str, topics: Topics, *, allowed_role: str = "", hint: str = ""
) -> None:
    """Raise SettingsError when the topic that an option names has a role.

    `allowed_role` is the one role that it may have; `hint` is appended to the message.
    """
    if not is_topic(name):
        allowed = "allowed are 1 to 249 of A-Z a-z 0-9 . _ -"
        raise SettingsError([f"{option} {name!r} is not a valid topic name: {allowed}"])
    role = topic_role(name, topics)
    if role is not None and role != allowed_role:
        raise SettingsError([f"{option}: {name} is {role}: choose another topic{hint}"])
