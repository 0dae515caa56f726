"""One process at work on a replay: what all of its steps need, from takeover to verification."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Final

from pipeline.errors import RefusedError
from pipeline.files.outputs import FileOutput
from pipeline.identity import whoami
from pipeline.kafka import Owner, SessionConfig
from pipeline.kafka.clients import transactional_config
from pipeline.kafka.partitioner import PartitionMap
from pipeline.ports import Stop, TopicFacts
from pipeline.reconcile.event_filters import OutputSelector
from pipeline.replay.file_scan import FileScan
from pipeline.replay.hooks import ReplayHooks
from pipeline.replay.plan import ReplayPlan, State
from pipeline.settings.model import Settings
from pipeline.topics import require_permission
from pipeline.wiring import WallClock, admin, session_config

_TOKEN_BYTES: Final = 8


@dataclass(frozen=True)
class ReplayRun:
    """A replay, and the process that works on it."""

    settings: Settings
    """The settings of the plan, with the connection of now."""
    plan: ReplayPlan
    owner: Owner
    """This process."""
    outputs: Mapping[str, TopicFacts]
    """Facts of the output topics, by name; those that do not exist are left out."""
    state: State = State.PLANNED
    """What was written down about the replay when this process read its plan."""
    is_replanned: bool = False
    """Whether the plan has other rules than the one that is written down."""
    scan: FileScan | None = None
    """What was found in the plan's files, if it has any."""
    newly_invalid: FileOutput | None = None
    """File that lists the newly invalid events of a correction run."""
    spill_dir: Path | None = None
    """Folder of temporary files; None is the system's."""
    hooks: ReplayHooks = field(default_factory=ReplayHooks)
    stop: Stop = field(default_factory=Event)
    """Ends the work after the transaction at hand."""
    selection: OutputSelector | None = None
    """Chooses among the outputs of each record; None writes all of them."""

    @property
    def is_ordered(self) -> bool:
        """Whether outputs name the coordinates of the records that were read, not their origins."""
        return not self.settings.accept_origin_headers

    def session(self, slot: int) -> SessionConfig:
        """Configure a slot: its own group and transactional id, whatever the settings name."""
        plan = self.plan
        own = self.settings.model_copy(
            update={"group": plan.group, "instance_id": None, "delivery": "exactly-once"}
        )
        outputs = {
            role: target.topic
            for role, target in plan.outputs.items()
            if target.topic in self.outputs
        }
        config = session_config(own, outputs, dict(self.outputs), None)
        exactly_once = transactional_config(
            plan.transactional_id(slot), self.settings.transaction_timeout_ms
        )
        return replace(
            config,
            raw_topic=plan.progress_topic,
            partition_map=_partition_map(plan),
            producer={**config.producer, **exactly_once},
        )

    def output_extents(self) -> dict[str, dict[int, tuple[int, int]]]:
        """Ask for each output topic: partition → first offset and the one after the last.

        Those behind transactions that are still open count, too: a commit is answered before its
        markers are written, and others may write to the same topic.
        """
        cluster = admin(self.settings)
        return {
            target.topic: cluster.extents(target.topic) for target in self.plan.outputs.values()
        }


def new_owner(action: str) -> Owner:
    """Make this process an owner; `action` is what it does with the replay, such as `resumed`."""
    return Owner(secrets.token_hex(_TOKEN_BYTES), whoami(), WallClock().now(), action)


def output_facts(settings: Settings, plan: ReplayPlan) -> dict[str, TopicFacts]:
    """Ask for the outputs; RefusedError when one is missing or may not be written."""
    names = [target.topic for target in plan.outputs.values()]
    facts = admin(settings).topics(names)
    missing = sorted(set(names) - facts.keys())
    if missing:
        raise RefusedError(
            f"topics do not exist: {', '.join(missing)}; replay {plan.id} writes there, and what "
            "it has written is gone: cancel it, and make a new one"
        )
    require_permission(facts.values(), "WRITE")
    return facts


def _partition_map(plan: ReplayPlan) -> Callable[[int], PartitionMap]:
    if plan.archive is None:
        return partial(PartitionMap, plan.raw_partitions)
    named = plan.archive.partitions
    # How many the archived topic had, nobody knows: a partition is kept where it fits.
    return lambda count: PartitionMap(max(named, count), count)
