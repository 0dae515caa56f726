"""The HTTP server: its answers, its errors, and clients that behave badly."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from pipeline.errors import SettingsError
from pipeline.metrics.server import Response, serving, text

HOST = "127.0.0.1"


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server that says hello, and which header it got."""

    def hello(accept: str) -> Response:
        return text(HTTPStatus.OK, f"hello {accept}")

    with serving(HOST, 0, {"/hello": hello}) as port:
        yield port


def _get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request(method, path, headers={"Accept": "text/x"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_known_paths_are_answered(port: int) -> None:
    """Queries and a slash at the end do not matter; HEAD has no body."""
    assert _get(port, "/hello") == (200, b"hello text/x\n")
    assert _get(port, "/hello/?verbose=1") == (200, b"hello text/x\n")
    assert _get(port, "/hello", "HEAD") == (200, b"")


def test_unknown_paths_name_the_known_ones(port: int) -> None:
    """Nobody has to look up what there is."""
    assert _get(port, "/") == (404, b"no such path; there are /hello\n")
    assert _get(port, "/hello", "POST") == (405, b"only GET and HEAD\n")


def test_client_that_sends_nonsense_or_nothing_disturbs_nobody(port: int) -> None:
    """One connection hangs, another sends no HTTP; a third is answered."""
    with socket.create_connection((HOST, port)), socket.create_connection((HOST, port)) as other:
        other.sendall(b"\x00\xff\r\n\r\n")
        assert _get(port, "/hello")[0] == 200


def test_port_in_use_is_one_sentence(port: int) -> None:
    """The error says which setting to change."""
    with pytest.raises(SettingsError, match=r"http\.port: .* another program uses this port"):
        serving(HOST, port, {}).__enter__()


def test_unknown_address_is_one_sentence() -> None:
    """The address of another machine."""
    with pytest.raises(SettingsError, match="does not have the address"):
        serving("192.0.2.1", 0, {}).__enter__()


def test_port_is_free_after_the_block() -> None:
    """A program that starts again gets the same port at once."""
    with serving(HOST, 0, {}) as port:
        pass
    with serving(HOST, port, {}) as again:
        assert again == port


def test_a_bug_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    """A route that raises does not leave its client without an answer."""

    def broken(_accept: str) -> Response:
        raise ZeroDivisionError

    with serving(HOST, 0, {"/broken": broken}) as port:
        assert _get(port, "/broken") == (500, b"internal error; see the log\n")
    assert "/broken could not be answered" in caplog.text


def test_clients_that_hang_keep_nobody_out(port: int) -> None:
    """Connections that hang cost a limited number of threads: the oldest is disconnected."""
    with contextlib.ExitStack() as hanging:
        first, *_ = [
            hanging.enter_context(socket.create_connection((HOST, port))) for _ in range(32)
        ]
        assert _get(port, "/hello")[0] == 200
        assert first.recv(1) == b""
