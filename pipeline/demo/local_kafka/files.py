"""Files and command line that the embedded Kafka is started with, and why a start failed."""

from __future__ import annotations

import base64
import errno
import fcntl
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pipeline.demo.local_kafka.jars import Runtime
from pipeline.demo.local_kafka.ports import HOST

STARTED: Final = b"Kafka Server started"
"""Text that is logged when the controller lets the broker serve."""

PROPERTIES: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    # One broker holds one replica of everything.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The internal topics are made at first use: the fewer partitions, the sooner.
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.num.partitions": "3",
    # Tests and demos wait for these.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    "log.cleaner.backoff.ms": "500",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # After a kill, the controller takes the broker back only when its old session has ended.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Small is enough.
    "num.network.threads": "1",
    "num.io.threads": "2",
    "log.cleaner.dedupe.buffer.size": "2097152",
}
"""Settings of one broker for tests and demos, apart from addresses and folders."""

_LOGGING: Final = """\
status = error
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c{1})%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = OUT
# Thousands of lines of settings at each start.
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
logger.kafkaconfig.name = kafka.server.KafkaConfig
logger.kafkaconfig.level = warn
"""
IN_USE: Final = "another broker uses the same data directory"
_CAUSES: Final = (
    (r"Address already in use", "the port that it is to use is taken by another program"),
    (
        r"OutOfMemoryError|insufficient memory|Could not reserve enough space",
        "there is not enough memory for it (it takes about 500 MB)",
    ),
    (r"No space left on device", "the disk is full"),
    (r"Failed to acquire lock on file \.lock", IN_USE),
)
_LAST_WORDS: Final = re.compile(
    r"^(?:Caused by: |Exception in .*? )?(?:[\w$]+\.)*(?P<exception>\w+(?:Exception|Error): .+)"
    r"|^Error: (?P<launcher>.+)",
    re.MULTILINE,
)
"""Pattern of what Java prints for an exception, or its launcher when it can't start."""


class Layout:
    """The files of one broker in its directory."""

    heap = ("-Xms256m", "-Xmx512m")
    format_flags: Sequence[str] = ("--standalone",)
    """Id of the only node of the cluster."""
    has_clients = True
    """Roles of the node: one that is only a controller answers no client."""

    def __init__(self, directory: Path) -> None:
        self.properties = directory / "server.properties"
        self.logging = directory / "log4j2.properties"
        self.log = directory / "broker.log"
        self.data = directory / "data"
        self.formatted = self.data / "meta.properties"
        """File that exists when the data directory is ready for use."""

    def is_in_use(self) -> bool:
        """Whether a broker uses the data directory, where it has locked a file.

        Another one would find that out by itself, but may have read half a record by then.
        """
        try:
            with (self.data / ".lock").open("r+b") as lock:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EAGAIN}:
                raise
            return True
        return False

    def write(self, port: int, controller_port: int, properties: Mapping[str, str]) -> None:
        """Write the configuration; `properties` win over ours."""
        settings = {
            **PROPERTIES,
            "controller.quorum.bootstrap.servers": f"{HOST}:{controller_port}",
            "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
            "log.dirs": str(self.data),
            **properties,
        }
        lines = [f"{name}={_escaped(value)}\n" for name, value in settings.items()]
        self.properties.write_text("".join(lines), encoding="utf-8")
        self.logging.write_text(_LOGGING, encoding="utf-8")

    def format_command(self, runtime: Runtime) -> list[str]:
        """Command that prepares an empty data directory, with a cluster id of its own."""
        tool = ["kafka.tools.StorageTool", "format", *self.format_flags, "-t", self.cluster_id()]
        return [*self._java(runtime, jit=False), *tool, "-c", str(self.properties)]

    def cluster_id(self) -> str:
        """Make an id of 16 random bytes in url-safe base64, not beginning with a dash."""
        first, *others = uuid.uuid4().bytes
        return base64.urlsafe_b64encode(bytes([first & 0x7F, *others])).rstrip(b"=").decode()

    def broker_command(self, runtime: Runtime, *, jit: bool) -> list[str]:
        """Command that runs the broker; with `jit`, Java's second compiler is on."""
        return [*self._java(runtime, jit=jit), "kafka.Kafka", str(self.properties)]

    def _java(self, runtime: Runtime, *, jit: bool) -> list[str]:
        return [
            str(runtime.java),
            *self.heap,
            "-XX:+UseSerialGC",
            *([] if jit else ["-XX:TieredStopAtLevel=1"]),
            "-Xshare:auto",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={self.logging}",
            "-cp",
            f"{runtime.jars}/*",
        ]


def _escaped(value: str) -> str:
    """Escape a value for a Java properties file, where a backslash begins an escape."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def cause_of(output: bytes) -> str:
    """Why the broker ended, from what it wrote; part of a sentence."""
    log = output.decode(errors="replace")
    for pattern, cause in _CAUSES:
        if re.search(pattern, log):
            return cause
    said = [match["exception"] or match["launcher"] for match in _LAST_WORDS.finditer(log)]
    said = said or [line for line in log.splitlines() if line.strip()]
    return f"it says: {said[-1].strip()}" if said else "it says nothing"
