"""Looks at a pipeline again and again, logs what it sees, and answers requests about it.

It depends on no worker: its figures are there, and right, while none runs. A look that fails says
so at once and again at each interval; meanwhile nothing that was seen before is exposed, so that
nobody takes an old lag for the present one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core.timestamps import format_time
from pipeline.errors import RefusedError, TransportError
from pipeline.metrics.catalogue import Metric
from pipeline.metrics.exposition import Exposed, Exposition
from pipeline.metrics.samples import Counts, Labels
from pipeline.metrics.server import JSON, Response, Routes, metrics_route, text
from pipeline.metrics.service import ServiceState
from pipeline.monitor.collectors import Collected, Collector
from pipeline.ports import Clock, Stall, Stop
from pipeline.wiring import WallClock
from pipeline.worker.observe.logs import get_logger
from pipeline.worker.observe.stalls import StallLog

_NOT_YET: Final = "it has not looked at the cluster yet"


class _LastLook(NamedTuple):
    """What the last look has found."""

    failure: str = _NOT_YET
    """Why the look failed; empty when it succeeded."""
    parts: Sequence[Collected] = ()
    notices: tuple[str, ...] = ()
    succeeded_at: int | None = None
    """When a look succeeded last, epoch milliseconds."""


class Watch:
    """Looks with these collectors; the first one is the cluster, without which there is no look.

    One thread looks, and any thread may ask.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        *,
        stuck_after_s: float,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Clock | None = None,
    ) -> None:
        self._collectors = collectors
        self._stuck_after_s = stuck_after_s
        self._clock = clock
        self._wall_clock = wall_clock or WallClock()
        self._log = get_logger("pipeline.watch")
        self._stalls = StallLog(clock, "pipeline.watch")
        self._turned_at = clock()
        self._view = _LastLook()

    def run(self, stop: Stop, interval_s: float) -> None:
        """Look at each interval until a stop is requested."""
        while not stop.is_set():
            began = self._clock()
            self.look()
            stop.wait(max(0.0, began + interval_s - self._clock()))
        for each in self._collectors:
            each.close()

    def look(self) -> None:
        """Look once, and log what has been found. Never raises."""
        self._turned_at = self._clock()
        before, self._view = self._view, self._looked()
        self._turned_at = self._clock()
        for sentence in self._view.notices:
            if sentence not in before.notices:
                self._log.warning("noticed", message=sentence)
        if self._view.failure:
            self._stalls.waits(Stall(self._view.failure))
            self._stalls.repeat()
            return
        self._stalls.waits(None)
        fields = {name: each for part in self._view.parts for name, each in part.fields.items()}
        self._log.info("watched", **fields)

    def _looked(self) -> _LastLook:
        parts: list[Collected] = []
        notices: list[str] = []
        failure = ""
        for each in self._collectors:
            try:
                parts.append(each.collect())
                notices += parts[-1].notices
            except RefusedError as error:
                # Other parts may be missing for good, such as permissions that nobody needs.
                failure = failure or ("" if parts else str(error))
                notices += [str(error)] if parts else []
            except TransportError as error:
                failure = failure or str(error)
            except Exception as error:  # noqa: BLE001  a bug must not end the watch
                failure = failure or f"looking at the cluster failed: {error!r}"
            if not parts:
                break
        at = self._view.succeeded_at if failure else self._wall_clock.now()
        return _LastLook(failure, parts, tuple(dict.fromkeys(notices)), at)

    def routes(self) -> Routes:
        """Return the paths that are served."""
        return {
            "/metrics": metrics_route(Exposition(self.exposed)),
            "/livez": lambda _accept: self._livez(),
            "/readyz": lambda _accept: self._readyz(),
            "/status": lambda _accept: Response(
                HTTPStatus.OK, JSON, msgspec.json.encode(self.status()) + b"\n"
            ),
        }

    def _livez(self) -> Response:
        silent = self._clock() - self._turned_at
        if silent <= self._stuck_after_s:
            return text(HTTPStatus.OK, "ok")
        return text(HTTPStatus.SERVICE_UNAVAILABLE, f"the last look began {silent:.0f} s ago")

    def _readyz(self) -> Response:
        failure = self._view.failure
        if not failure:
            return text(HTTPStatus.OK, "ok")
        return text(HTTPStatus.SERVICE_UNAVAILABLE, failure)

    def state(self) -> ServiceState:
        """Return what a service manager is told."""
        live = self._livez().status == HTTPStatus.OK
        return ServiceState(live, self._view.failure or "looks at the cluster")

    def exposed(self) -> Exposed:
        """Return the values of all metrics."""
        view = self._view
        own = Counts()
        own.put(Metric.WATCH_UP, float(not view.failure))
        if view.succeeded_at is not None:
            own.put(Metric.WATCH_LAST_SUCCESS, view.succeeded_at / 1000)
        samples = dict[Metric, Mapping[Labels, float]](own.samples())
        for part in view.parts:
            samples |= part.samples
        return Exposed(samples)

    def status(self) -> Mapping[str, Any]:
        """Return the last look as JSON values."""
        view = self._view
        at = view.succeeded_at
        figures = {name: each for part in view.parts for name, each in part.status.items()}
        return {
            "up": not view.failure,
            "failure": view.failure or None,
            "last_success_at": None if at is None else format_time(at),
            **figures,
            "notices": list(view.notices),
        }
