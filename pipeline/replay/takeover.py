"""Taking a replay over, so that from then on no other process can write for it.

Rules of this file:

- It decides from what Kafka holds alone: the transactional ids, the committed offsets with their
  checkpoints, and the outputs. It never asks who is alive, and no clock decides anything.
- It must not know the rules of events, flags, or how a slot works. It writes nothing but the
  owner's checkpoint beside the offsets.
- The order is fixed: first every slot's transactional id, then the offsets, then the owner.

The idea: whoever opens a transactional id last is its only writer, because Kafka refuses all older
ones and ends their transactions. So a process that has opened the ids of all slots knows that the
committed offsets are final. It writes its name beside them in transactions of these ids. An older
process that wakes up later finds another name there and stops. It can't win an id back, because it
looks at the names before and after it opens one.

Guarantees:

- After `take_over` has returned, an older process commits nothing more, and each source has its
  outputs exactly once, however often and wherever processes are killed.
- Of two processes that take the same replay over at once, one goes on. The other gets FencedError.
- Offsets that have expired are rebuilt from the outputs. Where that can't be done safely, the error
  is DataLossError, and nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from pipeline.core.coordinates import Source
from pipeline.core.replay_checkpoint import ReplayCheckpoint
from pipeline.errors import DataLossError, FencedError, RefusedError
from pipeline.kafka import Admin, PartitionProgress, ReplayFence, last_checkpoints
from pipeline.reconcile.disk_set import DiskSet
from pipeline.replay.file_reader import PARTITION
from pipeline.replay.file_scan import FileScan, replayed_records
from pipeline.replay.plan import ReplayPlan, State
from pipeline.replay.run import ReplayRun
from pipeline.replay.verification import Verification, name_of, read_back
from pipeline.wiring import admin, range_reader

_ENDING_S: Final = 5.0
"""Kafka writes the markers of transactions that it has ended within a second."""
_LOOK_S: Final = 0.1
_TRIES: Final = 5
"""An older process that is alive opens a session every two seconds, and loses each time."""


@dataclass(frozen=True)
class _Start:
    """Position from which the slot goes on."""

    offsets: Mapping[int, int]
    notes: Mapping[int, ReplayCheckpoint | None]
    """Slot → its last checkpoint."""


def take_over(run: ReplayRun, *, to_write: bool = True) -> None:
    """Make the owner of `run` the only process that can write for the replay.

    Without `to_write` nothing is written afterwards, so offsets that are gone do not matter. Raises
    FencedError when others do the same again and again, DataLossError when nobody knows where to
    go on, and RefusedError when an output holds a transaction without its end.
    """
    plan = run.plan
    slots = [
        (run.session(slot), [part.partition for part in plan.of_slot(slot)])
        for slot in range(plan.slots)
    ]
    for attempt in range(1, _TRIES + 1):
        try:
            with closing(ReplayFence(slots)) as fence:
                if to_write:
                    _refuse_open_outputs(run)
                start = _start(run, fence.progress(), to_write=to_write)
                fence.record_owner(start.offsets, run.owner, start.notes)
        except FencedError:
            # An older process that is alive may open a session before this one is the owner.
            if attempt == _TRIES:
                raise
        else:
            return


def _start(run: ReplayRun, found: Mapping[int, PartitionProgress], *, to_write: bool) -> _Start:
    if not to_write or _is_known(run, found):
        return _any_start(run.plan, found)
    return _rebuilt(run, found)


def _refuse_open_outputs(run: ReplayRun) -> None:
    """RefusedError when a transaction of an older process was never ended in an output.

    Once all transactional ids are taken, none is open, and nobody else writes to a replay's own
    topics. But Kafka leaves out the end of a transaction that expires while a partition has no
    leader, as when a broker comes back: the next commit would make its records visible.
    """
    cluster = admin(run.settings)
    for topic in run.plan.own_topics:  # others may be writing to the rest
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


def _any_start(plan: ReplayPlan, found: Mapping[int, PartitionProgress]) -> _Start:
    starts = {part.partition: part.start for part in plan.parts}
    known = {number: at.offset for number, at in found.items()}
    return _Start(starts | known, last_checkpoints(found, plan.slots))


def _is_known(run: ReplayRun, found: Mapping[int, PartitionProgress]) -> bool:
    """Return whether the offsets tell how far the replay is."""
    if not found and run.state is State.PLANNED:
        return True  # nothing was written yet: the offsets are committed before the first output
    return found.keys() >= set(run.plan.partitions)


def _rebuilt(run: ReplayRun, found: Mapping[int, PartitionProgress]) -> _Start:
    """Rebuild offsets that have expired or were deleted from what is written.

    A transaction holds all outputs of its records, and records are done in their order. So behind
    the last source that has an output nothing was written; records without outputs are done again.
    """
    plan = run.plan
    if not run.is_ordered:
        raise DataLossError(
            f"group {plan.group} has lost its offsets, and with accept_origin_headers the outputs "
            "do not tell how far it was: cancel it, and make a new replay"
        )
    reader, extents = range_reader(run.settings), run.output_extents()
    if run.scan is not None:
        with DiskSet(run.scan.folder) as noted:
            read = read_back(reader, plan, extents, slot=0, noted=noted)
            done = _lines_done(run.scan, noted)
        return _Start({PARTITION: done}, {0: _rebuilt_note(read)})
    positions = {part.partition: part.start for part in plan.parts}
    notes = last_checkpoints(found, plan.slots)
    for slot in range(plan.slots):
        if found.keys() >= {part.partition for part in plan.of_slot(slot)}:
            continue
        read = read_back(reader, plan, extents, slot=slot)
        positions |= read.positions
        # Offsets expire one by one: a checkpoint that is left need not be the slot's last.
        notes[slot] = _rebuilt_note(read, notes[slot])
    return _Start(positions | {n: at.offset for n, at in found.items()}, notes)


def _rebuilt_note(read: Verification, left: ReplayCheckpoint | None = None) -> ReplayCheckpoint:
    return ReplayCheckpoint("", "", 0, "rebuilt", left.number if left else 0, read.found)


def _lines_done(scan: FileScan, noted: DiskSet) -> int:
    """Up to the last line whose record has an output; archived records may be in any order."""
    done = 0
    for line, record in replayed_records(scan):
        if name_of(Source(record.topic, record.partition, record.offset)) in noted:
            done = line
    return done
