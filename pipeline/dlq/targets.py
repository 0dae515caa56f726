"""Where a command of the desk writes: the dead-letter topic, its ledger, and the outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.core.record import Role
from pipeline.errors import RefusedError
from pipeline.ports import TopicFacts
from pipeline.preflight import create_command
from pipeline.settings.model import Settings
from pipeline.topics import LEDGER_SUFFIX, ledger_problem, refuse_forbidden
from pipeline.wiring import admin, ledger_transactional_id


@dataclass(frozen=True)
class Place:
    """A dead-letter topic, where its letters are sent, and the facts of all these topics."""

    settings: Settings
    topic: str
    topic_id: str
    outputs: dict[Role, str]
    facts: dict[str, TopicFacts]

    @property
    def ledger_topic(self) -> str:
        """Of the dead-letter topic."""
        return self.topic + LEDGER_SUFFIX

    @property
    def transactional_id(self) -> str:
        """The same for every desk of this topic under these settings."""
        return ledger_transactional_id(self.settings, self.topic)

    def check(self, written: Iterable[Role]) -> None:
        """RefusedError unless the ledger is safe and these outputs, and it, may be written."""
        ledger = self.facts[self.ledger_topic]
        problem = ledger_problem(ledger, self.facts[self.topic])
        if problem is not None:
            raise RefusedError(problem)
        names = {self.outputs[role] for role in written}
        refuse_forbidden([ledger], "READ")
        refuse_forbidden([ledger, *(self.facts[name] for name in sorted(names))], "WRITE")


def place(settings: Settings, topic: str, topic_id: str, outputs: dict[Role, str]) -> Place:
    """Checks that all topics exist; RefusedError with what to do."""
    ledger = topic + LEDGER_SUFFIX
    wanted = {topic, ledger, settings.topics.raw, *outputs.values()}
    facts = {name: each for name, each in admin(settings).topics(wanted).items() if each.partitions}
    missing = sorted({*outputs.values(), topic} - facts.keys())
    if missing:
        raise RefusedError(
            f"topics do not exist: {', '.join(missing)}; letters would be sent there: create them, "
            "or correct the names"
        )
    if ledger not in facts:
        topics = settings.topics.model_copy(update={"dead_letter": topic})
        command = create_command(settings.model_copy(update={"topics": topics}))
        raise RefusedError(
            f"topic {ledger} does not exist, in which is noted what was done with which letter: "
            f"create it: {command} --ledger"
        )
    return Place(settings, topic, topic_id, outputs, facts)
