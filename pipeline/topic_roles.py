"""Which topics have a role already, so that no command writes anything else into them."""

from __future__ import annotations

from typing import Final

from pipeline.errors import SettingsError
from pipeline.settings.model import Topics
from pipeline.settings.names import is_topic
from pipeline.topics import LEDGER_SUFFIX, OF_REPLAY, PLANS_TOPIC

RAW: Final = "the raw topic"
_INTERNAL: Final = "__"
"""So the names of Kafka's own topics begin, such as __consumer_offsets."""


def role_of(name: str, topics: Topics) -> str | None:
    """What a topic is for, whether it exists or not; None when it has no role."""
    if name.startswith(_INTERNAL):
        return "a topic of Kafka's own"
    letters = name.removesuffix(LEDGER_SUFFIX)
    own = letters == topics.dead_letter or letters.startswith(topics.dead_letter + OF_REPLAY)
    if own and letters != name:
        return "a ledger of dead letters"
    roles = {
        topics.raw: RAW,
        topics.enriched: "the live topic of enriched events",
        topics.dead_letter: "the live topic of dead letters",
        topics.identify: "the live topic of identify messages",
        PLANS_TOPIC: "the topic of replay plans",
    }
    return roles.get(name)


def is_replay_output(name: str, topics: Topics) -> bool:
    """Whether a replay has made this topic for its output, by its name."""
    outputs = (topics.enriched, topics.dead_letter, topics.identify)
    return any(name.startswith(topic + OF_REPLAY) for topic in outputs)


def refuse_role(option: str, name: str, topics: Topics, *, but: str = "", hint: str = "") -> None:
    """Raise SettingsError for a topic that the option must not name.

    `but` is the one role that it may have; `hint` says what else there is to do.
    """
    if not is_topic(name):
        allowed = "allowed are 1 to 249 of A-Z a-z 0-9 . _ -"
        raise SettingsError([f"{option} {name!r} can't be a topic: {allowed}"])
    role = role_of(name, topics)
    if role is not None and role != but:
        raise SettingsError([f"{option}: {name} is {role}: name another one{hint}"])
