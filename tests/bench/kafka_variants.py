"""Runs one variant (worker, replay, dry-run, passthrough) until SIGTERM, or until it is done.

It prints a line of JSON after each commit, which `running` reads: the records committed so far, and
the CPU time of all threads of this process, so that a figure has no start-up in it.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, Final
from urllib.request import urlopen

from confluent_kafka import Consumer, Producer, TopicPartition

from pipeline.core.record import Record
from pipeline.kafka.clients import consumer_config, producer_config, transactional_config
from pipeline.metrics.memory import resident_bytes
from pipeline.metrics.service import ServiceView
from pipeline.ports import CircuitBreakerTrip, CommittedBatch, Phase, Session
from pipeline.preflight import checked_topics
from pipeline.reconcile.compare.dry_run import DryRunProcessor
from pipeline.replay.plan import Part, ReplayPlan, Target
from pipeline.replay.run import ReplayRun, new_owner
from pipeline.replay.slot import make_replay_worker, replay_processor, slot_broker
from pipeline.replay.takeover import take_over
from pipeline.service.endpoint import endpoint, worker_service
from pipeline.settings.groups import HttpSettings
from pipeline.settings.model import Settings, load_settings
from pipeline.wiring import (
    WallClock,
    admin,
    formats,
    make_broker,
    make_processor,
    make_worker,
    range_reader,
    topic_names,
)
from pipeline.worker.memory_tuning import tune_memory
from pipeline.worker.observe import LogMeter, reporting
from pipeline.worker.shared_state import LocalCrashGuard
from tests.bench.children import peak_mb

_BATCH: Final = 1000


class Stopwatch:
    """Prints the CPU time of this process at each commit."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._committed = 0

    def count(self, records: int) -> None:
        """Count committed records."""
        self._committed += records
        line = {
            "records": self._committed,
            "cpu_s": time.process_time(),
            "at": time.monotonic(),
            "rss_mb": resident_bytes() / 1e6,
        }
        print(json.dumps(line), flush=True)  # noqa: T201  read by the parent


class Meter:
    """See `ports.Meter`."""

    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch

    def spent(self, phase: Phase, seconds: float) -> None:
        """See `ports.Meter`."""

    def collected(self, records: Sequence[Record]) -> None:
        """See `ports.Meter`."""

    def committed(self, batch: CommittedBatch) -> None:
        """See `ports.Meter`."""
        self._watch.count(batch.counts.records)

    def aborted(self) -> None:
        """End the process, as `recovering` does."""
        raise SystemExit("a transaction was aborted")

    def tick(self, session: Session) -> None:
        """See `ports.Meter`."""

    def assigned(self, partitions: Collection[int]) -> None:
        """See `ports.Meter`."""

    def recovered(self) -> None:
        """See `ports.Meter`."""

    def recovering(self, how: str, error: Exception, attempt: int) -> None:
        """End the process: a round with a failure in it measures nothing."""
        raise SystemExit(f"{how} {attempt}: {error}")

    def crashed(self, record: Record, error: Exception) -> None:
        """See `recovering`."""
        raise SystemExit(f"{record.offset}: {error!r}")

    def isolated(self, record: Record, cause: str) -> None:
        """See `recovering`."""
        raise SystemExit(f"{record.offset}: {cause}")

    def bisecting(self, records: int, cause: str) -> None:
        """See `recovering`."""
        raise SystemExit(f"{records}: {cause}")

    def lost(self, records: int) -> None:
        """See `recovering`."""
        raise SystemExit(f"{records} lost")

    def tripped(self, trip: CircuitBreakerTrip) -> None:
        """See `recovering`."""
        raise SystemExit(trip.sentence())


def run_worker(settings: Settings, watch: Stopwatch) -> None:
    """Run the worker as `track-pipeline run` does."""
    broker = make_broker(settings, checked_topics(settings, print), "earliest")
    forms = formats(settings, writes=True)
    processor = make_processor(settings, group=settings.group, formats=forms)
    tune_memory()
    make_worker(settings, broker, processor, Meter(watch), LocalCrashGuard()).run(watch.stop)


class CountingMeter(LogMeter):
    """The meter of `run`, which also tells the stopwatch."""

    def __init__(self, watch: Stopwatch) -> None:
        super().__init__(interval_s=30.0)
        self._watch = watch

    def committed(self, batch: CommittedBatch) -> None:
        """See `ports.Meter`."""
        super().committed(batch)
        self._watch.count(batch.counts.records)


def run_measured_worker(settings: Settings, watch: Stopwatch) -> None:
    """Run the worker with its metrics on, while somebody scrapes them every second."""
    broker = make_broker(settings, checked_topics(settings, print), "earliest")
    processor = make_processor(settings, group=settings.group)
    meter = CountingMeter(watch)
    meter.started(broker.statistics, watch.stop, -1)

    def view() -> ServiceView:
        return ServiceView(meter.snapshot(), [meter.snapshot()])

    def scrape(address: str) -> None:
        while not watch.stop.wait(1.0):
            with urlopen(f"http://{address}/metrics", timeout=10) as answer:
                answer.read()

    def start_scraping(address: str) -> None:
        threading.Thread(target=scrape, args=(address,), daemon=True).start()

    tune_memory()
    http = HttpSettings(port=0, host="127.0.0.1")
    measured = settings.model_copy(update={"http": http})
    with (
        endpoint(measured, worker_service(measured, view).routes(), start_scraping),
        reporting(meter, broker.monitor, broker.oldest_records),
    ):
        make_worker(settings, broker, processor, meter, LocalCrashGuard()).run(watch.stop)


def run_replay(settings: Settings, watch: Stopwatch) -> None:
    """Run a replay of everything, into the worker's topics."""
    facts, raw = checked_topics(settings, print), settings.topics.raw
    extents = admin(settings).extents(raw)
    plan = ReplayPlan(
        id=settings.group,
        raw_topic=raw,
        raw_topic_id=facts[raw].id,
        raw_partitions=facts[raw].partitions,
        parts=tuple(Part(number, *ends) for number, ends in extents.items()),
        outputs={role: Target(t) for role, t in topic_names(settings).outputs(settings).items()},
        contract=settings.contract(),
        settings="",
        version="",
        created_at=1,
        created_by="bench",
        transactional_id_prefix="bench",
    )
    run = ReplayRun(settings, plan, new_owner("begun"), facts, stop=watch.stop)
    take_over(run)
    processor = replay_processor(run)
    broker = slot_broker(run, 0, processor, watch.stop.set)
    tune_memory()
    make_replay_worker(run, broker, processor, Meter(watch)).run(watch.stop)


def run_passthrough(settings: Settings, watch: Stopwatch) -> None:
    """Copy bytes, key, timestamp and partition: the least an exactly-once worker can do."""
    consumer = Consumer(
        {
            **consumer_config(settings.kafka, {}, settings.group, None),
            "auto.offset.reset": "earliest",
            "enable.partition.eof": False,
        }
    )
    producer = Producer(
        producer_config(settings.kafka, {}, transactional_config(settings.group, 60_000))
    )
    producer.init_transactions(30)
    consumer.subscribe([settings.topics.raw])
    linger_s = settings.batch.linger_ms / 1000
    while not watch.stop.is_set():
        messages: list[Any] = consumer.consume(settings.batch.max_records, linger_s)
        if not messages:
            continue
        metadata = consumer.consumer_group_metadata()
        producer.begin_transaction()
        offsets: dict[int, int] = {}
        for message in messages:
            partition = message.partition()
            producer.produce(
                settings.topics.enriched,
                message.value(),
                message.key(),
                partition,
                timestamp=message.timestamp()[1],
            )
            offsets[partition] = message.offset() + 1
        places = [TopicPartition(settings.topics.raw, number, at) for number, at in offsets.items()]
        producer.send_offsets_to_transaction(places, metadata, 30)
        producer.commit_transaction(30)
        watch.count(len(messages))
    consumer.close()


def run_dry_run(settings: Settings, watch: Stopwatch) -> None:
    """Run the rules over the whole raw topic, as `replay --dry-run` does."""
    topic = settings.topics.raw
    extents = admin(settings).extents(topic)
    ranges = {(topic, number): ends for number, ends in extents.items()}
    rehearsal = DryRunProcessor(make_processor(settings), WallClock().now())
    tune_memory()
    rehearsal.run(_watched(range_reader(settings).read(ranges), watch))


def _watched(records: Iterator[Record], watch: Stopwatch) -> Iterator[Record]:
    while batch := list(islice(records, _BATCH)):
        yield from batch
        watch.count(len(batch))


def main() -> None:
    """Run the variant that the arguments name: its flags as JSON, and its number among several."""
    name, flags, slot = sys.argv[1:]
    watch = Stopwatch()
    signal.signal(signal.SIGTERM, lambda *_: watch.stop.set())
    settings = load_settings(None, json.loads(flags), {}).for_worker(int(slot))
    _VARIANTS[name](settings, watch)
    print(json.dumps({"peak_mb": peak_mb()}))  # noqa: T201  read by the parent
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Python drops its handlers before it ends


_VARIANTS: Final = {
    "worker": run_worker,
    "measured-worker": run_measured_worker,
    "replay": run_replay,
    "dry-run": run_dry_run,
    "passthrough": run_passthrough,
}

if __name__ == "__main__":
    main()
