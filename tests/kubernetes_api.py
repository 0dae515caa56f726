"""A Kubernetes API on loopback, with TLS, that knows one StatefulSet; and a pod's files."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any, Final

import trustme

from pipeline.service.kubernetes import StatefulSetPod

NAMESPACE: Final = "tracking"
TOKEN: Final = "the-pods-token"  # noqa: S105
SET: Final = "track-pipeline"
PATH: Final = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/{SET}"


class FakeKubernetesApi:
    """Answers one question, as its attributes say."""

    def __init__(self, folder: Path) -> None:
        self.status = 200
        self.answer: object = stateful_set(3)
        self.asked: list[tuple[str, str | None]] = []
        """Path and Authorization header of each request."""
        self.hanging = threading.Event()
        """Set it before a request that gets no answer."""
        self.released = threading.Event()
        self.authority = trustme.CA()
        """Issuer of the API's certificate; a pod knows it by its file `ca.crt`."""
        self.account = folder / "serviceaccount"
        self.account.mkdir()
        (self.account / "token").write_text(f"{TOKEN}\n")
        (self.account / "namespace").write_text(NAMESPACE)
        self.authority.cert_pem.write_to_path(self.account / "ca.crt")
        self._tls = SSLContext(PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1").configure_cert(self._tls)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)

    @contextmanager
    def serving(self) -> Iterator[FakeKubernetesApi]:
        """Serve within the block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables that Kubernetes gives every container."""
        host, port = self._server.server_address[:2]
        return {"KUBERNETES_SERVICE_HOST": str(host), "KUBERNETES_SERVICE_PORT": str(port)}

    def pod(self, name: str) -> StatefulSetPod:
        """A pod of this cluster."""
        return StatefulSetPod(name, self.environ, self.account)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked.append((self.path, self.headers["Authorization"]))
                if api.hanging.is_set():
                    api.released.wait()
                    return
                self.send_response(api.status)
                self.end_headers()
                self.wfile.write(json.dumps(api.answer).encode())

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler


def stateful_set(replicas: int, *, start: int | None = None, deleted: bool = False) -> Any:
    """A StatefulSet as the API returns it, without the fields that nobody looks at."""
    ordinals = {} if start is None else {"ordinals": {"start": start}}
    deletion = {"deletionTimestamp": "2026-11-26T12:00:00Z"} if deleted else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": SET, **deletion},
        "spec": {"replicas": replicas, **ordinals},
    }


class RecordedLog:
    """Log lines as level, event and fields."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        """See `DecommissionLog`."""
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: object) -> None:
        """See `DecommissionLog`."""
        self.lines.append(("warning", event, fields))
