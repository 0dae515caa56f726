"""Statistics that librdkafka reports about its connections and queues.

The client calls back inside `poll` and `consume` with a JSON document, whose fields are described
in librdkafka's STATISTICS.md. Counts start again with each new client, so they are added up here.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pipeline.ports import ClientFigures

_INTERVAL_MS: Final = 5_000
_MICROSECONDS: Final = 1e6
_MILLISECONDS: Final = 1e3


class _ReportedWindow(msgspec.Struct):
    p99: int = 0
    max: int = 0


class _ReportedBroker(msgspec.Struct):
    txerrs: int = 0
    rxerrs: int = 0
    req_timeouts: int = 0
    txretries: int = 0
    disconnects: int = 0
    rtt: _ReportedWindow = msgspec.field(default_factory=_ReportedWindow)
    """Microseconds."""
    throttle: _ReportedWindow = msgspec.field(default_factory=_ReportedWindow)
    """Milliseconds."""


class _ReportedPartition(msgspec.Struct):
    fetchq_cnt: int = 0
    fetchq_size: int = 0


class _ReportedTopic(msgspec.Struct):
    partitions: dict[str, _ReportedPartition] = {}


class _StatisticsReport(msgspec.Struct):
    msg_cnt: int = 0
    msg_size: int = 0
    brokers: dict[str, _ReportedBroker] = {}
    topics: dict[str, _ReportedTopic] = {}


_decode: Final = msgspec.json.Decoder(_StatisticsReport).decode


class ReportedStatistics:
    """Figures of the clients of all sessions, one after the other; see `ports.ClientStatistics`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._figures: dict[str, ClientFigures] = {}
        self._finished: dict[str, Counter[str]] = {"consumer": Counter(), "producer": Counter()}
        """Counts of clients that were replaced."""
        self._current: dict[str, Counter[str]] = {"consumer": Counter(), "producer": Counter()}
        self._newest: dict[str, object] = {}
        """Marks of the clients that report; those of older ones come late, and are ignored."""
        self._rotations = 0

    def properties(self, client: str) -> dict[str, Any]:
        """Return the properties with which a new client reports here; its counts start at 0."""
        return {"statistics.interval.ms": _INTERVAL_MS, "stats_cb": self._callback(client)}

    def _callback(self, client: str) -> Callable[[str], None]:
        mark = object()
        with self._lock:
            self._newest[client] = mark
            self._finished[client] += self._current[client]
            self._current[client] = Counter()

        def reported(document: str) -> None:
            # A callback must not raise: consume() would lose messages.
            try:
                report = _decode(document)
            except msgspec.DecodeError:
                return
            self._note(client, mark, report)

        return reported

    def rotated(self) -> None:
        """Count a producer that was replaced within its session."""
        with self._lock:
            self._rotations += 1

    def figures(self) -> Mapping[str, ClientFigures]:
        """See `ports.ClientStatistics`."""
        with self._lock:
            return dict(self._figures)

    def rotations(self) -> int:
        """See `ports.ClientStatistics`."""
        return self._rotations

    def _note(self, client: str, mark: object, report: _StatisticsReport) -> None:
        brokers = list(report.brokers.values())
        fetched = [each for topic in report.topics.values() for each in topic.partitions.values()]
        counts = Counter(
            transmit=sum(broker.txerrs for broker in brokers),
            receive=sum(broker.rxerrs for broker in brokers),
            timeout=sum(broker.req_timeouts for broker in brokers),
            disconnect=sum(broker.disconnects for broker in brokers),
            retries=sum(broker.txretries for broker in brokers),
        )
        with self._lock:
            if self._newest[client] is not mark:
                return
            self._current[client] = counts
            total = Counter({name: counts[name] + self._finished[client][name] for name in counts})
            retries = total.pop("retries")
            self._figures[client] = ClientFigures(
                max((broker.rtt.p99 for broker in brokers), default=0) / _MICROSECONDS,
                report.msg_cnt + sum(each.fetchq_cnt for each in fetched),
                report.msg_size + sum(each.fetchq_size for each in fetched),
                max((broker.throttle.max for broker in brokers), default=0) / _MILLISECONDS,
                total,
                retries,
            )
