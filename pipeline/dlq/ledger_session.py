"""Opens the ledger of a dead-letter topic for writing, as the only writer.

What may live here: who writes, how an older writer is fenced, and how its outcome is learned. What
must not be known here: what the outputs mean, which dead letters are selected, what a repair does,
and how often a failed transaction is tried again (`redrive.Redriver` decides that).

The idea: outputs and ledger entries are written in one Kafka transaction, so the ledger always says
what was sent. That holds only while one process writes. Kafka fences older producers with the same
transactional id, but a process with another `transactional_id_prefix` has another id. So every
process first writes a holder record with its id into the ledger, and reads the ledger after that.
Of two processes, the one that wrote its record later finds the record of the other, and fences it
by the other's id. The ledger is read again after each step that may end an older writer, because
that writer may have committed until then.

Guarantees: after `open` returns, no older session can commit, and the ledger that it returns holds
every entry that was committed before. A session that was fenced raises FencedError with the name of
whoever took over. Each transaction is committed as a whole or not at all; when the outcome is not
known, only a new session, with the ledger as it is then, can tell.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pipeline.core.record import Output
from pipeline.core.timestamps import format_time
from pipeline.dlq.ledger import Entry, Holder, Ledger, holder_key, read_entry, read_holder
from pipeline.dlq.ledger_topic import LedgerTopic
from pipeline.dlq.targets import WriteTargets
from pipeline.errors import FencedError, RefusedError, TransportError
from pipeline.identity import whoami
from pipeline.kafka import LedgerProducer
from pipeline.wiring import WallClock, admin, make_ledger_producer, range_reader

_RUN_BYTES: Final = 8
_SUCCESSOR_S: Final = 5.0
"""Longest wait for the name of who took over; a process that was killed meanwhile has none."""
_LOOK_S: Final = 0.1


class LedgerSession:
    """Implements `redrive.Sender`; a FencedError names who took over."""

    def __init__(self, writer: LedgerProducer, taken_over: Callable[[], FencedError]) -> None:
        self._writer = writer
        self._taken_over = taken_over
        self.close = writer.drop

    @property
    def is_spent(self) -> bool:
        """Whether the next transaction needs a new session."""
        return self._writer.is_spent

    @contextmanager
    def _naming_the_successor(self) -> Iterator[None]:
        try:
            yield
        except FencedError as error:
            raise self._taken_over() from error

    def begin(self) -> None:
        """Begin a transaction."""
        with self._naming_the_successor():
            self._writer.begin()

    def send(self, output: Output) -> None:
        """Send an output to the partition of its source, as the worker does."""
        count = self._writer.raw_partitions
        if output.partition >= count:  # of a source topic with more partitions
            output = output._replace(partition=output.partition % count)
        with self._naming_the_successor():
            self._writer.send(output)

    def note(self, entry: Entry) -> None:
        """Add an entry to the ledger."""
        self.note_record(entry.key(), entry.value())

    def note_record(self, key: bytes, value: bytes | None) -> None:
        """Add a record to the ledger topic."""
        with self._naming_the_successor():
            self._writer.note(key, value)

    def commit(self) -> None:
        """Commit the whole transaction, or nothing of it."""
        with self._naming_the_successor():
            self._writer.commit_outputs(time.monotonic())

    def abort(self) -> None:
        """Abort the transaction."""
        with self._naming_the_successor():
            self._writer.abort()


class LedgerSessionOpener:
    """Implements `redrive.Opener`; each operation that writes has one."""

    def __init__(self, targets: WriteTargets) -> None:
        self._targets = targets
        self._run = secrets.token_hex(_RUN_BYTES)
        settings = targets.settings
        self._topic = LedgerTopic(admin(settings), range_reader(settings), targets.ledger_topic)
        self._ledger = Ledger(targets.topic_id)
        self._holders: dict[str, Holder] = {}
        """Holders by transactional id."""
        self._newest: Holder | None = None

    def open(self) -> tuple[LedgerSession, Ledger]:
        """Fence every other writer of this ledger, then read it to its end."""
        if self._newest is not None:
            # Not the first time: another process may have taken over since.
            self._read()
            if not self._is_holder():
                raise self._taken_over()
        writer = self._writer(self._targets.transactional_id)
        session = LedgerSession(writer, self._taken_over)
        try:
            self._become_holder(session)
        except BaseException:
            session.close()
            raise
        return session, self._ledger

    def _become_holder(self, session: LedgerSession) -> None:
        mine = self._targets.transactional_id
        if self._newest is not None:
            self._read()
        if not self._is_holder():
            holder = Holder(mine, whoami(), WallClock().now(), self._run)
            session.begin()
            session.note_record(holder_key(mine), holder.value())
            session.commit()
            self._read()
        others = [id_ for id_ in self._holders if id_ != mine]
        if others:
            for id_ in others:
                self._fence(id_)
            self._read()
            if not session.is_spent:
                session.begin()
                for id_ in others:
                    session.note_record(holder_key(id_), None)
                session.commit()

    def _writer(self, transactional_id: str) -> LedgerProducer:
        targets = self._targets
        try:
            return make_ledger_producer(
                targets.settings, targets.topic, targets.outputs, targets.facts, transactional_id
            )
        except FencedError as error:
            raise self._taken_over() from error

    def _fence(self, transactional_id: str) -> None:
        try:
            self._writer(transactional_id).drop()
        except RefusedError as error:
            raise RefusedError(
                f"{self._holders[transactional_id].who} writes to this ledger under another "
                f"transactional_id_prefix, and can't be fenced: use the same prefix ({error})"
            ) from error

    def _is_holder(self) -> bool:
        return self._newest is not None and self._newest.run == self._run

    def _read(self, *, stable: bool = False) -> None:
        """Read the records that were added since the last time."""
        for record in self._topic.news(stable=stable):
            holder = read_holder(record)
            if isinstance(holder, Holder):
                self._newest = self._holders[holder.transactional_id] = holder
            elif holder is not None:
                self._holders.pop(holder, None)
            elif (entry := read_entry(record)) is not None:
                self._ledger.add(entry)

    def _taken_over(self) -> FencedError:
        successor = None
        with suppress(TransportError):
            successor = self._await_successor()
        by = "" if successor is None else f": {successor.who} since {format_time(successor.at)}"
        return FencedError(
            f"another dlq command has taken over topic {self._targets.topic}{by}. What this one "
            "committed stays; see `track-pipeline dlq history`, and start again when the other is "
            "done"
        )

    def _await_successor(self) -> Holder | None:
        """Return who took over: it fences this process first, and writes down its name then."""
        deadline = time.monotonic() + _SUCCESSOR_S
        while True:
            self._read(stable=True)
            if self._newest is not None and not self._is_holder():
                return self._newest
            if time.monotonic() > deadline:
                return None
            time.sleep(_LOOK_S)
