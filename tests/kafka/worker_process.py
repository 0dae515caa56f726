"""The worker as a process of its own, as it runs in production, and the topics it works on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.process import Processor
from pipeline.core.record import Record, Role
from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import TransportError
from pipeline.kafka import Admin
from pipeline.kafka.admin import GroupProgress
from pipeline.topics import LEDGER_SUFFIX, CreateOptions, TopicNames, specs
from tests.brokers import read_topic, wait_for_markers
from tests.unit.cli.program import Ran, command, environment, run

MARKERS_LOST: Final = "Couldn't find leader endpoint for partitions"
"""Start of Kafka's log line when it drops the markers of a transaction (docs/how-to/chaos.md)."""
QUICK_COMMITS: Final = {"consumer_max_poll_interval_ms": "10000"}
"""Settings of a worker that gives up a commit after four seconds. Not by a short
transaction_timeout_ms: a transaction that has expired while the only broker was away is aborted
when the partitions have no leader yet. Kafka 4.3.1 may then lose its markers, and its records
become visible with the next commit (docs/how-to/chaos.md)."""
PATIENCE_S: Final = 180.0
"""For a worker to reach a goal: more means that it hangs."""
_ANSWER_S: Final = 5.0


class Pipeline:
    """The topics of a pipeline on a broker, and workers that run on them."""

    def __init__(self, servers: str, name: Callable[[str], str], folder: Path) -> None:
        self.servers = servers
        self.names = TopicNames(*(name(role) for role in TopicNames._fields))
        self.admin = self._new_admin()
        self._folder = folder
        self._workers: list[subprocess.Popen[bytes]] = []

    def create_topics(self, partitions: int = 3, *, with_other: bool = False) -> None:
        """As `topics create` does."""
        options = CreateOptions(partitions, 1, None, 30.0)
        self.admin.create(specs(self.names, options, None, with_other=with_other))

    def start(self, instance: str = "w1", *flags: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a worker; its log goes to `log(instance)`."""
        variables = {
            **self.variables,
            "TRACK_INSTANCE_ID": instance,
            "TRACK_CONSUMER_SESSION_TIMEOUT_MS": "6000",
            **{f"TRACK_{n.upper()}": value for n, value in settings.items()},
        }
        with self._log(instance).open("ab") as log:
            worker = subprocess.Popen(
                command("run", *flags), env={**environment(), **variables}, stderr=log
            )
        self._workers.append(worker)
        return worker

    def run(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Ran:
        """Run a command of the program on these topics, in this process."""
        ran = run(*arguments, env={**self.variables, **(env or {})})
        if arguments[:1] == ("dlq",) and "--execute" in arguments:
            # The next command reads what is committed, which is known once the markers are there.
            topics = [self.names.dead_letter, self.names.dead_letter + LEDGER_SUFFIX]
            wait_for_markers(self.servers, *self.admin.topics(topics))
        return ran

    def start_command(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command; what it says goes to `log("command-<n>")`, the first being 1."""
        variables = {**environment(), **self.variables, **(env or {})}
        name = f"command-{1 + len(list(self._folder.glob('command-*')))}"
        with self._log(name).open("ab") as log:
            started = subprocess.Popen(command(*arguments), env=variables, stdout=log, stderr=log)
        self._workers.append(started)
        return started

    @property
    def variables(self) -> dict[str, str]:
        """The settings that name the broker and the topics."""
        return {
            "TRACK_KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "TRACK_GROUP": self.names.raw,
            **{f"TRACK_TOPICS__{n.upper()}": t for n, t in self.names._asdict().items()},
        }

    def _log(self, instance: str) -> Path:
        return self._folder / f"{instance}.log"

    def text(self, instance: str = "w1") -> str:
        """Everything that a worker has logged."""
        return self._log(instance).read_text()

    def lines(self, event: str, instance: str = "w1") -> list[dict[str, Any]]:
        """A worker's log lines of one event name."""
        whole = self.text(instance).split("\n")[:-1]  # the last one may be half written
        parsed = [json.loads(line) for line in whole if line[:1] == "{"]
        return [line for line in parsed if line["event"] == event]

    def progress(self, group: str = "") -> GroupProgress:
        """How far a group is; nothing done of one while the broker does not answer."""
        try:
            return self.admin.progress(group or self.names.raw, self.names.raw)
        except TransportError:
            # A client that has met a restarted broker may never find its coordinator again.
            self.admin = self._new_admin()
            return GroupProgress(0, 1)

    def _new_admin(self) -> Admin:
        return Admin({"bootstrap.servers": self.servers}, _ANSWER_S)

    def committed(self) -> int:
        """How many raw offsets the group has committed."""
        return self.progress().committed

    def wait_for(self, reached: Callable[[], bool], what: str) -> None:
        """Wait until something is so; the logs are shown when it takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline, f"{what} took too long\n{self._logs()}"
            time.sleep(0.05)

    def wait_until_done(self) -> None:
        """Wait until the group has committed everything."""

        def done() -> bool:
            progress = self.progress()
            return progress.committed >= progress.total

        self.wait_for(done, "reading everything")

    def end_all(self) -> None:
        """Kill what is left; pytest shows the end of the logs when the test has failed."""
        for worker in self._workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
        sys.stdout.write(self._logs())

    def _logs(self) -> str:
        return "\n".join(path.read_text()[-4000:] for path in sorted(self._folder.glob("*.log")))

    def expected(self, settings: Mapping[str, Any] | None = None) -> dict[Role, list[Written]]:
        """What the contract makes of the raw topic."""
        contract = ContractSettings.model_validate(settings or {})
        processor = Processor(contract, Identity(app="test", group=self.names.raw))
        made: dict[Role, list[Written]] = {role: [] for role in Role}
        for each in read_topic(self.servers, self.names.raw):
            record = Record(
                each.value, each.key, each.headers, each.timestamp, self.names.raw, *each[4:]
            )
            for output in processor.process(record, 1):
                made[output.role].append(_written(output.headers, output.value, each.partition))
        return {role: sorted(written) for role, written in made.items() if written}

    def found(
        self, isolation: str = "read_committed", *, with_other: bool = False
    ) -> dict[Role, list[Written]]:
        """What the output topics hold."""
        topics = {
            Role.ENRICHED: self.names.enriched,
            Role.DEAD_LETTER: self.names.dead_letter,
            Role.IDENTIFY: self.names.identify,
        }
        if with_other:
            topics[Role.OTHER] = self.names.other
        seen = {
            role: sorted(
                _written(each.headers, each.value, each.partition)
                for each in read_topic(self.servers, topic, isolation)
            )
            for role, topic in topics.items()
        }
        return {role: written for role, written in seen.items() if written}

    def explained(self, kafka: LocalKafka) -> str:
        """Say which outputs are missing or too many, and which markers Kafka itself has lost."""
        found, expected = self.found(), self.expected()
        lines = []
        for role in found.keys() | expected.keys():
            there, due = Counter(found.get(role, ())), Counter(expected.get(role, ()))
            for word, wrong in (("missing", due - there), ("too many", there - due)):
                sources = [source for source, _, _ in sorted(wrong)]
                lines += [f"{role}: {wrong.total()} {word}: {sources[:5]}"] if wrong else []
        log = (kafka.directory / "broker.log").read_text(errors="replace").splitlines()
        lost = [line for line in log if MARKERS_LOST in line]
        return "\n".join([*lines, f"markers that Kafka has lost: {len(lost)}", *lost[:3]])


Written = tuple[str, int, bytes]
"""Source coordinates, partition, value: what must be there exactly once."""


def _written(
    headers: Iterable[tuple[str, bytes | None]], value: bytes | None, partition: int
) -> Written:
    named = dict(headers)
    source = named.get(TrackHeader.SOURCE) or named[DlqHeader.SOURCE] or b""
    return source.decode(), partition, b"(null)" if value is None else value


def terminate(worker: subprocess.Popen[bytes]) -> int:
    """SIGTERM; the exit code."""
    worker.send_signal(signal.SIGTERM)
    return worker.wait(PATIENCE_S)
