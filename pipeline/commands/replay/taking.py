"""Taking a replay over: every slot's transactional id, then the offsets to go on from."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from pipeline.commands.names import whoami
from pipeline.core.replaynote import ReplayNote, Totals
from pipeline.edges.kafka import At, Owner, ReplayClaim, last_notes
from pipeline.ports import DataLossError, TopicFacts
from pipeline.replay.plan import Plan, PlanRecord, State
from pipeline.replay.proof import written
from pipeline.settings import Settings
from pipeline.wiring import WallClock, admin, range_reader, replay_session

_TOKEN_BYTES: Final = 8


@dataclass(frozen=True)
class _Start:
    offsets: Mapping[int, int]
    notes: Mapping[int, ReplayNote | None]
    """Slot → its last one."""


def new_owner(deed: str) -> Owner:
    """This process; `deed` is what it does with the replay, such as `resumed`."""
    return Owner(secrets.token_hex(_TOKEN_BYTES), whoami(), WallClock().now(), deed)


def take_over(
    settings: Settings,
    record: PlanRecord,
    facts: dict[str, TopicFacts],
    owner: Owner,
    *,
    to_write: bool = True,
) -> None:
    """Become the owner: from then on no other process can write for the replay.

    Not `to_write`: offsets that are gone do not matter. Raises FencedError when another process
    does the same at this moment, DataLossError when nobody knows where to go on.
    """
    plan = record.plan
    slots = [
        (
            replay_session(settings, plan, facts, slot),
            [part.partition for part in plan.of_slot(slot)],
        )
        for slot in range(plan.slots)
    ]
    with closing(ReplayClaim(slots)) as claim:
        found = claim.found()
        start = _start(settings, record, found) if to_write else _any_start(plan, found)
        claim.take(start.offsets, owner, start.notes)


def _any_start(plan: Plan, found: Mapping[int, At]) -> _Start:
    starts = {part.partition: part.start for part in plan.parts}
    known = {number: at.offset for number, at in found.items()}
    return _Start(starts | known, last_notes(found, plan.slots))


def _start(settings: Settings, record: PlanRecord, found: Mapping[int, At]) -> _Start:
    plan = record.plan
    if found.keys() >= {part.partition for part in plan.parts}:
        return _any_start(plan, found)
    if not found and record.state is State.PLANNED:
        # Nothing was written yet: the offsets are committed before the first output.
        return _any_start(plan, {})
    return _rebuilt(settings, plan, found)


def _rebuilt(settings: Settings, plan: Plan, found: Mapping[int, At]) -> _Start:
    """The offsets have expired or were deleted: what is written tells how far it was.

    A transaction holds all outputs of its records, and records are done in their order. So behind
    the last source that has an output nothing was written; records without outputs are done again.
    """
    if settings.accept_origin_headers:
        raise DataLossError(
            f"group {plan.group} has lost its offsets, and with accept_origin_headers the outputs "
            "do not tell how far it was: cancel it, and make a new replay"
        )
    if plan.archive is not None:
        raise DataLossError(
            f"group {plan.group} has lost its offsets, and the outputs do not tell how many lines "
            "are done: cancel it, and make a new replay"
        )
    cluster, reader = admin(settings), range_reader(settings)
    extents = {
        target.topic: cluster.extents(target.topic, stable=True) for target in plan.outputs.values()
    }
    positions = {part.partition: part.start for part in plan.parts}
    notes = last_notes(found, plan.slots)
    for slot in range(plan.slots):
        proof = written(reader, plan, extents, slot=slot)
        positions |= proof.positions
        if notes[slot] is None:
            totals: Totals = proof.found
            notes[slot] = ReplayNote("", "", 0, "rebuilt", 0, totals)
    return _Start(positions | {n: at.offset for n, at in found.items()}, notes)
