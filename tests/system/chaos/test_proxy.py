"""The proxy passes on frames, and simulates the network faults that it is asked for."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from pipeline.demo.local_kafka.ports import HOST
from tests.system.chaos.proxy import END_TXN, Proxies, Proxy

PATIENCE_S = 10.0
MOMENT_S = 0.3
METADATA = 3
ANSWER = struct.Struct(">ii")
"""Length and correlation id."""


def _frame(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def _request(key: int, correlation: int) -> bytes:
    return _frame(struct.pack(">hhi", key, 0, correlation))


def _read(connection: socket.socket) -> int:
    """Read the correlation id of the next answer, which contains nothing else."""
    received = b""
    while len(received) < ANSWER.size and (more := connection.recv(ANSWER.size - len(received))):
        received += more
    _length, correlation = ANSWER.unpack(received)
    return int(correlation)


def _answer_all(connection: socket.socket) -> None:
    """Serve as a broker that answers every request with its correlation id."""
    with suppress(OSError), connection, connection.makefile("rb") as stream:
        while head := stream.read(4):
            request = stream.read(*struct.unpack(">i", head))
            connection.sendall(_frame(request[4:8]))


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy in front of a broker that answers at once."""
    server = socket.create_server((HOST, 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=_answer_all, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    proxies = Proxies()
    yield proxies.add(server.getsockname()[1])
    proxies.stop()
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def _connect(proxy: Proxy) -> closing[socket.socket]:
    return closing(socket.create_connection((HOST, proxy.port), PATIENCE_S))


def test_frames_are_passed_on_in_order(proxy: Proxy) -> None:
    """Requests and answers arrive in the order in which they were sent."""
    with _connect(proxy) as client:
        client.sendall(_request(METADATA, 1) + _request(END_TXN, 2))
        assert [_read(client), _read(client)] == [1, 2]
    assert proxy.held == 0


def test_only_answers_to_end_txn_are_withheld(proxy: Proxy) -> None:
    """An answer to EndTxn waits until it is released; answers before it do not."""
    proxy.hold_end_txn()
    with _connect(proxy) as client:
        client.sendall(_request(METADATA, 1) + _request(END_TXN, 2))
        assert _read(client) == 1
        deadline = time.monotonic() + PATIENCE_S
        while proxy.held != 1:
            assert time.monotonic() < deadline, "the answer does not arrive"
            time.sleep(0.01)
        client.settimeout(MOMENT_S)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(PATIENCE_S)
        proxy.release_end_txn()
        assert _read(client) == 2


def test_a_stall_keeps_connections_open(proxy: Proxy) -> None:
    """Nothing arrives during a stall, and everything afterwards."""
    with _connect(proxy) as client:
        client.sendall(_request(METADATA, 1))
        assert _read(client) == 1
        proxy.stall()
        client.sendall(_request(METADATA, 2))
        client.settimeout(MOMENT_S)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(PATIENCE_S)
        proxy.flow()
        assert _read(client) == 2


def test_a_cut_resets_connections(proxy: Proxy) -> None:
    """An open connection is reset; a new one works."""
    with _connect(proxy) as client:
        client.sendall(_request(METADATA, 1))
        assert _read(client) == 1
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert proxy.dropped == 1
    with _connect(proxy) as client:
        client.sendall(_request(METADATA, 2))
        assert _read(client) == 2


def test_a_broker_that_is_down_refuses_connections() -> None:
    """A connection ends at once when nothing listens behind the proxy."""
    with closing(socket.create_server((HOST, 0))) as taken:
        port = taken.getsockname()[1]
    proxies = Proxies()
    try:
        proxy = proxies.add(port)
        with pytest.raises(ConnectionResetError), _connect(proxy) as client:
            client.recv(1)
    finally:
        proxies.stop()
