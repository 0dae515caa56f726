"""One pipeline of its own for one case: topics, traffic, workers with endpoints, and `watch`."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from pipeline.demo.local_kafka.ports import HOST, free_port
from pipeline.topics import CreateOptions, TopicNames, specs
from tests.system.chaos.alerts.prometheus import AlertingPrometheus
from tests.system.chaos.alerts.traffic import SteadyTraffic
from tests.system.chaos.cluster import Cluster
from tests.system.chaos.cluster_admin import ClusterAdmin
from tests.system.chaos.service_manager import ServiceManager, Slot

PARTITIONS: Final = 2
STUCK_AFTER_S: Final = 5
"""The shortest `http.stuck_after_s` that is allowed; compressed like the rules it would be 3 s."""
_DEAD_LETTERS_KEPT_DAYS: Final = 30.0
_READY_S: Final = 120.0
_POLL_S: Final = 0.1
_ANSWER_S: Final = 1.0
_WATCH: Final = ("watch", "--interval", "1")


class Service:
    """A worker or `watch`: one process with an endpoint, which is restarted when it ends."""

    def __init__(
        self, name: str, folder: Path, variables: Mapping[str, str], command: Sequence[str]
    ) -> None:
        self.name = name
        self._folder = folder
        self._command = command
        self.address = f"{HOST}:{free_port()}"
        host, port = self.address.split(":")
        self._variables = {**variables, "TRACK_HTTP__HOST": host, "TRACK_HTTP__PORT": port}
        self._manager: ServiceManager | None = None

    def start(self, changes: Mapping[str, str] | None = None, bug: str | None = None) -> None:
        """Start it, with some settings changed, or with a bug that is built in on purpose."""
        self._manager = ServiceManager(
            self._folder, {**self._variables, **(changes or {})}, bug, self._command, static=False
        )
        self._manager.add(self.name)

    @property
    def slot(self) -> Slot:
        """The process."""
        assert self._manager is not None, f"{self.name} is not running"
        return self._manager.slots[self.name]

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal, and do not start it again."""
        if self._manager is None:
            return
        self._manager.retire(self.slot, number)
        self._manager.await_end(self.slot)
        self._manager.stop()
        self._manager = None

    def restart(self, changes: Mapping[str, str] | None = None, bug: str | None = None) -> None:
        """End it in order, and start it as described at `start`."""
        self.end()
        self.start(changes, bug)

    def answers(self) -> bool:
        """Whether its endpoint answers."""
        return self._status_of("/livez") is not None

    def is_ready(self) -> bool:
        """Whether it says that it is ready."""
        return self._status_of("/readyz") == HTTPStatus.OK

    def _status_of(self, path: str) -> int | None:
        """Status that its endpoint answers; None when nothing answers."""
        connection = HTTPConnection(self.address, timeout=_ANSWER_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()


class WatchedPipeline:
    """Topics, traffic, one worker and `watch`, all scraped as one job."""

    def __init__(
        self,
        cluster: Cluster,
        prometheus: AlertingPrometheus,
        folder: Path,
        label: str,
        settings: Mapping[str, str],
    ) -> None:
        folder.mkdir(parents=True)
        self.job = f"track-pipeline-{label}"
        self.cluster = cluster
        self.names = TopicNames(*(f"alerts.{label}.{name}" for name in TopicNames._fields))
        self.admin = ClusterAdmin(cluster.servers)
        self._prometheus = prometheus
        self._create_topics()
        variables = {**self._variables(), **settings}
        self.worker = Service("worker", folder, variables, ("run",))
        self.watch = Service("watch", folder, variables, _WATCH)
        self.traffic = SteadyTraffic(cluster.servers, self.names.raw)

    def _create_topics(self) -> None:
        options = CreateOptions(PARTITIONS, 1, None, _DEAD_LETTERS_KEPT_DAYS)
        for spec in specs(self.names, options, None):
            self.admin.create_topic(spec.name, PARTITIONS, 1, spec.config)

    def _variables(self) -> dict[str, str]:
        topics = {f"TRACK_TOPICS__{n.upper()}": topic for n, topic in self.names._asdict().items()}
        return {
            "TRACK_KAFKA_BOOTSTRAP_SERVERS": self.cluster.servers,
            "TRACK_GROUP": self.job,
            "TRACK_CONSUMER_SESSION_TIMEOUT_MS": "3000",
            "TRACK_CONSUMER_HEARTBEAT_INTERVAL_MS": "500",
            "TRACK_TRANSACTION_TIMEOUT_MS": "10000",
            "TRACK_HTTP__STUCK_AFTER_S": str(STUCK_AFTER_S),
            "TRACK_LOG__FORMAT": "json",
            **topics,
        }

    def start(self) -> None:
        """Start worker and `watch`, and let Prometheus scrape them."""
        self.worker.start()
        self.watch.start()
        self._prometheus.scrape(self.job, [self.worker.address, self.watch.address])

    def await_healthy(self) -> None:
        """Wait until both are ready and scraped; TimeoutError when that takes too long."""
        wait_for(
            lambda: (
                self.worker.is_ready()
                and self.watch.is_ready()
                and self._prometheus.are_up(self.job)
            ),
            f"starting {self.job}",
        )

    def close(self) -> None:
        """Stop everything, and let Prometheus forget the job."""
        self._prometheus.scrape(self.job, [])
        self.traffic.stop()
        for service in (self.worker, self.watch):
            service.end(signal.SIGKILL)


def wait_for(reached: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; TimeoutError when that takes too long."""
    deadline = time.monotonic() + _READY_S
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} took more than {_READY_S:.0f} s")
        time.sleep(_POLL_S)
