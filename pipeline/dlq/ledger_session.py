"""Opens the desk for writing: this process becomes the only one, then reads the ledger."""

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
from pipeline.dlq.targets import Place
from pipeline.errors import FencedError, RefusedError, TransportError
from pipeline.identity import whoami
from pipeline.kafka import LedgerProducer
from pipeline.wiring import WallClock, admin, make_ledger_producer, range_reader

_RUN_BYTES: Final = 8


class DeskSender:
    """See `redrive.Sender`. A FencedError names who has taken over."""

    def __init__(self, writer: LedgerProducer, taken_over: Callable[[], FencedError]) -> None:
        self._writer = writer
        self._taken_over = taken_over
        self.close = writer.drop

    @property
    def is_spent(self) -> bool:
        """Whether a new one must be opened for the next transaction."""
        return self._writer.is_spent

    @contextmanager
    def _fenced_by(self) -> Iterator[None]:
        try:
            yield
        except FencedError as error:
            raise self._taken_over() from error

    def begin(self) -> None:
        """Begin a transaction."""
        with self._fenced_by():
            self._writer.begin()

    def send(self, output: Output) -> None:
        """To the partition of its source, as the worker does it."""
        count = self._writer.raw_partitions
        if output.partition >= count:  # of a topic with more partitions
            output = output._replace(partition=output.partition % count)
        with self._fenced_by():
            self._writer.send(output)

    def note(self, entry: Entry) -> None:
        """Add an entry of the ledger."""
        self.note_record(entry.key(), entry.value())

    def note_record(self, key: bytes, value: bytes | None) -> None:
        """Add any record of the ledger."""
        with self._fenced_by():
            self._writer.note(key, value)

    def commit(self) -> None:
        """Commit all of it, or nothing."""
        with self._fenced_by():
            self._writer.commit_outputs(time.monotonic())

    def abort(self) -> None:
        """Give it up."""
        with self._fenced_by():
            self._writer.abort()


class DeskOpener:
    """See `redrive.Opener`; one for each command that writes.

    Kafka fences off whoever had the same transactional id. A desk under another prefix of these ids
    has another one. So each first says in the ledger that it writes, and then reads the ledger: of
    two desks the one that says it later finds the other, and fences it off by its own id.
    """

    def __init__(self, where: Place) -> None:
        self._where = where
        self._run = secrets.token_hex(_RUN_BYTES)
        settings = where.settings
        self._topic = LedgerTopic(admin(settings), range_reader(settings), where.ledger_topic)
        self._ledger = Ledger(where.topic_id)
        self._holders: dict[str, Holder] = {}
        """By transactional id."""
        self._newest: Holder | None = None

    def open(self) -> tuple[DeskSender, Ledger]:
        """Fence off every other desk of this topic, then read the ledger to its end."""
        if self._newest is not None:
            # Not the first time: another desk may have taken over from this one since.
            self._read()
            if not self._is_holder():
                raise self._taken_over()
        sender = DeskSender(self._writer(self._where.transactional_id), self._taken_over)
        try:
            self._become_the_desk(sender)
        except BaseException:
            sender.close()
            raise
        return sender, self._ledger

    def _become_the_desk(self, sender: DeskSender) -> None:
        mine = self._where.transactional_id
        if self._newest is not None:
            self._read()
        if not self._is_holder():
            holder = Holder(mine, whoami(), WallClock().now(), self._run)
            sender.begin()
            sender.note_record(holder_key(mine), holder.value())
            sender.commit()
            self._read()
        others = [id_ for id_ in self._holders if id_ != mine]
        if others:
            for id_ in others:
                self._fence_off(id_)
            self._read()
            if not sender.is_spent:
                sender.begin()
                for id_ in others:
                    sender.note_record(holder_key(id_), None)
                sender.commit()

    def _writer(self, transactional_id: str) -> LedgerProducer:
        where = self._where
        try:
            return make_ledger_producer(
                where.settings, where.topic, where.outputs, where.facts, transactional_id
            )
        except FencedError as error:
            raise self._taken_over() from error

    def _fence_off(self, transactional_id: str) -> None:
        try:
            self._writer(transactional_id).drop()
        except RefusedError as error:
            raise RefusedError(
                f"{self._holders[transactional_id].who} has a desk under another "
                f"transactional_id_prefix, which must be fenced off: use the same one ({error})"
            ) from error

    def _is_holder(self) -> bool:
        return self._newest is not None and self._newest.run == self._run

    def _read(self, *, stable: bool = False) -> None:
        """What has come since the last time."""
        for record in self._topic.news(stable=stable):
            holder = read_holder(record)
            if isinstance(holder, Holder):
                self._newest = self._holders[holder.transactional_id] = holder
            elif holder is not None:
                self._holders.pop(holder, None)
            elif (entry := read_entry(record)) is not None:
                self._ledger.add(entry)

    def _taken_over(self) -> FencedError:
        with suppress(TransportError):
            self._read(stable=True)
        newest = self._newest
        known = newest is not None and newest.run != self._run
        by = f": {newest.who} since {format_time(newest.at)}" if newest and known else ""
        return FencedError(
            f"another desk has taken over topic {self._where.topic}{by}. What was committed here "
            "stays; look at `track-pipeline dlq history`, and start again when it is done"
        )
