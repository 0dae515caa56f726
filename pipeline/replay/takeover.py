"""Taking a replay over: every slot's transactional id, then the offsets to go on from."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from pipeline.core.coordinates import Source
from pipeline.core.replay_checkpoint import ReplayNote
from pipeline.errors import DataLossError, FencedError, RefusedError
from pipeline.identity import whoami
from pipeline.kafka import Admin, Owner, PartitionProgress, ReplayFence, last_checkpoints
from pipeline.ports import TopicFacts
from pipeline.reconcile.disk_set import Seen
from pipeline.replay.file_reader import PARTITION
from pipeline.replay.file_scan import Survey, records_of
from pipeline.replay.plan import OF_REPLAY, Plan, PlanRecord, State
from pipeline.replay.verification import Proof, name_of, written
from pipeline.replay.wiring import output_extents, replay_session
from pipeline.settings.model import Settings
from pipeline.wiring import WallClock, admin, range_reader

_TOKEN_BYTES: Final = 8
_ENDING_S: Final = 5.0
_LOOK_S: Final = 0.1
_TRIES: Final = 5


@dataclass(frozen=True)
class _Start:
    offsets: Mapping[int, int]
    notes: Mapping[int, ReplayNote | None]
    """Slot → its last one."""


def new_owner(deed: str) -> Owner:
    """This process; `deed` is what it does with the replay, such as `resumed`."""
    return Owner(secrets.token_hex(_TOKEN_BYTES), whoami(), WallClock().now(), deed)


def take_over(  # noqa: PLR0913  most of them by keyword
    settings: Settings,
    record: PlanRecord,
    facts: dict[str, TopicFacts],
    owner: Owner,
    *,
    to_write: bool = True,
    survey: Survey | None = None,
) -> None:
    """Become the owner: from then on no other process can write for the replay.

    Not `to_write`: offsets that are gone do not matter. `survey` is of the plan's files, if it has
    any. Raises FencedError when others do the same again and again, DataLossError when
    nobody knows where to go on, RefusedError when an output holds a transaction without its end.
    """
    plan = record.plan
    slots = [
        (
            replay_session(settings, plan, facts, slot),
            [part.partition for part in plan.of_slot(slot)],
        )
        for slot in range(plan.slots)
    ]
    for attempt in range(1, _TRIES + 1):
        try:
            with closing(ReplayFence(slots)) as claim:
                if to_write:
                    _refuse_open_outputs(settings, plan)
                start = _start(settings, record, claim.progress(), survey, to_write=to_write)
                claim.record_owner(start.offsets, owner, start.notes)
        except FencedError:
            # An older process that is alive may open a session before this one is the owner.
            if attempt == _TRIES:
                raise
        else:
            return


def _start(
    settings: Settings,
    record: PlanRecord,
    found: Mapping[int, PartitionProgress],
    survey: Survey | None,
    *,
    to_write: bool,
) -> _Start:
    if not to_write or _is_known(record, found):
        return _any_start(record.plan, found)
    return _rebuilt(settings, record.plan, found, survey)


def _refuse_open_outputs(settings: Settings, plan: Plan) -> None:
    """RefusedError when a transaction of an older process was never ended in an output.

    Once all transactional ids are taken, none is open, and nobody else writes to a replay's own
    topics. But Kafka leaves out the end of a transaction that expires while a partition has no
    leader, as when a broker comes back: the next commit would make its records visible.
    """
    cluster = admin(settings)
    for topic in (target.topic for target in plan.outputs.values()):
        if not topic.endswith(OF_REPLAY + plan.id):
            continue  # others may be writing to it
        deadline = time.monotonic() + _ENDING_S
        while open_from := _open(cluster, topic):
            if time.monotonic() > deadline:
                number, offset = min(open_from.items())
                raise RefusedError(
                    f"{topic}/{number} holds a transaction that has no end, from offset {offset} "
                    "on: Kafka has left it out, and the next commit would make its records "
                    "visible, doubled. Make a new replay, or abort that transaction "
                    "(kafka-transactions.sh find-hanging, then abort)"
                )
            time.sleep(_LOOK_S)


def _open(cluster: Admin, topic: str) -> dict[int, int]:
    """Partition → where the first open transaction begins."""
    stable, all_ = cluster.extents(topic, stable=True), cluster.extents(topic)
    return {number: end for number, (_, end) in stable.items() if end < all_[number][1]}


def _any_start(plan: Plan, found: Mapping[int, PartitionProgress]) -> _Start:
    starts = {part.partition: part.start for part in plan.parts}
    known = {number: at.offset for number, at in found.items()}
    return _Start(starts | known, last_checkpoints(found, plan.slots))


def _is_known(record: PlanRecord, found: Mapping[int, PartitionProgress]) -> bool:
    """Whether the offsets tell how far it is."""
    if not found and record.state is State.PLANNED:
        return True  # nothing was written yet: the offsets are committed before the first output
    return found.keys() >= {part.partition for part in record.plan.parts}


def _rebuilt(
    settings: Settings,
    plan: Plan,
    found: Mapping[int, PartitionProgress],
    survey: Survey | None,
) -> _Start:
    """The offsets have expired or were deleted: what is written tells how far it was.

    A transaction holds all outputs of its records, and records are done in their order. So behind
    the last source that has an output nothing was written; records without outputs are done again.
    """
    if settings.accept_origin_headers:
        raise DataLossError(
            f"group {plan.group} has lost its offsets, and with accept_origin_headers the outputs "
            "do not tell how far it was: cancel it, and make a new replay"
        )
    reader, extents = range_reader(settings), output_extents(settings, plan)
    if survey is not None:
        with Seen(survey.folder) as noted:
            proof = written(reader, plan, extents, slot=0, noted=noted)
            done = _lines_done(survey, noted)
        return _Start({PARTITION: done}, {0: _rebuilt_note(proof)})
    positions = {part.partition: part.start for part in plan.parts}
    notes = last_checkpoints(found, plan.slots)
    for slot in range(plan.slots):
        if found.keys() >= {part.partition for part in plan.of_slot(slot)}:
            continue
        proof = written(reader, plan, extents, slot=slot)
        positions |= proof.positions
        # Offsets expire one by one: a note that is left need not be the slot's last.
        notes[slot] = _rebuilt_note(proof, notes[slot])
    return _Start(positions | {n: at.offset for n, at in found.items()}, notes)


def _rebuilt_note(proof: Proof, left: ReplayNote | None = None) -> ReplayNote:
    return ReplayNote("", "", 0, "rebuilt", left.number if left else 0, proof.found)


def _lines_done(survey: Survey, noted: Seen) -> int:
    """Up to the last line whose record has an output; archived records may be in any order."""
    done = 0
    for line, record in records_of(survey):
        if name_of(Source(record.topic, record.partition, record.offset)) in noted:
            done = line
    return done
