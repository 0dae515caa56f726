"""The topics that an operation writes to: outputs, dead-letter topic and ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.core.record import Role
from pipeline.dlq.reader import TopicSnapshot
from pipeline.errors import RefusedError
from pipeline.ports import TopicFacts
from pipeline.preflight import create_command
from pipeline.settings.model import Settings
from pipeline.topics import LEDGER_SUFFIX, ledger_problem, require_permission
from pipeline.wiring import admin, ledger_transactional_id


@dataclass(frozen=True)
class WriteTargets:
    """A dead-letter topic, the topics that its events are sent to, and the facts of all of them."""

    settings: Settings
    topic: str
    """Name of the dead-letter topic."""
    topic_id: str
    outputs: dict[Role, str]
    facts: dict[str, TopicFacts]

    @property
    def ledger_topic(self) -> str:
        """Name of the ledger topic."""
        return self.topic + LEDGER_SUFFIX

    @property
    def transactional_id(self) -> str:
        """Transactional id that all processes with these settings use for this topic."""
        return ledger_transactional_id(self.settings, self.topic)

    def check(self, written: Iterable[Role]) -> None:
        """Raise RefusedError unless the ledger is safe, and it and the outputs may be written."""
        ledger = self.facts[self.ledger_topic]
        problem = ledger_problem(ledger, self.facts[self.topic])
        if problem is not None:
            raise RefusedError(problem)
        names = {self.outputs[role] for role in written}
        require_permission([ledger], "READ")
        require_permission([ledger, *(self.facts[name] for name in sorted(names))], "WRITE")


def find_targets(
    settings: Settings, snapshot: TopicSnapshot, outputs: dict[Role, str]
) -> WriteTargets:
    """Look up all topics; raises RefusedError, with what to do, when one does not exist."""
    topic = snapshot.topic
    ledger = topic + LEDGER_SUFFIX
    needed = {topic, ledger, settings.topics.raw, *outputs.values()}
    facts = {name: each for name, each in admin(settings).topics(needed).items() if each.partitions}
    missing = sorted({*outputs.values(), topic} - facts.keys())
    if missing:
        raise RefusedError(
            f"topics do not exist: {', '.join(missing)}; dead letters would be sent there: create "
            "them, or correct the names"
        )
    if ledger not in facts:
        topics = settings.topics.model_copy(update={"dead_letter": topic})
        command = create_command(settings.model_copy(update={"topics": topics}), "--ledger")
        raise RefusedError(f"the ledger topic {ledger} does not exist; create it with: {command}")
    return WriteTargets(settings, topic, snapshot.topic_id, outputs, facts)
