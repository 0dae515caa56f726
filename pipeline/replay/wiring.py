"""What a replay is made of, beyond what all commands have from `pipeline.wiring`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from pipeline.core.contract import Identity
from pipeline.core.counts import Tally
from pipeline.core.process import Processor
from pipeline.core.replay_checkpoint import Totals
from pipeline.kafka import ReplayOffsets, SessionConfig
from pipeline.kafka.clients import transactional_config
from pipeline.kafka.partitioner import PartitionMap
from pipeline.ports import Broker, Meter, TopicFacts
from pipeline.reconcile.event_filters import Choice, ChoosingProcessor, processor_for
from pipeline.replay.plan import Plan
from pipeline.settings.model import Settings
from pipeline.wiring import APP, admin, make_worker, session_config
from pipeline.worker.loop import Worker
from pipeline.worker.shared_state import LocalCrashGuard


def replay_session(
    settings: Settings, plan: Plan, facts: dict[str, TopicFacts], slot: int
) -> SessionConfig:
    """Of one slot of a replay: its own group and transactional id, whatever the settings name.

    `facts` are those of the outputs, as far as they exist.
    """
    own = settings.model_copy(
        update={"group": plan.group, "instance_id": None, "delivery": "exactly-once"}
    )
    outputs = {role: target.topic for role, target in plan.outputs.items() if target.topic in facts}
    config = session_config(own, outputs, facts, None)
    exactly_once = transactional_config(
        plan.transactional_id(slot), settings.transaction_timeout_ms
    )
    return replace(
        config,
        raw_topic=plan.progress_topic,
        partition_map=_replay_map(plan),
        producer={**config.producer, **exactly_once},
    )


def _replay_map(plan: Plan) -> Callable[[int], PartitionMap]:
    if plan.archive is None:
        return partial(PartitionMap, plan.raw_partitions)
    named = plan.archive.partitions
    # How many the archived topic had, nobody knows: a partition is kept where it fits.
    return lambda count: PartitionMap(max(named, count), count)


def replay_processor(settings: Settings, plan: Plan, chosen: Choice | None = None) -> Processor:
    """The contract under these settings, for the events that the replay means.

    With `chosen` only what is so.
    """
    identity = Identity(app=APP, group=plan.group, replay=plan.id)
    if chosen is not None:
        return ChoosingProcessor(settings, identity, plan.filters, chosen)
    return processor_for(settings, identity, plan.filters)


def replay_offsets(settings: Settings, plan: Plan, *, stable: bool = False) -> ReplayOffsets:
    """How far a replay is."""
    return ReplayOffsets(
        settings.kafka, plan.group, plan.progress_topic, settings.startup_timeout_s, stable=stable
    )


def output_extents(settings: Settings, plan: Plan) -> dict[str, dict[int, tuple[int, int]]]:
    """Of each output topic: partition → first offset and the one after the last.

    Also behind transactions that are still open: a commit is answered before its markers are
    written, and others may write to the same topic.
    """
    cluster = admin(settings)
    return {target.topic: cluster.extents(target.topic) for target in plan.outputs.values()}


def make_replay_worker(  # noqa: PLR0913, PLR0917  what a loop is made of
    settings: Settings,
    plan: Plan,
    broker: Broker,
    meter: Meter,
    chosen: Choice | None = None,
    before: Totals | None = None,
) -> Worker:
    """The worker's own loop over a replay, or one slot of it, which has done `before` already.

    The breaker is off, or compares with what was usual in the replay itself.
    """
    mode = "always" if plan.breaker else "off"
    breaker = settings.breaker.model_copy(update={"mode": mode, "accept": None})
    done = before or Totals()
    return make_worker(
        settings.model_copy(update={"breaker": breaker}),
        broker,
        replay_processor(settings, plan, chosen),
        meter,
        LocalCrashGuard(()),
        Tally(enriched=done.enriched, dead_letters=Counter(done.dead_letters)),
    )
