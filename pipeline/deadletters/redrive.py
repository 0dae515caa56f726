"""Sends letters again, never twice: outputs and the ledger's entries in one transaction.

The loop knows no Kafka client. Whatever fails, the ledger tells what was done: it is read after the
transactional id is ours, so that no older desk can still write, and letters that it lists are left
alone.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple, Protocol

from pipeline.core.record import Output
from pipeline.deadletters.ledger import Action, Entry, Ledger
from pipeline.ports import (
    AbortableError,
    OutcomeUnknownError,
    RecordRefusedError,
    Stop,
    TooLargeError,
    TransportError,
)

_LETTERS: Final = 200
"""In one transaction."""
_MAX_ATTEMPTS: Final = 8
_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 15.0


class Deed(NamedTuple):
    """What is done with one letter: these outputs, and this entry."""

    outputs: Sequence[Output]
    entry: Entry


class Sender(Protocol):
    """Writes transactions as the only desk of a dead-letter topic."""

    def begin(self) -> None:
        """Begin a transaction."""

    def send(self, output: Output) -> None:
        """Add an output."""

    def note(self, entry: Entry) -> None:
        """Add an entry of the ledger."""

    def commit(self) -> None:
        """Commit all of it, or nothing."""

    def abort(self) -> None:
        """Give it up."""

    def close(self) -> None:
        """Let go of the client; never raises."""


class Opener(Protocol):
    """Makes this process the only desk."""

    def open(self) -> tuple[Sender, Ledger]:
        """A sender, after which no older one can write, and the ledger as it is then."""


@dataclass
class Done:
    """What a run has done."""

    sent: int = 0
    """Letters whose deeds were committed."""
    already: int = 0
    """Letters with which something had been done in the meantime."""
    refused: Counter[str] = field(default_factory=Counter)
    """Why the broker refused → letters that were left alone."""
    stopped: bool = False


class Redriver:
    """Does deeds, some hundreds in one transaction, until they are done or it is stopped."""

    def __init__(
        self,
        opener: Opener,
        stop: Stop,
        *,
        rate: float | None = None,
        on_done: Callable[[Done], None] | None = None,
    ) -> None:
        self._opener = opener
        self._stop = stop
        self._rate = rate
        """Letters a second."""
        self._on_done = on_done
        self.done = Done()
        self._sender: Sender | None = None
        self._ledger = Ledger("")

    def run(self, deeds: Callable[[Ledger], Iterable[Deed]]) -> Done:
        """Do all deeds; they are made with the ledger as it is once nobody else can write.

        Raises FencedError when another desk has taken over, and TransportError when Kafka fails
        for long. What was committed stays so, and a second run goes on from there.
        """
        self._open()
        try:
            began = time.monotonic()
            for piece in _pieces(deeds(self._ledger), self._size()):
                if self._stop.is_set():
                    self.done.stopped = True
                    break
                self._do(piece)
                if self._on_done is not None:
                    self._on_done(self.done)
                self._wait(began)
        finally:
            self._close()
        return self.done

    def _size(self) -> int:
        """A slow rate has small transactions, so that it is smooth."""
        return _LETTERS if self._rate is None else max(1, min(_LETTERS, int(self._rate)))

    def _wait(self, began: float) -> None:
        if self._rate is not None:
            due = began + self.done.sent / self._rate
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _do(self, piece: list[Deed]) -> None:
        queue, failures = deque([piece]), 0
        while queue:
            todo = [deed for deed in queue[0] if self._is_new(deed.entry)]
            self.done.already += len(queue[0]) - len(todo)
            queue[0] = todo
            try:
                self._transact(todo)
            except (RecordRefusedError, TooLargeError) as error:
                self._abort()
                queue.popleft()
                queue.extendleft(reversed(self._halved(todo, error)))
            except (AbortableError, OutcomeUnknownError) as error:
                failures += 1
                if failures > _MAX_ATTEMPTS:
                    raise TransportError(f"gave up after {failures} attempts: {error}") from error
                self._recover(error, failures)
                queue[0] = self._without_confirmed(todo)
            else:
                queue.popleft()

    def _without_confirmed(self, deeds: list[Deed]) -> list[Deed]:
        """A commit whose outcome was unknown may have gone through; then the ledger lists it."""
        left = [deed for deed in deeds if self._is_new(deed.entry)]
        self.done.sent += len(deeds) - len(left)
        return left

    def _is_new(self, entry: Entry) -> bool:
        if self._ledger.action(entry.partition, entry.offset) is not None:
            return False
        sent = entry.action == Action.REDRIVEN
        return not (
            sent and self._ledger.was_sent(entry.source, entry.source_timestamp, entry.target)
        )

    def _transact(self, deeds: Sequence[Deed]) -> None:
        if not deeds:
            return
        if self._sender is None:
            self._open()
        sender = self._sender
        if sender is None:
            raise OutcomeUnknownError("no transaction could be begun")
        sender.begin()
        for deed in deeds:
            for output in deed.outputs:
                sender.send(output)
            sender.note(deed.entry)
        sender.commit()
        for deed in deeds:
            self._ledger.add(deed.entry)
        self.done.sent += len(deeds)

    def _halved(self, deeds: list[Deed], error: Exception) -> list[list[Deed]]:
        """What to try instead; a letter that is refused alone is left alone."""
        if len(deeds) == 1:
            text = str(error) or "a record is too large for its topic"
            self.done.refused[text] += 1
            return []
        middle = len(deeds) // 2
        return [deeds[:middle], deeds[middle:]]

    def _recover(self, error: TransportError, failures: int) -> None:
        """Try again after an abort; after a commit whose outcome is unknown, start anew."""
        if isinstance(error, AbortableError):
            self._abort()
        else:
            self._close()
        self._stop.wait(min(_LONGEST_PAUSE_S, _PAUSE_S * 2**failures))
        if self._sender is None:
            self._open()

    def _abort(self) -> None:
        if self._sender is not None:
            try:
                self._sender.abort()
            except OutcomeUnknownError:
                self._close()
                self._open()

    def _open(self) -> None:
        self._sender, self._ledger = self._opener.open()

    def _close(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None


def _pieces(deeds: Iterable[Deed], size: int) -> Iterator[list[Deed]]:
    """The deeds in their order, so many together."""
    left = iter(deeds)
    while piece := list(islice(left, size)):
        yield piece
