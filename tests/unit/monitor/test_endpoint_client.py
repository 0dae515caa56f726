"""Endpoints that answer, and everything else that may be at an address."""

from __future__ import annotations

import socket
import threading

import pytest

from pipeline.metrics.catalogue import Metric
from pipeline.monitor.endpoint_client import (
    EndpointPoll,
    EndpointProblem,
    EndpointReading,
    endpoint_url,
    read_endpoint,
)
from tests.unit.monitor.endpoints import READY, closed_port, raw_server, served_endpoint

SHORT_S = 0.2
"""For servers that hang."""
PATIENT_S = 30.0
"""For servers that do something: a slow machine may take a while."""


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://host:9400", "http://host:9400"),
        ("host:9400", "http://host:9400"),
        ("host", "http://host"),
        ("https://host/workers/1/metrics", "https://host/workers/1"),
        ("http://[::1]:9400/status/", "http://[::1]:9400"),
    ],
)
def test_address_of_an_endpoint(text: str, url: str) -> None:
    """The scheme may be missing, and a path of the endpoint is taken away."""
    assert endpoint_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "http://host:99999",
        "http://host/?a",
        "http://ho\nst",
        "http://[::1",
        "file:///etc/passwd",
        "ftp://host",
        "http://host:x",
        "http://host:0",
        "a b",
    ],
)
def test_bad_address_is_named(text: str) -> None:
    """A bad address is one sentence with an example."""
    with pytest.raises(ValueError, match="is not the address of an endpoint, such as http://"):
        endpoint_url(text)


def test_endpoint_is_read() -> None:
    """Metrics and status are returned."""
    with served_endpoint() as endpoint:
        answer = read_endpoint(endpoint.url)
        assert isinstance(answer, EndpointReading)
        assert answer.samples == READY
        assert answer.status == {"ready": True, "workers": []}


@pytest.mark.parametrize("page", [(404, b""), (200, b"<html>"), (200, b"[1]"), (200, b"[" * 9999)])
def test_metrics_suffice_without_a_status(page: tuple[int, bytes]) -> None:
    """Without a usable status document the figures are still there."""
    with served_endpoint() as endpoint:
        endpoint.pages["/status"] = page
        answer = read_endpoint(endpoint.url)
        assert isinstance(answer, EndpointReading)
        assert answer.status == {}


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ((404, b"no"), "/metrics answers 404 Not Found"),
        ((503, b"no"), "/metrics answers 503 Service Unavailable"),
        ((200, b"<html><body>hello</body></html>"), "no endpoint of track-pipeline"),
        ((200, b"go_goroutines 12\n"), "no endpoint of track-pipeline"),
        ((200, b""), "no endpoint of track-pipeline"),
        ((200, b"\xff\xfe\0"), "no endpoint of track-pipeline"),
        ((200, b"# " + b"x" * 9_000_000), "no endpoint of track-pipeline"),
    ],
)
def test_other_pages_are_one_sentence(page: tuple[int, bytes], said: str) -> None:
    """HTML, other programs' metrics and errors are said to be what they are."""
    with served_endpoint() as endpoint:
        endpoint.pages["/metrics"] = page
        answer = read_endpoint(endpoint.url)
        assert isinstance(answer, EndpointProblem)
        assert said in answer.sentence


def test_nothing_listens_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port and an unknown host name are told apart."""
    answer = read_endpoint(closed_port())
    assert isinstance(answer, EndpointProblem)
    assert "nothing listens there" in answer.sentence

    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)  # no question leaves this machine
    answer = read_endpoint("http://worker-9:9400")
    assert isinstance(answer, EndpointProblem)
    assert "the host name worker-9 can't be resolved" in answer.sentence


@pytest.mark.parametrize(
    ("sends", "closes", "said"),
    [
        (b"", True, "does not answer in HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", True, "does not answer in HTTP"),
        (b"\0\0\0\x01", True, "does not answer in HTTP"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nabc", True, "does not answer in HTTP"),
        (b"", False, "no answer within 0.2 s"),
        (b"HTTP/1.0 200 OK\r\n\r\ntrack", False, "no answer within 0.2 s"),
    ],
)
def test_other_servers_are_one_sentence(sends: bytes, closes: bool, said: str) -> None:  # noqa: FBT001
    """A server of another protocol, and one that hangs, are one sentence each."""
    with raw_server(sends, closes=closes) as url:
        answer = read_endpoint(url, PATIENT_S if closes else SHORT_S)
        assert isinstance(answer, EndpointProblem)
        assert said in answer.sentence


def test_plain_port_is_asked_with_tls() -> None:
    """The scheme is suspected when TLS fails."""
    with served_endpoint() as endpoint:
        answer = read_endpoint(endpoint.url.replace("http:", "https:"))
        assert isinstance(answer, EndpointProblem)
        assert "is it http:// instead?" in answer.sentence


def test_hanging_endpoint_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others answer; the one that hangs is asked again only when its thread has ended."""
    released, asked = threading.Event(), []

    def read(url: str, _: float) -> EndpointReading:
        asked.append(url)
        if url == "b" and not released.wait(30):
            raise AssertionError("nobody has released the endpoint")
        return EndpointReading(1, READY, {})

    monkeypatch.setattr("pipeline.monitor.endpoint_client.read_endpoint", read)
    poll = EndpointPoll(["a", "b", "a"], 1.0)
    for _ in range(2):
        answers = poll.read()
        assert isinstance(answers["a"], EndpointReading)
        assert isinstance(answers["b"], EndpointProblem)
    assert sorted(asked) == ["a", "a", "b"]
    hanging = [each for each in threading.enumerate() if each.name.startswith("endpoint b")]
    released.set()
    for thread in hanging:
        thread.join()
    answer = poll.read()["b"]
    assert isinstance(answer, EndpointReading)
    assert answer.samples[Metric.READY] == {(): 1}
