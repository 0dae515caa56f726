"""Everything that a fault can reach: the cluster, the topics, the workers and the load."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pipeline.topics import NO_TIME_LIMIT, CreateOptions, TopicNames, specs
from tests.system.chaos.cluster import Cluster
from tests.system.chaos.cluster_admin import ClusterAdmin
from tests.system.chaos.event_log import EventLog
from tests.system.chaos.load import Ledger, Load
from tests.system.chaos.progress import Progress
from tests.system.chaos.scenario import Scenario
from tests.system.chaos.service_manager import ServiceManager, Slot

SESSION_S: Final = 3.0
"""A worker without a heartbeat for this long is removed from the group."""
TRANSACTION_S: Final = 10.0
"""The broker aborts a transaction that is open for longer."""
_POLL_S: Final = 0.05
TIME_LIMIT: Final = "message.timestamp.after.max.ms"
WORKERS: Final = ("w1", "w2", "w3")
"""Names of the workers that run from the start to the end."""


class Environment:
    """One pipeline on a cluster, with topics of its own."""

    def __init__(self, cluster: Cluster, folder: Path, scenario: Scenario) -> None:
        label = scenario.seeded_bug or "run"
        self.scenario = scenario
        self.cluster = cluster
        self.folder = folder
        self.rng = random.Random(scenario.seed)  # noqa: S311  moments, not secrets
        self.names = TopicNames(
            *(f"chaos.{label}.{scenario.seed}.{name}" for name in TopicNames._fields)
        )
        self.group = self.names.raw
        self.admin = ClusterAdmin(cluster.servers)
        self._create_topics()
        self.event_log = EventLog(cluster.servers)
        for topic in self.outputs:
            self.event_log.follow(topic, scenario.partitions)
        self.progress = Progress(self.admin, self.group, self.names.raw)
        ledger = Ledger(folder / "ledger.txt")
        self.load = Load(
            cluster.servers,
            self.names.raw,
            scenario.partitions,
            scenario.seed,
            scenario.rate,
            ledger,
        )
        self.workers = ServiceManager(
            folder, self.variables, scenario.seeded_bug, static=scenario.static
        )
        self.violations: list[str] = []
        """Behaviour that is wrong whatever the topics hold."""

    @property
    def outputs(self) -> tuple[str, str]:
        """Topics that the workers write to."""
        return self.names.enriched, self.names.dead_letter

    @property
    def slots(self) -> list[Slot]:
        """The workers that run from the start to the end."""
        return [self.workers.slots[name] for name in WORKERS]

    @property
    def topic_configs(self) -> dict[str, dict[str, str]]:
        """Configuration of each topic at its creation."""
        options = CreateOptions(self.scenario.partitions, self.cluster.replication, None, 30.0)
        configs = {spec.name: dict(spec.config) for spec in specs(self.names, options, None)}
        # The raw topic takes events from the future; that an output topic does not is one fault.
        configs[self.names.raw][TIME_LIMIT] = NO_TIME_LIMIT
        return configs

    def _create_topics(self) -> None:
        for name, config in self.topic_configs.items():
            self.create_topic(name, config)

    def create_topic(self, name: str, config: Mapping[str, str]) -> None:
        """Create a topic with the partitions and replicas of this run."""
        count, replicas = self.scenario.partitions, self.cluster.replication
        self.admin.retry(
            lambda: self.admin.create_topic(name, count, replicas, config), f"creating {name}"
        )

    @property
    def variables(self) -> dict[str, str]:
        """Settings of the workers, as environment variables."""
        return {
            "TRACK_KAFKA_BOOTSTRAP_SERVERS": self.cluster.worker_servers,
            "TRACK_GROUP": self.group,
            "TRACK_CONSUMER_SESSION_TIMEOUT_MS": str(int(SESSION_S * 1000)),
            "TRACK_CONSUMER_HEARTBEAT_INTERVAL_MS": "500",
            "TRACK_TRANSACTION_TIMEOUT_MS": str(int(TRANSACTION_S * 1000)),
            "TRACK_BATCH__MAX_RECORDS": "500",
            "TRACK_LOG__FORMAT": "json",
            **{f"TRACK_TOPICS__{n.upper()}": topic for n, topic in self.names._asdict().items()},
            **self.scenario.settings,
        }

    def wait_for(self, reached: Callable[[], bool], what: str) -> bool:
        """Wait until a condition holds; a violation is noted when that takes too long."""
        seconds = self.scenario.timeout_s
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                self.violations.append(f"{what} took more than {seconds:.0f} s")
                return False
            time.sleep(_POLL_S)
        return True

    def close(self) -> None:
        """Stop everything but the cluster."""
        self.workers.stop()
        self.progress.stop()
        self.event_log.stop()
