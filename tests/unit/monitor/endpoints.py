"""Endpoints of workers on the loopback interface, and what they answer."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.samples import Samples

_PATIENCE_S: Final = 30.0
READY: Final[Samples] = {Metric.READY: {(): 1}, Metric.LIVE: {(): 1}, Metric.START_TIME: {(): 1}}


def exposition(values: Samples) -> str:
    """Values in Prometheus' text format."""
    lines = []
    for metric, series in values.items():
        name, kind, _, labels = metric.value
        lines.append(f"# TYPE {name} {kind}")
        for of, value in series.items():
            pairs = ",".join(f'{label}="{each}"' for label, each in zip(labels, of, strict=True))
            lines.append(f"{name}{{{pairs}}} {value}")
    return "\n".join(lines) + "\n"


class FakeEndpoint:
    """What one endpoint answers; it may be changed while it is served."""

    def __init__(self) -> None:
        self.url = ""
        self.values: dict[Metric, Mapping[tuple[str, ...], float]] = dict(READY)
        self.status: Any = {"ready": True, "workers": []}
        self.pages: dict[str, tuple[int, bytes]] = {}
        """Path → an answer instead of the usual one."""
        self._requests: queue.SimpleQueue[str] = queue.SimpleQueue()

    def wait_for(self, path: str) -> None:
        """Wait until a path is asked for once more."""
        while self._requests.get(timeout=_PATIENCE_S) != path:
            pass

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        self._requests.put(path)
        if path in self.pages:
            return self.pages[path]
        if path == "/metrics":
            return 200, exposition(self.values).encode()
        return 200, json.dumps(self.status).encode()


@contextmanager
def served_endpoint() -> Iterator[FakeEndpoint]:
    """An endpoint on a free port."""
    endpoint = FakeEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = endpoint.answer(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    endpoint.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def raw_server(sends: bytes, *, closes: bool) -> Iterator[str]:
    """A server that sends the same bytes to every client; it hangs then, or closes."""
    listener = socket.create_server(("127.0.0.1", 0))
    clients: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            clients.append(client)
            client.recv(4096)
            client.sendall(sends)
            if closes:
                client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for client in clients:
            client.close()


def closed_port() -> str:
    """Address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
