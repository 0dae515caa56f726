"""Replaying one slot in this process, until its end, a stop, or another process that takes over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Final

from pipeline.core.contract import Identity
from pipeline.core.counts import OutcomeCounts
from pipeline.core.formats import with_plain_json
from pipeline.core.process import Processor
from pipeline.core.replay_checkpoint import latest_checkpoint
from pipeline.errors import BreakerOpenError, FencedError
from pipeline.kafka import ReplayBroker, SlotConfig
from pipeline.ports import Broker, CircuitBreakerTrip, Meter, Session, Stop
from pipeline.reconcile.event_filters import OutputSelectingProcessor, processor_for
from pipeline.replay.file_reader import FileConsumer
from pipeline.replay.file_scan import FileScan
from pipeline.replay.run import ReplayRun
from pipeline.wiring import APP, formats, make_worker
from pipeline.worker.loop import Worker
from pipeline.worker.observe import LogMeter
from pipeline.worker.shared_state import LocalCrashGuard

_TRIES: Final = 5
_NEW_OWNER_S: Final = 2.0
"""To open the next session at once would fence a new owner off before it is written down."""


class _Until:
    """See `ports.Stop`. It is set when the work is done, or when it is to stop."""

    def __init__(self, stop: Stop, done: Event) -> None:
        self._stop, self._done = stop, done

    def is_set(self) -> bool:
        """Return whether there is nothing more to do."""
        return self._done.is_set() or self._stop.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait that long at most."""
        return self._stop.wait(timeout)


class _ReplayMeter(LogMeter):
    """Logs what goes wrong; progress is reported elsewhere."""

    def tripped(self, trip: CircuitBreakerTrip) -> None:
        """See `ports.Meter`. A replay does not wait for somebody to come: it can be resumed."""
        reasons = ", ".join(f"{code} {number}" for code, number in trip.top())
        raise BreakerOpenError(
            f"the breaker is open: {trip.invalid:,} of the last {trip.watched:,} events would be "
            f"rejected ({trip.invalid / trip.watched:.1%}, usual in this replay are "
            f"{trip.base:.1%}): {reasons}. The last batch was not written; correct the settings, "
            "or resume with --no-breaker"
        )

    def tick(self, session: Session) -> None:
        """See `ports.Meter`."""


def work(run: ReplayRun, slot: int) -> None:
    """Replay the slot; FencedError names who has taken over, others are those of `Worker.run`."""
    done = Event()
    processor = replay_processor(run)
    broker = slot_broker(run, slot, processor, done.set)
    meter = _ReplayMeter(run.settings.stats_interval_s)
    before = _before(broker) if run.plan.breaker else None
    worker = make_replay_worker(run, broker, processor, meter, before)
    until = _Until(run.stop, done)
    for attempt in range(1, _TRIES + 1):
        try:
            worker.run(until)
        except FencedError:
            # By the new owner, which writes itself down once it has every slot's id; or by an older
            # one, which finds that it is none any more, and ends.
            run.stop.wait(_NEW_OWNER_S)
            broker.owned(stable=True)
            if attempt == _TRIES:
                raise
        else:
            return


def _before(broker: ReplayBroker) -> OutcomeCounts | None:
    """What the slot has done already; None is nothing."""
    last = latest_checkpoint(at.note for at in broker.owned(stable=True).values())
    return None if last is None else last.totals


def slot_broker(
    run: ReplayRun, slot: int, processor: Processor, on_end: Callable[[], None]
) -> ReplayBroker:
    """Make the sessions of one slot; `on_end` is called when everything is committed."""
    plan = run.plan
    config = SlotConfig(
        session=run.session(slot),
        ranges={part.partition: (part.start, part.end) for part in plan.of_slot(slot)},
        owner=run.owner,
        topic_id=plan.raw_topic_id,
        selects=plan.selects(processor.text),
        max_records=plan.most_of(slot),
        rate=None if plan.rate is None else plan.rate / plan.slots,
        max_invalid_ratio=plan.max_invalid_ratio,
        is_only=plan.slots == 1,
        stop=run.stop,
    )
    if run.scan is not None:
        config = replace(config, make_source=_file_consumer(config, run.scan))
    return ReplayBroker(config, on_end)


def _file_consumer(config: SlotConfig, scan: FileScan) -> Callable[[], FileConsumer]:
    limits = config.session.batch
    return lambda: FileConsumer(scan, config.selects, limits.max_bytes, limits.linger_s)


def make_replay_worker(
    run: ReplayRun,
    broker: Broker,
    processor: Processor,
    meter: Meter,
    before: OutcomeCounts | None = None,
) -> Worker:
    """Make the worker's own loop over a slot, which has done `before` already.

    The breaker is off, or compares with what was usual in the replay itself.
    """
    mode = "always" if run.plan.breaker else "off"
    breaker = run.settings.breaker.model_copy(update={"mode": mode, "accept": None})
    return make_worker(
        run.settings.model_copy(update={"breaker": breaker}),
        broker,
        processor,
        meter,
        LocalCrashGuard(()),
        before,
    )


def replay_processor(run: ReplayRun) -> Processor:
    """Make the contract of the plan, for the events that it selects.

    Raises TransportError when the form of its outputs needs a registry that can't be reached.
    """
    plan = run.plan
    forms = formats(run.settings, writes=True)
    if plan.archive is not None:
        forms = with_plain_json(forms)
    identity = Identity(app=APP, group=plan.group, replay=plan.id)
    if run.selection is not None:
        return OutputSelectingProcessor(run.settings, identity, plan.filters, run.selection, forms)
    return processor_for(run.settings, identity, plan.filters, forms)
