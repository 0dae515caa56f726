"""Watches the group's committed offsets, to measure the time that it takes to recover."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaException

from tests.system.chaos.cluster_admin import ClusterAdmin

_EVERY_S: Final = 0.2


@dataclass(slots=True)
class Goal:
    """Everything that the raw topic held at one moment is committed."""

    name: str
    offsets: Mapping[int, int]
    """Partition → offset behind the last record."""
    since: float
    recovery_s: float | None = None
    """Time from the end of the fault until the goal was reached; None until then."""


class Progress:
    """Polls the committed offsets in a thread."""

    def __init__(self, admin: ClusterAdmin, group: str, topic: str) -> None:
        self._admin = admin
        self._group = group
        self._topic = topic
        self.committed: dict[int, int] = {}
        """Partition → committed offset, as last polled."""
        self.goals: list[Goal] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def set_goal(self, name: str, offsets: Mapping[int, int]) -> Goal:
        """Start to measure the time until these offsets are committed."""
        goal = Goal(name, dict(offsets), time.monotonic())
        with self._changed:
            self.goals.append(goal)
        return goal

    def wait(self, goal: Goal, seconds: float) -> bool:
        """Wait until a goal is reached; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: goal.recovery_s is not None, seconds)

    def missing(self, goal: Goal) -> int:
        """Number of offsets that are not committed yet."""
        return sum(
            max(0, offset - self.committed.get(partition, 0))
            for partition, offset in goal.offsets.items()
        )

    def stop(self) -> None:
        """Stop polling."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                self._poll()
            except KafkaException as error:
                self._admin.failed(error)

    def _poll(self) -> None:
        positions = self._admin.offsets(self._group, self._topic)
        with self._changed:
            self.committed = {each.partition: each.offset for each in positions}
            for goal in self.goals:
                if goal.recovery_s is None and not self.missing(goal):
                    goal.recovery_s = time.monotonic() - goal.since
            self._changed.notify_all()
