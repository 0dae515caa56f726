"""A real Apache Kafka on loopback, without Docker: one broker, for the demo and for tests.

Java and the jars come from the extra `local`. The broker runs in a session of its own, so that a
Ctrl-C reaches only us, and under a guard process that ends it when we are gone, however that
happens. It is ready when it has logged so *and* names itself in an answer on its port: the port
alone opens earlier, and may be somebody else's.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pipeline.demo.local_kafka.files import IN_USE, STARTED, Layout, cause_of
from pipeline.demo.local_kafka.jars import JarsError, find_runtime
from pipeline.demo.local_kafka.ports import HOST, free_port, obstacle, serves
from pipeline.demo.local_kafka.process import GuardedProcess
from pipeline.errors import LocalKafkaError

_ALTERNATIVES: Final = "use `docker compose up`, or your own broker with --bootstrap-servers"
_POLL_S: Final = 0.05


class LocalKafka:
    """One Kafka broker, as a context manager or by `start` and `stop`.

    Args:
        directory: Where the broker keeps its files (data, configuration, `broker.log`), also after
            `stop`; made when it is missing. Without it, a temporary one, which `stop` removes.
        port: Where clients connect on 127.0.0.1. Without it, a free one; it stays the same over
            `restart`.
        jit: Whether Java compiles for speed (benchmarks) or for a quick start (all else).
        properties: Broker settings that win over ours, for example `message.max.bytes`.
        on_progress: Is called with one line at a time about what is going on.
        start_timeout_s: How long the broker may take from its start until it is ready; downloading
            is not counted.
        layout: Makes what knows the node's files and command lines; tests of several nodes have
            one of their own.
    """

    def __init__(  # noqa: PLR0913  all but one by keyword
        self,
        directory: Path | None = None,
        *,
        port: int | None = None,
        jit: bool = False,
        properties: Mapping[str, str] | None = None,
        on_progress: Callable[[str], None] | None = None,
        start_timeout_s: float = 60.0,
        layout: Callable[[Path], Layout] = Layout,
    ) -> None:
        self._given_directory = directory
        self._directory: Path | None = None
        self._port = port
        self._jit = jit
        self._properties = dict(properties or {})
        self._progress = on_progress or (lambda _: None)
        self._start_timeout_s = start_timeout_s
        self._make_layout = layout
        self._process: GuardedProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, for a client's `bootstrap.servers`; known from the first `start` on."""
        if self._port is None:
            raise LocalKafkaError("the embedded Kafka has no address before it is started")
        return f"{HOST}:{self._port}"

    @property
    def directory(self) -> Path:
        """Where the files are; known from the first `start` on."""
        if self._directory is None:
            raise LocalKafkaError("the embedded Kafka has no directory before it is started")
        return self._directory

    @property
    def pid(self) -> int | None:
        """Process id of the broker itself (Java's); None when none was started."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether the broker's process is alive."""
        return self._process is not None and self._process.exit_code is None

    def start(self) -> None:
        """Start the broker and wait until it serves; does nothing when it runs.

        Raises:
            LocalKafkaError: it did not start; nothing is left behind, other than a given directory.
        """
        if self.running:
            return
        self._end()
        try:
            self._start()
        except JarsError as error:
            self.stop()
            raise LocalKafkaError(f"{error}; or {_ALTERNATIVES}") from error
        except OSError as error:
            self.stop()
            raise LocalKafkaError(
                f"the embedded Kafka can't be started, {error.filename}: {error.strerror}; "
                f"make room for it there, or {_ALTERNATIVES}"
            ) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the broker (SIGTERM; SIGKILL when that takes too long), remove a temporary folder."""
        try:
            self._end()
        finally:
            if self._directory is not None and self._given_directory is None:
                shutil.rmtree(self._directory, ignore_errors=True)
                self._directory = None

    def kill(self) -> None:
        """SIGKILL the broker, as a crash would; its files and port stay, for `restart`."""
        self._end(kill=True)

    def shut_down(self) -> None:
        """End the broker in order; its files and port stay, for `restart`."""
        self._end()

    def restart(self) -> None:
        """Start again on the same files and port, after a `kill` or by stopping it first."""
        self._end()
        self.start()

    def _end(self, *, kill: bool = False) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(kill=kill)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        if os.name != "posix":
            raise JarsError("the embedded Kafka runs on Linux and macOS only")
        began = time.monotonic()
        runtime = find_runtime(self._progress)
        layout = self._make_layout(self._make_directory())
        if layout.is_in_use():
            raise _not_started(IN_USE)
        port = self._port = self._usable_port()
        layout.write(port, free_port(but=port), self._properties)
        if not layout.formatted.exists():
            self._progress("formatting the data directory")
            self._await_formatted(self._run(layout.format_command(runtime), layout.log))
        self._progress(f"starting Apache Kafka on {self.bootstrap_servers}")
        command = layout.broker_command(runtime, jit=self._jit)
        self._await_ready(self._run(command, layout.log), port if layout.has_clients else None)
        took = time.monotonic() - began
        self._progress(f"ready: Apache Kafka on {self.bootstrap_servers} after {took:.1f} s")

    def _make_directory(self) -> Path:
        if self._directory is None:
            if self._given_directory is None:
                self._directory = Path(tempfile.mkdtemp(prefix="track-pipeline-kafka-"))
            else:
                self._given_directory.mkdir(parents=True, exist_ok=True)
                self._directory = self._given_directory.absolute()
        return self._directory

    def _usable_port(self) -> int:
        if self._port is None:
            return free_port()
        why = obstacle(self._port)
        if why is not None:
            raise LocalKafkaError(
                f"port {self._port} on {HOST} {why}: choose another, or let a free one be chosen"
            )
        return self._port

    def _run(self, command: list[str], log: Path) -> GuardedProcess:
        litter = self._directory if self._given_directory is None else None
        self._process = GuardedProcess(command, log, litter)
        return self._process

    def _await_formatted(self, process: GuardedProcess) -> None:
        if not process.ended_within(self._start_timeout_s):
            raise self._too_slow()
        if process.exit_code:
            raise _not_started(cause_of(process.output))
        self._end()

    def _await_ready(self, process: GuardedProcess, port: int | None) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        while not (STARTED in process.output and (port is None or serves(port))):
            if process.ended_within(_POLL_S):
                raise _not_started(cause_of(process.output))
            if time.monotonic() > deadline:
                raise self._too_slow()

    def _too_slow(self) -> LocalKafkaError:
        return _not_started(f"it was not ready within {self._start_timeout_s:g} s")


def _not_started(cause: str) -> LocalKafkaError:
    return LocalKafkaError(f"the embedded Kafka did not start, {cause}; {_ALTERNATIVES}")
