"""Measures the loop part by part: what each step between consume and commit costs per record.

`make bench ARGS=loop` runs this module as a process per variant. Time is CPU time of the worker's
own thread, without that of calls inside which are a part of their own. The client's threads are
what the process used beyond it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

import pipeline.worker.loop
from pipeline.kafka.group_consumer import GroupConsumer
from pipeline.kafka.session import KafkaSession
from pipeline.ports import CommittedBatch
from pipeline.preflight import checked_topics
from pipeline.settings.model import load_settings
from pipeline.wiring import make_broker, make_processor, make_worker
from pipeline.worker.memory_tuning import tune_memory
from pipeline.worker.observe import LogMeter
from pipeline.worker.shared_state import LocalCrashGuard
from pipeline.worker.transaction import TransactionWriter
from tests.bench.brokers import PARTITIONS, fill, kafka_with_topics
from tests.bench.kafka import raw_values
from tests.bench.results import Cell, Column, Report, Result
from tests.bench.rounds import run_rounds

_SECONDS: Final = 300
_PROCESS: Final = "process()"
_PARTS: Final[tuple[tuple[Any, str, str], ...]] = (
    (GroupConsumer, "_take", "consume()"),
    (GroupConsumer, "_batch", "records, headers, positions"),
    (pipeline.worker.loop, "spans", "spans for the crash guard"),
    (TransactionWriter, "_process", _PROCESS),
    (TransactionWriter, "_send", "count, partition, produce()"),
    (KafkaSession, "begin", "begin"),
    (KafkaSession, "commit", "send offsets, flush, commit"),
    (LogMeter, "collected", "metrics"),
    (LogMeter, "committed", "metrics"),
)
"""Functions that are called once per chunk or batch, so that timing them costs nothing."""
_REST: Final = "rest of the loop"
_CLIENT: Final = "the client's threads"
VARIANTS: Final[Mapping[str, Mapping[str, str]]] = {
    "defaults": {},
    "linger.ms 5": {"producer.linger.ms": "5"},
    "linger.ms 200": {"producer.linger.ms": "200"},
    "no compression": {"producer.compression.type": "none"},
    "batches of 1,000": {"producer.batch.num.messages": "1000"},
    "fetch up to 4 MB": {"consumer.fetch.message.max.bytes": "4194304"},
}


class PartTimes:
    """CPU time of the calling thread by part, each without the parts inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = 0.0

    def measure(self, owner: Any, name: str, part: str) -> None:
        """Replace a function by one that is measured."""
        function: Callable[..., Any] = getattr(owner, name)

        def measured(*arguments: Any, **named: Any) -> Any:
            outer, self._inner = self._inner, 0.0
            began = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                took = time.thread_time() - began
                self.seconds[part] += took - self._inner
                self._inner = outer + took

        setattr(owner, name, measured)


class PartMeter(LogMeter):
    """The meter of `run`, which starts measuring at the first commit and ends at the last."""

    def __init__(self, records: int, parts: PartTimes) -> None:
        super().__init__(interval_s=30.0)
        self.stopped = threading.Event()
        self._parts = parts
        self._last = records
        self._first = self._done = 0
        self._began = (0.0, 0.0)

    def committed(self, batch: CommittedBatch) -> None:
        """See `ports.Meter`."""
        super().committed(batch)
        self._done += batch.counts.records
        if not self._first:
            self._first, self._began = self._done, (time.process_time(), time.thread_time())
            self._parts.seconds.clear()
        elif self._done >= self._last and not self.stopped.is_set():
            self._print(time.process_time() - self._began[0], time.thread_time() - self._began[1])
            self.stopped.set()

    def _print(self, process: float, thread: float) -> None:
        seconds = self._parts.seconds
        found = {part: seconds[part] for _, _, part in _PARTS}
        found[_REST] = thread - sum(found.values())
        found[_CLIENT] = process - thread
        records = self._done - self._first
        figures = {part: each / records * 1e6 for part, each in found.items()}
        print(json.dumps(figures))  # noqa: T201  read by the parent


def _run(servers: str, group: str, records: int, flags: Mapping[str, str]) -> None:
    parts = PartTimes()
    for owner, name, part in _PARTS:
        parts.measure(owner, name, part)
    own = {"kafka.bootstrap.servers": servers, "group": group}
    settings = load_settings(None, {**own, **flags}, {})
    broker = make_broker(settings, checked_topics(settings, print), "earliest")
    processor = make_processor(settings, group=settings.group)
    meter = PartMeter(records, parts)
    meter.started(broker.statistics, meter.stopped, -1)
    tune_memory()
    make_worker(settings, broker, processor, meter, LocalCrashGuard()).run(meter.stopped)


def measure_loop(report: Report, rounds: int, events: int) -> None:
    """Measure each part, and the whole under other settings of the client."""
    with kafka_with_topics(report) as settings:
        report.progress(f"wrote {fill(settings, raw_values(events)):,} raw records")
        servers, numbers = str(settings.kafka["bootstrap.servers"]), count()

        def runner(flags: Mapping[str, str]) -> Callable[[], dict[str, float]]:
            return lambda: _measured(servers, f"loop-{next(numbers)}", events, flags)

        runners = {name: runner(flags) for name, flags in VARIANTS.items()}
        runners["defaults"]()  # the broker's Java compiles
        found = run_rounds(runners, rounds)
    title = f"{events:,} records, {PARTITIONS} partitions, medians of {rounds} rounds"
    parts: list[list[Cell]] = [
        [part, _median(found["defaults"], part)] for part in found["defaults"][0]
    ]
    columns = [Column("part"), Column("CPU µs/record", ".2f")]
    report.add(Result(f"the loop's parts, {title}", columns, parts))
    whole: list[list[Cell]] = [
        [
            name,
            _median([{"": sum(figures.values()) - figures[_PROCESS]} for figures in runs], ""),
            _median(runs, _CLIENT),
        ]
        for name, runs in found.items()
    ]
    columns = [
        Column("client settings"),
        Column("CPU µs/record without process()", ".2f"),
        Column("of it the client's threads", ".2f"),
    ]
    report.add(Result(f"the client's settings, {title}", columns, whole))


def _median(measured: list[dict[str, float]], part: str) -> float:
    return statistics.median(figures[part] for figures in measured)


def _measured(servers: str, group: str, records: int, flags: Mapping[str, str]) -> dict[str, float]:
    module = [sys.executable, "-m", "tests.bench.loop_parts"]
    done = subprocess.run(
        [*module, servers, group, str(records), json.dumps(flags)],
        check=True,
        capture_output=True,
        timeout=_SECONDS,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
