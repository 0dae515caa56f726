"""A small HTTP server beside the work: it answers GET and HEAD, and never disturbs the loop."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import socketserver
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

from pipeline.errors import SettingsError
from pipeline.metrics.exposition import Exposition

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
_MOST_CONNECTIONS: Final = 32
"""Connections that are served at a time; each has a thread."""
_ENDS_S: Final = 1.0
"""How long a new connection waits until the oldest one, which makes room for it, has ended."""
_LOG: Final = logging.getLogger("pipeline.metrics")
_SILENT_CLIENT_S: Final = 10.0
"""A client that sends nothing for so long is disconnected."""
_WHY: Final = {
    errno.EADDRINUSE: "another program uses this port: choose another http.port, or 0 for any",
    errno.EACCES: "ports below 1024 need a permission: choose a http.port from 1024 on",
    errno.EADDRNOTAVAIL: "this machine does not have the address http.host",
}


class Response(NamedTuple):
    """Answer to a request."""

    status: HTTPStatus
    content_type: str
    body: bytes


Routes = Mapping[str, Callable[[str], Response]]
"""Maps a path to a function of the request's header `Accept`."""


def text(status: HTTPStatus, body: str) -> Response:
    """Return an answer in plain text."""
    return Response(status, TEXT, body.encode() + b"\n")


def metrics_route(exposition: Exposition) -> Callable[[str], Response]:
    """Return the route of `/metrics`."""

    def answer(accept: str) -> Response:
        content_type, body = exposition.render(accept)
        return Response(HTTPStatus.OK, content_type, body)

    return answer


@contextmanager
def serving(host: str, port: int, routes: Routes) -> Iterator[int]:
    """Serve within the block; yields the port. SettingsError when it can't be opened."""
    server = _open(host, port, routes)
    thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _open(host: str, port: int, routes: Routes) -> _Server:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return _Server(family, address[:2], routes)
    except OSError as error:
        why = _WHY.get(error.errno or 0, error.strerror or str(error))
        raise SettingsError(
            [f"http.port: the endpoint can't listen at {host}:{port}: {why}"]
        ) from error


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32
    block_on_close = False

    def __init__(
        self, family: socket.AddressFamily, address: tuple[object, ...], routes: Routes
    ) -> None:
        self.address_family = family
        self.routes = routes
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._open: deque[socket.socket] = deque()
        super().__init__((str(address[0]), int(str(address[1]))), _Handler)

    def server_bind(self) -> None:
        """Bind without the look-up of this machine's name, which can take minutes."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  the base class's
        """Serve one connection in a thread.

        Where there are too many, the oldest one is ended: clients that hang must not keep a
        liveness probe out, which would end a healthy worker.
        """
        if not self._free.acquire(blocking=False):
            with contextlib.suppress(OSError, IndexError):  # it may have ended by itself
                self._open.popleft().shutdown(socket.SHUT_RDWR)
            if not self._free.acquire(timeout=_ENDS_S):
                self.shutdown_request(request)
                return
        self._open.append(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  the base class's
        """Serve one connection, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with contextlib.suppress(ValueError):  # it was ended to make room
                self._open.remove(request)
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that disconnects: what it asked for is of no use any more."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENT_CLIENT_S
    protocol_version = "HTTP/1.1"

    def version_string(self) -> str:
        """Return the name of this program, without versions of its libraries."""
        return "track-pipeline"

    def do_GET(self) -> None:
        """Answer a request."""
        path = self.path.partition("?")[0].rstrip("/") or "/"
        route = self.server.routes.get(path)
        if route is None:
            known = " ".join(self.server.routes)
            response = text(HTTPStatus.NOT_FOUND, f"no such path; there are {known}")
        else:
            response = self._answer(route)
        self._send(response)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is none, or not GET or HEAD, in plain text."""
        del explain
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code, message = HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD"
        self.close_connection = True
        self._send(text(HTTPStatus(code), message or HTTPStatus(code).phrase))

    def _answer(self, route: Callable[[str], Response]) -> Response:
        try:
            return route(self.headers.get("Accept", ""))
        except Exception:  # noqa: BLE001  a bug must not end the connection silently
            _LOG.exception("a bug in this program: %s could not be answered", self.path)
            return text(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; see the log")

    do_HEAD = do_GET  # noqa: N815  the base class's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Log nothing: scrapes and probes arrive every few seconds."""
