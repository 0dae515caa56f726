"""What a run has put to the test, counted from the workers' logs and the topics.

A run in which nothing was fenced, rolled back or restarted proves nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from pipeline.errors import ExitCode
from tests.brokers import read_topic
from tests.system.chaos.environment import Environment

_FENCED_BY_GROUP = ("ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID", "FENCED")


class Coverage(NamedTuple):
    """How often each kind of failure and recovery took place."""

    aborted_outputs: int
    """Output records of transactions that were never committed."""
    rebalances: int
    """Calls of the workers' rebalance callbacks with at least one partition."""
    fencings: int
    """Commits of workers that no longer owned their partitions or their transactional id."""
    soft_resets: int
    hard_resets: int
    restarts: int
    """Worker processes that ended and were replaced."""

    def missing(self) -> list[str]:
        """One line for each kind that never took place; soft resets may be absent."""
        return [
            f"no {name.replace('_', ' ')}"
            for name, number in self._asdict().items()
            if not number and name != "soft_resets"
        ]


def measure_coverage(env: Environment) -> Coverage:
    """Read all workers' logs and the output topics."""
    rebalances = fencings = soft = hard = 0
    for slot in env.workers.slots.values():
        for line in slot.log_lines():
            if line["event"] == "chaos.rebalance":
                rebalances += bool(line["partitions"])
            elif line["event"] == "recovering":
                soft += line["how"] == "soft reset"
                hard += line["how"] == "hard reset"
                fencings += any(word in line["cause"] for word in _FENCED_BY_GROUP)
    fencings += sum(each.code == ExitCode.FENCED for each in env.workers.exits)
    servers = env.cluster.servers
    aborted = sum(
        len(read_topic(servers, topic, "read_uncommitted")) - len(read_topic(servers, topic))
        for topic in env.outputs
    )
    return Coverage(aborted, rebalances, fencings, soft, hard, len(env.workers.exits))
