"""How far the group is, watched all the time: when did it get over each fault?"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaException

from tests.system.chaos.operator import Operator

_EVERY_S: Final = 0.2


@dataclass(slots=True)
class Goal:
    """All that the raw topic held at one moment has been committed."""

    name: str
    wanted: Mapping[int, int]
    """Partition → offset behind the last record."""
    since: float
    took_s: float | None = None
    """From the end of the fault; None while it is not reached."""


class Progress:
    """Asks for the group's offsets again and again, in a thread."""

    def __init__(self, operator: Operator, group: str, topic: str) -> None:
        self._operator = operator
        self._group = group
        self._topic = topic
        self.committed: dict[int, int] = {}
        """Partition → committed offset, as heard last."""
        self.goals: list[Goal] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def set_goal(self, name: str, wanted: Mapping[int, int]) -> Goal:
        """Measure from now on."""
        goal = Goal(name, dict(wanted), time.monotonic())
        with self._changed:
            self.goals.append(goal)
        return goal

    def wait(self, goal: Goal, seconds: float) -> bool:
        """Until a goal is reached; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: goal.took_s is not None, seconds)

    def missing(self, goal: Goal) -> int:
        """Offsets that are still to be committed."""
        return sum(
            max(0, wanted - self.committed.get(partition, 0))
            for partition, wanted in goal.wanted.items()
        )

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                self._ask()
            except KafkaException as error:
                self._operator.failed(error)

    def _ask(self) -> None:
        places = self._operator.offsets(self._group, self._topic)
        with self._changed:
            self.committed = {place.partition: place.offset for place in places}
            for goal in self.goals:
                if goal.took_s is None and not self.missing(goal):
                    goal.took_s = time.monotonic() - goal.since
            self._changed.notify_all()
