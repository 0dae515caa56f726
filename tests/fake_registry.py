"""A small Schema Registry on loopback, with GUIDs, that can be told to fail.

It answers as Confluent's newer registries do. It compares no schemas: `incompatible` says what it
claims.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

_JSON: Final = "application/vnd.schemaregistry.v1+json"


class Answer(NamedTuple):
    """What is answered, whatever was asked."""

    status: int
    body: bytes = b""
    content_type: str = _JSON


class FakeRegistry(ThreadingHTTPServer):
    """Registers schemas in memory, and remembers what it was asked for."""

    daemon_threads = True

    def __init__(self, port: int, tls: ssl.SSLContext | None, *, guids: bool) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.guids = guids
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.answers: list[Answer] = []
        """Given instead of the real ones: each once, but the last for ever."""
        self.incompatible = False
        self.authorization: str | None = None
        """Header that requests must have."""
        self.forbidden = ""
        """Beginning of paths that nobody may ask for; empty: there are none."""
        self.opened = threading.Event()
        """Nothing is answered before this."""
        self.opened.set()
        self.delay_s = 0.0
        """How long each answer takes."""
        self.asked: list[str] = []
        """Method and path of each request."""
        self.level: str = "BACKWARD"
        self.is_apicurio = False
        """It answers for levels as Apicurio does."""
        self.levels: dict[str, str] = {}
        self.schemas: list[dict[str, Any]] = []
        """By id, from 1."""
        self.subjects: dict[str, list[int]] = {}

    @property
    def url(self) -> str:
        """What `schema_registry.url` is set to."""
        return f"{self._scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that breaks off is a part of tests."""

    def fail(self, *answers: Answer) -> None:
        """Give these answers, the last one for ever; without any, the real ones again."""
        self.answers = list(answers)

    def register(self, subject: str, schema: dict[str, Any]) -> int:
        """Add a schema as its clients write it, `{"schema": …}`; return its id."""
        if schema not in self.schemas:
            self.schemas.append(schema)
        number = self.schemas.index(schema) + 1
        versions = self.subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def described(self, number: int, subject: str | None = None) -> dict[str, Any]:
        """Return what is said about a schema."""
        schema = self.schemas[number - 1]
        found = {**schema, "id": number}
        if self.guids:
            digest = hashlib.md5(schema["schema"].encode(), usedforsecurity=False)
            found["guid"] = str(UUID(bytes=digest.digest()))
        if subject is not None:
            version = self.subjects[subject].index(number) + 1
            found |= {"subject": subject, "version": version}
        return found


@contextmanager
def fake_registry(
    *, port: int = 0, guids: bool = True, tls: ssl.SSLContext | None = None
) -> Iterator[FakeRegistry]:
    """Yield a registry that serves while the body runs, on a free port unless one is given."""
    with FakeRegistry(port, tls, guids=guids) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.opened.set()
            server.shutdown()
            thread.join()


class _NotFoundError(Exception):
    """Ends a request with 404; the argument is a registry's code, or None for an unknown path."""


class _Handler(BaseHTTPRequestHandler):
    server: FakeRegistry

    def do_GET(self) -> None:
        self._serve(dict(parse_qsl(urlsplit(self.path).query)))

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    do_PUT = do_POST  # noqa: N815  http.server's name

    def _serve(self, body: dict[str, Any]) -> None:
        server = self.server
        path = urlsplit(self.path).path
        server.asked.append(f"{self.command} {unquote(path)}")
        server.opened.wait(30)
        time.sleep(server.delay_s)
        if server.answers:
            self._send(server.answers.pop(0) if server.answers[1:] else server.answers[0])
        elif server.authorization not in {None, self.headers["Authorization"]}:
            self._say(401, {"error_code": 401, "message": "Unauthorized"})
        elif server.forbidden and path.startswith(server.forbidden):
            self._say(403, {"error_code": 40301, "message": "Forbidden"})
        else:
            try:
                found = self._answer(path, body)
            except _NotFoundError as error:
                code = error.args[0] or 404
                self._say(404, {"error_code": code, "message": "not found"})
            else:
                self._say(200, found)

    def _say(self, status: int, document: object) -> None:
        self._send(Answer(status, json.dumps(document).encode()))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _answer(self, path: str, body: dict[str, Any]) -> object:
        for method, pattern, answer in _ROUTES:
            match = re.fullmatch(pattern, path)
            if method == self.command and match is not None:
                return answer(self.server, body, *map(unquote, match.groups()))
        raise _NotFoundError(None)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _types(_server: FakeRegistry, _body: dict[str, Any]) -> object:
    return ["AVRO", "JSON", "PROTOBUF"]


def _by_id(server: FakeRegistry, _body: dict[str, Any], number: str) -> object:
    if not 0 < int(number) <= len(server.schemas):
        raise _NotFoundError(40403)
    return server.described(int(number))


def _by_guid(server: FakeRegistry, _body: dict[str, Any], guid: str) -> object:
    if not server.guids:
        raise _NotFoundError(None)
    for number in range(1, len(server.schemas) + 1):
        found = server.described(number)
        if found["guid"] == guid:
            return found
    raise _NotFoundError(40403)


def _versions(server: FakeRegistry, _body: dict[str, Any], subject: str) -> list[int]:
    if subject not in server.subjects:
        raise _NotFoundError(40401)
    return [version for version, _ in enumerate(server.subjects[subject], 1)]


def _version(server: FakeRegistry, body: dict[str, Any], subject: str, version: str) -> object:
    if int(version) not in _versions(server, body, subject):
        raise _NotFoundError(40402)
    return server.described(server.subjects[subject][int(version) - 1], subject)


def _register(server: FakeRegistry, body: dict[str, Any], subject: str) -> object:
    return {"id": server.register(subject, _schema(body))}


def _look_up(server: FakeRegistry, body: dict[str, Any], subject: str) -> object:
    for version in _versions(server, body, subject):
        number = server.subjects[subject][version - 1]
        if server.schemas[number - 1] == _schema(body):
            return server.described(number, subject)
    raise _NotFoundError(40403)


def _schema(body: dict[str, Any]) -> dict[str, Any]:
    kept = {key: body[key] for key in ("schema", "schemaType", "references") if body.get(key)}
    return {key: value for key, value in kept.items() if value != "AVRO"}


def _compare(server: FakeRegistry, _body: dict[str, Any], _subject: str) -> object:
    return {"is_compatible": not server.incompatible}


def _level(server: FakeRegistry, _body: dict[str, Any]) -> object:
    return {"compatibilityLevel": server.level}


def _level_of(server: FakeRegistry, body: dict[str, Any], subject: str) -> object:
    if server.is_apicurio and subject not in server.subjects:
        raise _NotFoundError(40401)
    if subject in server.levels:
        return {"compatibilityLevel": server.levels[subject]}
    if body.get("defaultToGlobal") == "true":
        return _level(server, {})
    if server.is_apicurio:
        return {"compatibilityLevel": "NONE"}
    raise _NotFoundError(40408)


def _set_level(server: FakeRegistry, body: dict[str, Any], subject: str) -> object:
    server.levels[subject] = body["compatibility"]
    return body


_ROUTES: Final[tuple[tuple[str, str, Callable[..., object]], ...]] = (
    ("GET", "/schemas/types", _types),
    ("GET", "/schemas/ids/([0-9]+)", _by_id),
    ("GET", "/schemas/guids/([^/]+)", _by_guid),
    ("GET", "/subjects/([^/]+)/versions", _versions),
    ("GET", "/subjects/([^/]+)/versions/([0-9]+)", _version),
    ("POST", "/subjects/([^/]+)/versions", _register),
    ("POST", "/subjects/([^/]+)", _look_up),
    ("POST", "/compatibility/subjects/([^/]+)/versions", _compare),
    ("GET", "/config", _level),
    ("GET", "/config/([^/]+)", _level_of),
    ("PUT", "/config/([^/]+)", _set_level),
)
