"""Asks a worker's endpoint how it is: `GET /status`."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any, Final

import msgspec

from pipeline.errors import SettingsError, TransportError
from pipeline.monitor.status import StatusLimits

_ANSWER_S: Final = 5.0
_LARGEST: Final = 4 * 1024 * 1024
"""Upper limit of an answer, which is a few hundred bytes per worker."""
_PATH: Final = "/status"
_SCHEMES: Final = ("http://", "https://")


class ReportedWorker(msgspec.Struct):
    """One worker, as its endpoint describes it."""

    worker: int | None
    """Number of the worker; None when there is only one."""
    instance: str | None
    pid: int | None
    state: str
    reasons: list[str]
    partitions: int
    lag_records: int | None
    lag_seconds: float | None
    last_commit_at: str | None
    committed_records: int


class WorkerReport(msgspec.Struct):
    """What an endpoint reports about the workers of one service."""

    version: str
    contract: str
    started_at: str
    live: bool
    ready: bool
    summary: str
    lag_records: int | None
    lag_seconds: float | None
    workers: list[ReportedWorker]
    breaker: str | None = None

    def problems(self, limits: StatusLimits) -> list[str]:
        """Return why a check fails: health, and limits that are exceeded."""
        found = []
        if not self.live:
            found.append(f"not live: {self.summary}")
        elif not self.ready:
            found.append(f"not ready: {self.summary}")
        return found + limits.exceeded_by(self.lag_records, self.lag_seconds)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document


_DECODER: Final = msgspec.json.Decoder(WorkerReport)
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without proxies: workers are asked within their own network."""


def ask_worker(url: str) -> WorkerReport:
    """Return what the endpoint at `url` reports.

    SettingsError for something that is no URL, TransportError when there is no answer of a worker.
    """
    if not url.startswith(_SCHEMES):
        raise SettingsError([f"--url {url!r} is not a URL such as http://localhost:8080"])
    address = url.rstrip("/").removesuffix(_PATH) + _PATH
    try:
        with _OPENER.open(address, timeout=_ANSWER_S) as answer:
            return _DECODER.decode(answer.read(_LARGEST))
    except urllib.error.HTTPError as error:
        error.close()  # it is the answer, too
        raise _no_worker(address, f"it answers {error.code} {error.reason}") from error
    except msgspec.MsgspecError as error:
        raise _no_worker(address, str(error)) from error
    except (OSError, ValueError) as error:
        why = error.reason if isinstance(error, urllib.error.URLError) else error
        text = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
        raise TransportError(
            f"{address} can't be reached: {text}; is the worker running, with --http-port?"
        ) from error


def _no_worker(address: str, why: str) -> TransportError:
    return TransportError(f"{address} is not the status of a worker: {why}")
