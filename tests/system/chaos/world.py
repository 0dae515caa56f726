"""Everything that a fault can reach: the cluster, the topics, the workers, the load."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.topics import NO_TIME_LIMIT, CreateOptions, TopicNames, specs
from tests.system.chaos.cluster import Cluster
from tests.system.chaos.fleet import Fleet, Slot
from tests.system.chaos.load import Ledger, Load
from tests.system.chaos.operator import Operator
from tests.system.chaos.progress import Progress
from tests.system.chaos.witness import Witness

SESSION_S: Final = 3.0
"""After so long without a heartbeat a worker is out of the group."""
TRANSACTION_S: Final = 10.0
_POLL_S: Final = 0.05
TIME_LIMIT: Final = "message.timestamp.after.max.ms"
WORKERS: Final = ("w1", "w2", "w3")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run is to do."""

    seed: int
    faults: tuple[str, ...]
    """Each at least once, in this order; again from the start while the time is not over."""
    duration_s: float = 0.0
    """At least; the last fault may take longer."""
    pause_s: tuple[float, float] = (2.0, 8.0)
    """Between two faults: the shortest and the longest."""
    rate: int = 1500
    """Events per second."""
    partitions: int = 6
    patience_s: float = 90.0
    """For the group to get over everything: more means that it hangs."""
    sabotage: str | None = None
    static: bool = False
    """Static membership: the workers have instance ids; else each has a transactional id only."""
    is_whole: bool = True
    """Every kind of evidence is due; not of a few chosen faults, which need not cause each."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """More TRACK_ variables for the workers."""


class World:
    """One pipeline on a cluster, with topics of its own."""

    def __init__(self, cluster: Cluster, folder: Path, plan: Plan) -> None:
        label = plan.sabotage or "run"
        self.plan = plan
        self.cluster = cluster
        self.folder = folder
        self.dice = random.Random(plan.seed)  # noqa: S311  moments, not secrets
        self.names = TopicNames(
            *(f"chaos.{label}.{plan.seed}.{name}" for name in TopicNames._fields)
        )
        self.group = self.names.raw
        self.operator = Operator(cluster.servers)
        self._create_topics()
        self.witness = Witness(self.operator, cluster.servers)
        for topic in self.outputs:
            self.witness.follow(topic, plan.partitions)
        self.progress = Progress(self.operator, self.group, self.names.raw)
        ledger = Ledger(folder / "ledger.txt")
        self.load = Load(
            cluster.servers, self.names.raw, plan.partitions, plan.seed, plan.rate, ledger
        )
        self.fleet = Fleet(folder, self.variables, plan.sabotage, static=plan.static)
        self.complaints: list[str] = []
        """Behaviour that is wrong, whatever the topics hold."""

    @property
    def outputs(self) -> tuple[str, str]:
        """Topics that are written."""
        return self.names.enriched, self.names.dead_letter

    @property
    def slots(self) -> list[Slot]:
        """The lasting workers."""
        return [self.fleet.slots[name] for name in WORKERS]

    @property
    def topic_configs(self) -> dict[str, dict[str, str]]:
        """Settings that the topics are created with."""
        plan = CreateOptions(self.plan.partitions, self.cluster.replication, None, 30.0)
        configs = {spec.name: dict(spec.config) for spec in specs(self.names, plan, None)}
        # Senders may be ahead: whether the outputs are as patient is what one fault is about.
        configs[self.names.raw][TIME_LIMIT] = NO_TIME_LIMIT
        return configs

    def _create_topics(self) -> None:
        for name, config in self.topic_configs.items():
            self.create_topic(name, config)

    def create_topic(self, name: str, config: Mapping[str, str]) -> None:
        """With the partitions and replicas of this run."""
        count, replicas = self.plan.partitions, self.cluster.replication
        self.operator.patiently(
            lambda: self.operator.create_topic(name, count, replicas, config), f"creating {name}"
        )

    @property
    def variables(self) -> dict[str, str]:
        """Settings of the workers."""
        return {
            "TRACK_KAFKA_BOOTSTRAP_SERVERS": self.cluster.worker_servers,
            "TRACK_GROUP": self.group,
            "TRACK_CONSUMER_SESSION_TIMEOUT_MS": str(int(SESSION_S * 1000)),
            "TRACK_CONSUMER_HEARTBEAT_INTERVAL_MS": "500",
            "TRACK_TRANSACTION_TIMEOUT_MS": str(int(TRANSACTION_S * 1000)),
            "TRACK_BATCH__MAX_RECORDS": "500",
            "TRACK_LOG__FORMAT": "json",
            **{f"TRACK_TOPICS__{n.upper()}": topic for n, topic in self.names._asdict().items()},
            **self.plan.settings,
        }

    def wait_for(self, reached: Callable[[], bool], what: str) -> bool:
        """Wait until something is so; a complaint when it takes too long."""
        seconds = self.plan.patience_s
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                self.complaints.append(f"{what} took more than {seconds:.0f} s")
                return False
            time.sleep(_POLL_S)
        return True

    def close(self) -> None:
        """End everything but the cluster."""
        self.fleet.end()
        self.progress.stop()
        self.witness.stop()
