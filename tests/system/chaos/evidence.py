"""That a run was no walk in the park: what the workers' logs and the topics tell of it."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.errors import ExitCode
from tests.brokers import read_topic
from tests.system.chaos.world import World

_FENCED_BY_GROUP = ("ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID", "FENCED")


class Evidence(NamedTuple):
    """How often each thing happened."""

    aborted: int
    """Output records that stand in the topics and were never committed."""
    rebalances: int
    """Partitions given or taken, as the workers' callbacks heard it."""
    fencings: int
    """Commits of a worker that no longer owned its partitions or its name."""
    soft_resets: int
    hard_resets: int
    restarts: int
    """Processes that ended and were followed by another."""

    def missing(self) -> list[str]:
        """What never happened, a sentence each."""
        return [
            f"there was not one of: {name.replace('_', ' ')}"
            for name, number in self._asdict().items()
            if not number and name != "soft_resets"
        ]


def gather(world: World) -> Evidence:
    """Read all logs and the output topics."""
    rebalances = fencings = soft = hard = 0
    for slot in world.fleet.slots.values():
        for line in slot.lines():
            if line["event"] == "chaos.rebalance":
                rebalances += bool(line["partitions"])
            elif line["event"] == "recovering":
                soft += line["how"] == "soft reset"
                hard += line["how"] == "hard reset"
                fencings += any(word in line["cause"] for word in _FENCED_BY_GROUP)
    fencings += sum(ended.code == ExitCode.FENCED for ended in world.fleet.ended)
    servers = world.cluster.servers
    aborted = sum(
        len(read_topic(servers, topic, "read_uncommitted")) - len(read_topic(servers, topic))
        for topic in world.outputs
    )
    return Evidence(aborted, rebalances, fencings, soft, hard, len(world.fleet.ended))
