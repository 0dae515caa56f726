"""Opens the desk for writing: this process becomes the only one, then reads the ledger."""

from __future__ import annotations

import getpass
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pipeline.core.record import Output, Role
from pipeline.core.timestamps import format_time
from pipeline.deadletters.ledger import (
    HOLDER_KEY,
    Entry,
    Holder,
    Ledger,
    read_entry,
    read_holder,
)
from pipeline.edges.kafka import DeskWriter
from pipeline.ports import FencedError, RefusedError, TopicFacts
from pipeline.settings import Settings
from pipeline.topics import LEDGER_SUFFIX
from pipeline.wiring import WallClock, admin, make_desk_writer, range_reader

_ID_BYTES: Final = 2


@dataclass(frozen=True)
class Place:
    """A dead-letter topic, where its letters are sent, and the facts of all these topics."""

    settings: Settings
    topic: str
    topic_id: str
    outputs: dict[Role, str]
    facts: dict[str, TopicFacts]

    @property
    def ledger_topic(self) -> str:
        """Of the dead-letter topic."""
        return self.topic + LEDGER_SUFFIX


def new_id(kind: str, now: int) -> str:
    """`redrive-20261123T152200Z-ab12`."""
    moment = format_time(now)[:19].replace("-", "").replace(":", "")
    return f"{kind}-{moment}Z-{secrets.token_hex(_ID_BYTES)}"


def whoami() -> str:
    """`user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def place(settings: Settings, topic: str, topic_id: str, outputs: dict[Role, str]) -> Place:
    """Checks that all topics exist; RefusedError with what to do."""
    ledger = topic + LEDGER_SUFFIX
    wanted = {topic, ledger, settings.topics.raw, *outputs.values()}
    facts = {name: each for name, each in admin(settings).topics(wanted).items() if each.partitions}
    missing = sorted({*outputs.values(), topic} - facts.keys())
    if missing:
        raise RefusedError(f"topics do not exist: {', '.join(missing)}")
    if ledger not in facts:
        flag = "" if topic == settings.topics.dead_letter else f" --dead-letter-topic {topic}"
        raise RefusedError(
            f"topic {ledger} does not exist, in which is noted what was done with which letter: "
            f"create it: track-pipeline topics create --ledger{flag}"
        )
    return Place(settings, topic, topic_id, outputs, facts)


class DeskSender:
    """See `redrive.Sender`. A FencedError names who has taken over."""

    def __init__(self, writer: DeskWriter, opener: DeskOpener) -> None:
        self._writer = writer
        self._opener = opener
        self.close = writer.drop

    @contextmanager
    def _fenced_by(self) -> Iterator[None]:
        try:
            yield
        except FencedError as error:
            raise FencedError(self._opener.taken_over()) from error

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
        self._note(entry.key(), entry.value())

    def note_holder(self, holder: Holder) -> None:
        """Say who writes from now on."""
        self._note(HOLDER_KEY, holder.value())

    def _note(self, key: bytes, value: bytes) -> None:
        with self._fenced_by():
            self._writer.note(key, value)

    def commit(self) -> None:
        """Commit all of it, or nothing."""
        with self._fenced_by():
            self._writer.commit_outputs()
        self._writer.start_batch()

    def abort(self) -> None:
        """Give it up."""
        with self._fenced_by():
            self._writer.abort()


class DeskOpener:
    """See `redrive.Opener`."""

    def __init__(self, where: Place) -> None:
        self._where = where

    def open(self) -> tuple[DeskSender, Ledger]:
        """Fence off every other desk of this topic, then read the ledger to its end."""
        where = self._where
        writer = make_desk_writer(where.settings, where.topic, where.outputs, where.facts)
        sender = DeskSender(writer, self)
        sender.begin()
        sender.note_holder(Holder(whoami(), WallClock().now()))
        sender.commit()
        return sender, self.read()[0]

    def read(self) -> tuple[Ledger, Holder | None, list[Entry]]:
        """The ledger as it is now, who has opened it last, and all its entries."""
        where = self._where
        ledger, holder, entries = Ledger(where.topic_id), None, []
        extents = admin(where.settings).extents(where.ledger_topic)
        ranges = {(where.ledger_topic, number): ends for number, ends in extents.items()}
        for record in range_reader(where.settings).read(ranges):
            holder = read_holder(record) or holder
            entry = read_entry(record)
            if entry is not None:
                ledger.add(entry)
                entries.append(entry)
        return ledger, holder, entries

    def taken_over(self) -> str:
        """The sentence of the one that was fenced off."""
        _, holder, _ = self.read()
        by = f": {holder.who} since {format_time(holder.at)}" if holder else ""
        return (
            f"another desk has taken over topic {self._where.topic}{by}. What was committed here "
            "stays; look at `track-pipeline dlq history`, and start again when it is done"
        )
