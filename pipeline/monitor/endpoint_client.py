"""Asks the HTTP endpoints of workers: `/metrics` and `/status`.

Guarantees: an answer, or one sentence that says why there is none, after a limited time, whatever
listens there. Redirects to other schemes, proxies of the environment and bodies without an end are
not followed.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from pipeline.core.escape import one_line
from pipeline.metrics.samples import Samples
from pipeline.metrics.scrape import parse_exposition

TIMEOUT_S: Final = 2.0
"""A worker answers within milliseconds; a person does not wait longer for the next picture."""
_LARGEST: Final = 8 * 1024 * 1024
"""Largest body that is read. The metrics of a worker with 1,000 partitions are 300 KB."""
_PIECE: Final = 65_536
_PATHS: Final = ("/metrics", "/status", "/livez", "/readyz")
_FOREIGN: Final = "what answers there is no endpoint of track-pipeline: is the port right?"
# Answers of a worker on the same machine or in the same cluster must not go through a proxy.
_OPENER: Final = build_opener(ProxyHandler({}))


class EndpointReading(NamedTuple):
    """What an endpoint has answered."""

    at: float
    """Time of the answer by the monotonic clock, seconds."""
    samples: Samples
    status: dict[str, Any]
    """The document of `/status`; empty when there is none."""


class EndpointProblem(NamedTuple):
    """Why an endpoint could not be read."""

    sentence: str


EndpointAnswer = EndpointReading | EndpointProblem
FOREIGN: Final = EndpointProblem(_FOREIGN)
"""What answers belongs to another program."""


def endpoint_url(text: str) -> str:
    """Base address of an endpoint; raises ValueError with a sentence.

    The scheme may be left out, and a path of the endpoint may be given.
    """
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        usable = usable and not parts.query and not parts.fragment
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is not the address of an endpoint, such as http://host:9400")
    path = parts.path.rstrip("/")
    for known in _PATHS:
        path = path.removesuffix(known)
    return f"{parts.scheme}://{parts.netloc}{path}"


def read_endpoint(url: str, timeout_s: float = TIMEOUT_S) -> EndpointAnswer:
    """Read an endpoint once; each read of its connection takes at most `timeout_s`."""
    body = read_text(url, "/metrics", timeout_s)
    if isinstance(body, EndpointProblem):
        return body
    try:
        samples = parse_exposition(body)
    except ValueError:
        samples = {}
    if not samples:
        return FOREIGN
    return EndpointReading(time.monotonic(), samples, _status(url, timeout_s))


def _status(url: str, timeout_s: float) -> dict[str, Any]:
    """The status document; the metrics alone say enough when it can't be read."""
    body = read_text(url, "/status", timeout_s)
    try:
        document = {} if isinstance(body, EndpointProblem) else json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def read_text(url: str, path: str, timeout_s: float = TIMEOUT_S) -> str | EndpointProblem:
    """Read one path of an endpoint."""
    try:
        return _get(url + path, timeout_s)
    except HTTPError as error:
        error.close()
        return EndpointProblem(f"{path} answers {error.code} {_phrase(error.code)}: {_FOREIGN}")
    except (OSError, http.client.HTTPException) as error:
        return EndpointProblem(_why(error, url, timeout_s))
    except ValueError:
        return FOREIGN


def _get(url: str, timeout_s: float) -> str:
    deadline = time.monotonic() + timeout_s
    body = bytearray()
    with _OPENER.open(url, timeout=timeout_s) as response:
        while piece := response.read1(_PIECE):
            body += piece
            if len(body) > _LARGEST:
                raise ValueError("the body is too large")
            if time.monotonic() > deadline:
                raise TimeoutError
        if response.length:
            raise http.client.IncompleteRead(bytes(body), response.length)
    return body.decode(errors="replace")


def _phrase(code: int) -> str:
    return HTTPStatus(code).phrase if code in set(HTTPStatus) else ""


def _why(error: OSError | http.client.HTTPException, url: str, timeout_s: float) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    match cause:
        case TimeoutError():
            return no_answer(timeout_s)
        case ConnectionRefusedError():
            return "nothing listens there: is the worker running, with http.port set?"
        case socket.gaierror():
            return f"the host name {urlsplit(url).hostname} can't be resolved: is it right?"
        case ssl.SSLError():
            return f"TLS fails ({one_line(cause.reason or str(cause))}): is it http:// instead?"
        case http.client.HTTPException() | ConnectionResetError():
            return "what listens there does not answer in HTTP: is the port right?"
        case _:
            return one_line(getattr(cause, "strerror", None) or str(cause))


def no_answer(timeout_s: float) -> str:
    """Sentence for an endpoint that does not answer in time."""
    return f"no answer within {timeout_s:g} s: it hangs, or a firewall drops the packets"


class EndpointPoll:
    """Reads several endpoints at once.

    Each has a thread of its own, so that one that hangs delays neither the others nor the end of
    the program.
    """

    def __init__(self, urls: Sequence[str], timeout_s: float = TIMEOUT_S) -> None:
        self.urls = tuple(dict.fromkeys(urls))
        self._timeout_s = timeout_s
        self._threads: dict[str, threading.Thread] = {}
        self._answers: dict[str, EndpointAnswer] = {}

    def read(self) -> dict[str, EndpointAnswer]:
        """Answer of each endpoint, in the order of the addresses."""
        self._answers = {}
        # An endpoint whose thread has not ended is not asked again before it has.
        self._threads = {url: each for url, each in self._threads.items() if each.is_alive()}
        for url in self.urls:
            if url not in self._threads:
                self._threads[url] = self._started(url)
        deadline = time.monotonic() + self._timeout_s
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        late = EndpointProblem(no_answer(self._timeout_s))
        return {url: self._answers.get(url, late) for url in self.urls}

    def _started(self, url: str) -> threading.Thread:
        answers = self._answers  # a thread that is late must not answer a later question

        def read() -> None:
            answers[url] = read_endpoint(url, self._timeout_s)

        thread = threading.Thread(target=read, name=f"endpoint {url}", daemon=True)
        thread.start()
        return thread
