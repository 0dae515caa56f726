"""Replaying one slot in this process, until its end, a stop, or another process that takes over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Final

from pipeline.core.replay_checkpoint import Totals, newest
from pipeline.errors import BreakerOpenError, FencedError
from pipeline.kafka import Owner, ReplayBroker, SlotConfig
from pipeline.ports import CircuitBreakerTrip, Session, Stop, TopicFacts
from pipeline.reconcile.event_filters import Choice
from pipeline.replay.file_reader import FileCollector
from pipeline.replay.file_scan import Survey
from pipeline.replay.plan import Plan
from pipeline.replay.wiring import make_replay_worker, replay_session
from pipeline.settings.model import Settings
from pipeline.worker.observe import LogMeter

_TRIES: Final = 5
_NEW_OWNER_S: Final = 2.0
"""To open the next session at once would fence a new owner off before it is written down."""


class _Until:
    """See `ports.Stop`: asked to, or done."""

    def __init__(self, stop: Stop, done: Event) -> None:
        self._stop, self._done = stop, done

    def is_set(self) -> bool:
        """Whether there is nothing more to do."""
        return self._done.is_set() or self._stop.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait that long at most."""
        return self._stop.wait(timeout)


class _Meter(LogMeter):
    """Logs what goes wrong; how far it is, is told elsewhere."""

    def tripped(self, trip: CircuitBreakerTrip) -> None:
        """See `ports.Meter`. A replay does not wait for somebody to come: it can be resumed."""
        reasons = ", ".join(f"{code} {number}" for code, number in trip.top())
        raise BreakerOpenError(
            f"the breaker is open: {trip.invalid:,} of the last {trip.watched:,} events would be "
            f"refused ({trip.invalid / trip.watched:.1%}, usual in this replay are "
            f"{trip.base:.1%}): {reasons}. The last batch was not written; correct the settings, "
            "or resume with --no-breaker"
        )

    def tick(self, session: Session) -> None:
        """See `ports.Meter`."""


def work(  # noqa: PLR0913, PLR0917  what makes one slot
    settings: Settings,
    plan: Plan,
    slot: int,
    owner: Owner,
    facts: dict[str, TopicFacts],
    stop: Stop,
    chosen: Choice | None = None,
    survey: Survey | None = None,
) -> None:
    """Replay the slot, or only what is `chosen`; with a `survey` its files.

    FencedError names who has taken over; others as of `Worker.run`.
    """
    done = Event()
    broker = slot_broker(settings, plan, slot, owner, facts, stop, done.set, survey)
    meter = _Meter(settings.stats_interval_s)
    before = _before(broker) if plan.breaker else None
    worker = make_replay_worker(settings, plan, broker, meter, chosen, before)
    until = _Until(stop, done)
    for attempt in range(1, _TRIES + 1):
        try:
            worker.run(until)
        except FencedError:
            # By the new owner, which writes itself down once it has every slot's id; or by an older
            # one, which finds that it is none any more, and ends.
            stop.wait(_NEW_OWNER_S)
            broker.owned(stable=True)
            if attempt == _TRIES:
                raise
        else:
            return


def _before(broker: ReplayBroker) -> Totals | None:
    """What the slot has done already; None: nothing."""
    last = newest(at.note for at in broker.owned(stable=True).values())
    return None if last is None else last.totals


def slot_broker(  # noqa: PLR0913, PLR0917  what makes one slot
    settings: Settings,
    plan: Plan,
    slot: int,
    owner: Owner,
    facts: dict[str, TopicFacts],
    stop: Stop,
    on_end: Callable[[], None],
    survey: Survey | None = None,
) -> ReplayBroker:
    """Sessions of one slot; `on_end` is called when everything is committed."""
    config = SlotConfig(
        session=replay_session(settings, plan, facts, slot),
        ranges={part.partition: (part.start, part.end) for part in plan.of_slot(slot)},
        owner=owner,
        topic_id=plan.raw_topic_id,
        selects=plan.means(),
        max_records=plan.most_of(slot),
        rate=None if plan.rate is None else plan.rate / plan.slots,
        max_invalid_ratio=plan.max_invalid_ratio,
        is_only=plan.slots == 1,
        stop=stop,
    )
    if survey is not None:
        config = replace(config, make_source=_file_collector(config, survey))
    return ReplayBroker(config, on_end)


def _file_collector(config: SlotConfig, survey: Survey) -> Callable[[], FileCollector]:
    limits = config.session.batch
    return lambda: FileCollector(survey, config.selects, limits.max_bytes, limits.linger_s)
