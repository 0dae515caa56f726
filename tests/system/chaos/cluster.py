"""A Kafka cluster in which workers reach each broker through a proxy.

It is one node (broker and controller in one), or three brokers and a controller, where every
partition has three replicas and a write needs two. The authorizer is on: everybody may do
everything, until an ACL denies it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka.admin import AdminClient

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.demo.local_kafka.files import Layout
from pipeline.demo.local_kafka.ports import HOST, free_port
from tests.system.chaos.proxy import Proxies, Proxy

_CLUSTER_ID: Final = "Y2hhb3Mtb2YtYnJva2Vycw"
_CONTROLLER_ID: Final = 100
_CLIENT_S: Final = 10.0
_FORGOTTEN: Final = "Couldn't find leader endpoint for partitions"
"""Start of Kafka's log line when it takes a partition without a leader for a deleted one."""
_SHARED: Final = {
    "listener.security.protocol.map": ("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXY:PLAINTEXT"),
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
    # A lone node may be killed at any moment, and three need no disk to be safe: no flushing.
    "log.segment.bytes": "33554432",
}
_ALONE: Final = {
    # Kafka 4.3.1 forgets to end a transaction whose partitions have no leader, as all have for a
    # moment after the only node was restarted. So old transactions are looked for later.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "10000",
}
_REPLICATED: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
}


class _SmallLayout(Layout):
    """Several nodes share this machine."""

    heap = ("-Xms128m", "-Xmx128m")

    def cluster_id(self) -> str:
        return _CLUSTER_ID


class _BrokerLayout(_SmallLayout):
    format_flags = ("--no-initial-controllers",)


class _ControllerLayout(_SmallLayout):
    has_clients = False


class Node:
    """One broker, which can be killed and suspended, and the proxy in front of it."""

    def __init__(self, number: int, kafka: LocalKafka, proxy: Proxy | None) -> None:
        self.number = number
        self.kafka = kafka
        self._proxy = proxy

    @property
    def proxy(self) -> Proxy:
        """The proxy that workers connect to."""
        assert self._proxy is not None, "a controller has no clients"
        return self._proxy

    def kill(self) -> None:
        """Kill the broker with SIGKILL."""
        self.kafka.kill()

    def restart(self) -> None:
        """Start a killed broker again, with the same files and ports; wait until it serves."""
        self.kafka.restart()

    def pause(self) -> None:
        """Suspend the broker: its connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended broker go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.kafka.pid is not None
        os.kill(self.kafka.pid, number)


class Cluster:
    """The nodes of a cluster as a context manager; `brokers` is 1 or 3, their files stay."""

    def __init__(self, directory: Path, brokers: int, progress: Callable[[str], None]) -> None:
        self._directory = directory
        self._progress = progress
        self._proxies = Proxies()
        self.replication = brokers
        self._controllers = [] if brokers == 1 else [self._controller()]
        self.brokers = [self._broker(number + 1) for number in range(brokers)]

    @property
    def servers(self) -> str:
        """Bootstrap servers for all clients but the workers, without a proxy."""
        return ",".join(node.kafka.bootstrap_servers for node in self.brokers)

    @property
    def worker_servers(self) -> str:
        """Bootstrap servers for the workers: the proxies."""
        return ",".join(node.proxy.address for node in self.brokers)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start all nodes and wait until they serve; LocalKafkaError when one does not."""
        nodes = self._controllers + self.brokers
        try:
            with ThreadPoolExecutor(len(nodes)) as threads:
                for started in [threads.submit(node.kafka.start) for node in nodes]:
                    started.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill all nodes; nothing has to be saved."""
        for node in self.brokers + self._controllers:
            node.kill()
        self._proxies.stop()

    def forgotten_markers(self, topics: Iterable[str]) -> list[str]:
        """Lines of Kafka's logs that say it did not end a transaction on one of these topics."""
        return [
            line
            for node in self.brokers
            for line in (node.kafka.directory / "broker.log").read_text().splitlines()
            if _FORGOTTEN in line and any(f"{topic}-" in line for topic in topics)
        ]

    def leader(self, topic: str, partition: int) -> Node:
        """The broker that currently leads a partition."""
        client = AdminClient({"bootstrap.servers": self.servers})
        found = client.list_topics(topic, timeout=_CLIENT_S).topics[topic].partitions[partition]
        return next(node for node in self.brokers if node.number == found.leader)

    def _controller(self) -> Node:
        self._voter = free_port()
        properties = {
            "process.roles": "controller",
            "node.id": str(_CONTROLLER_ID),
            "listeners": f"CONTROLLER://{HOST}:{self._voter}",
            "advertised.listeners": f"CONTROLLER://{HOST}:{self._voter}",
            "controller.quorum.bootstrap.servers": f"{HOST}:{self._voter}",
        }
        kafka = self._kafka("controller", free_port(), properties, _ControllerLayout)
        return Node(_CONTROLLER_ID, kafka, None)

    def _broker(self, number: int) -> Node:
        port, behind = free_port(), free_port()
        proxy = self._proxies.add(behind)
        listeners = f"PLAINTEXT://{HOST}:{port},PROXY://{HOST}:{behind}"
        properties = {
            "node.id": str(number),
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port},PROXY://{proxy.address}",
        }
        if self._controllers:
            properties |= _REPLICATED | {"process.roles": "broker"}
            voter = self._voter
        else:
            voter = free_port()
            properties |= _ALONE | {"listeners": f"{listeners},CONTROLLER://{HOST}:{voter}"}
        properties["controller.quorum.bootstrap.servers"] = f"{HOST}:{voter}"
        layout = _BrokerLayout if self._controllers else Layout
        return Node(number, self._kafka(f"broker-{number}", port, properties, layout), proxy)

    def _kafka(
        self, name: str, port: int, properties: Mapping[str, str], layout: type[Layout]
    ) -> LocalKafka:
        return LocalKafka(
            self._directory / name,
            port=port,
            properties={**_SHARED, **properties},
            layout=layout,
            on_progress=self._progress,
        )
