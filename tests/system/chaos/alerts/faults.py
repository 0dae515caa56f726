"""The faults that make alerts fire; each is real, lasts until its alerts have fired, and is healed.

A fault takes the pipeline, and what waits until the alerts of its case have fired.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol

from confluent_kafka import Producer

from tests.system.chaos.alerts.pipeline import WatchedPipeline, wait_for
from tests.system.chaos.client_logging import SILENT
from tests.system.chaos.failpoints import Action, Failpoint, Point

_RETENTION: Final = "retention.ms"
_RAW_KEPT_MS: Final = 60_000
"""An hour of the rules. Kafka looks for what to delete every five minutes, and never deletes the
segment that is written to, so nothing is lost meanwhile."""
_DEAD_LETTERS_KEPT_MS: Final = 600_000
"""Ten hours of the rules."""
_SCRAPED_S: Final = 1.2
"""A bit more than a scrape interval: each start must have been seen."""
_HANGS_S: Final = 600.0
_TRANSACTION_MS: Final = 300_000
_CLIENT_S: Final = 30.0


class Firing(Protocol):
    """What is known of the alerts that a fault is to cause."""

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until all have fired, or for so long; False when they have not.

        Without a time limit that of the case applies.
        """


Fault = Callable[[WatchedPipeline, Firing], None]


def not_started(pipeline: WatchedPipeline, firing: Firing) -> None:
    """Prometheus runs with the rules before there is anything to scrape."""
    firing.wait()
    pipeline.start()


def killed_again_and_again(pipeline: WatchedPipeline, firing: Firing) -> None:
    """A worker is killed whenever it has been scraped, as for its memory."""
    worker = pipeline.worker
    while not firing.wait(_SCRAPED_S):
        worker.slot.signal(signal.SIGKILL)
        wait_for(worker.answers, "restarting a killed worker")


def stopped_with_short_retention(pipeline: WatchedPipeline, firing: Firing) -> None:
    """All workers are stopped, and the raw topic keeps records for an hour only."""
    pipeline.worker.end()
    with _configured(pipeline, pipeline.names.raw, _RAW_KEPT_MS):
        firing.wait()
    pipeline.worker.start()


def hung(pipeline: WatchedPipeline, firing: Firing) -> None:
    """The loop of a worker hangs in the middle of a transaction."""
    slot = pipeline.worker.slot
    slot.arm(Failpoint(Point.AFTER_PRODUCE, Action.SLEEP, seconds=_HANGS_S))
    firing.wait()
    slot.signal(signal.SIGKILL)


def suspended(pipeline: WatchedPipeline, firing: Firing) -> None:
    """A worker is suspended (SIGSTOP): its connections stay open, nothing answers."""
    pipeline.worker.slot.signal(signal.SIGSTOP)
    firing.wait()
    pipeline.worker.slot.signal(signal.SIGCONT)


def not_watched(pipeline: WatchedPipeline, firing: Firing) -> None:
    """`track-pipeline watch` is stopped."""
    pipeline.watch.end()
    firing.wait()
    pipeline.watch.start()


def _with_bug(pipeline: WatchedPipeline, firing: Firing, bug: str) -> None:
    pipeline.worker.restart(bug=bug)
    firing.wait()
    pipeline.worker.restart()


output_dropped: Final[Fault] = partial(_with_bug, bug="output_dropped")
processing_raises: Final[Fault] = partial(_with_bug, bug="processing_raises")
commits_fail: Final[Fault] = partial(_with_bug, bug="commits_fail")


def only_invalid_events(pipeline: WatchedPipeline, firing: Firing) -> None:
    """A sender starts to send nothing but invalid events."""
    pipeline.traffic.only_invalid = True
    firing.wait()
    pipeline.traffic.only_invalid = False


def contract_changed(pipeline: WatchedPipeline, firing: Firing) -> None:
    """A worker is deployed with a setting under which it would reject all that is sent."""
    pipeline.worker.restart({"TRACK_LIMITS__MAX_EVENT_BYTES": "10"})
    firing.wait()
    pipeline.worker.restart()


def raw_records_deleted(pipeline: WatchedPipeline, firing: Firing) -> None:
    """Raw records are deleted while no worker runs, which then goes on behind them."""
    pipeline.worker.end()
    time.sleep(_SCRAPED_S)  # some are written that nobody has read
    _delete_all(pipeline, pipeline.names.raw)
    pipeline.worker.start()
    firing.wait()


def dead_letters_deleted(pipeline: WatchedPipeline, firing: Firing) -> None:
    """Dead letters that nobody has resolved are deleted, as retention does."""
    _delete_all(pipeline, pipeline.names.dead_letter)
    firing.wait()


def dead_letters_kept_shortly(pipeline: WatchedPipeline, firing: Firing) -> None:
    """The retention of the dead-letter topic is lowered to ten hours."""
    with _configured(pipeline, pipeline.names.dead_letter, _DEAD_LETTERS_KEPT_MS):
        firing.wait()


def transaction_left_open(pipeline: WatchedPipeline, firing: Firing) -> None:
    """Another producer leaves a transaction open in the enriched topic."""
    config: dict[str, Any] = {
        "bootstrap.servers": pipeline.cluster.servers,
        "transactional.id": f"{pipeline.job}.another",
        "transaction.timeout.ms": _TRANSACTION_MS,
        **SILENT,
    }
    producer = Producer(config)
    producer.init_transactions(_CLIENT_S)
    producer.begin_transaction()
    producer.produce(pipeline.names.enriched, b"{}")
    producer.flush(_CLIENT_S)
    firing.wait()
    producer.abort_transaction(_CLIENT_S)


def broker_down(pipeline: WatchedPipeline, firing: Firing) -> None:
    """The only broker is killed."""
    (broker,) = pipeline.cluster.brokers
    broker.kill()
    firing.wait()
    broker.restart()


def _delete_all(pipeline: WatchedPipeline, topic: str) -> None:
    admin = pipeline.admin
    admin.delete_records(topic, admin.ends(topic, committed=False))


@contextmanager
def _configured(pipeline: WatchedPipeline, topic: str, kept_ms: int) -> Iterator[None]:
    """Lower the retention of a topic for a while."""
    usual = pipeline.admin.setting(topic, _RETENTION)
    pipeline.admin.configure(topic, _RETENTION, str(kept_ms))
    try:
        yield
    finally:
        pipeline.admin.configure(topic, _RETENTION, usual)
