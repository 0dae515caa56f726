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
from typing import Final, NamedTuple, Protocol

from pipeline.core.record import Output
from pipeline.dlq.ledger import Action, Entry, Ledger, fingerprint
from pipeline.errors import (
    AbortableError,
    OutcomeUnknownError,
    RecordRefusedError,
    TooLargeError,
    TransportError,
)
from pipeline.ports import Stop

LETTERS: Final = 200
"""In one transaction."""
_BYTES: Final = 16 * 1024 * 1024
"""Of outputs in one transaction, and in memory; one letter may be more."""
_MAX_ATTEMPTS: Final = 8
_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 15.0


class Deed(NamedTuple):
    """What is done with one letter: these outputs, and this entry."""

    outputs: Sequence[Output]
    entry: Entry

    @property
    def size(self) -> int:
        """Bytes of its outputs' values."""
        return sum(len(output.value or b"") for output in self.outputs)


class Sender(Protocol):
    """Writes transactions as the only desk of a dead-letter topic."""

    @property
    def is_spent(self) -> bool:
        """Whether a new one must be opened for the next transaction."""

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
        """A sender, after which no older one can write, and the ledger as it is then.

        FencedError when another process has become the desk since this one was.
        """


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
    """Whether it ended before everything was tried."""


class Redriver:
    """Does deeds, some hundreds in one transaction, until they are done or it is stopped."""

    def __init__(
        self,
        opener: Opener,
        stop: Stop,
        *,
        rate: float | None = None,
        most: int = LETTERS,
        on_done: Callable[[Done], None] | None = None,
    ) -> None:
        """`rate` is in letters a second; `most` letters are in one transaction."""
        self._opener = opener
        self._stop = stop
        self._rate = rate
        # A slow rate has small transactions, so that it is smooth.
        self._most = most if rate is None else max(1, min(most, int(rate)))
        self._on_done = on_done
        self.done = Done()
        """Also after `run` has raised."""
        self._sender: Sender | None = None
        self._ledger = Ledger("")
        self._due = 0.0
        """When the next transaction may begin, monotonic seconds."""

    def run(self, deeds: Callable[[Ledger], Iterable[Deed]]) -> Done:
        """Do all deeds; they are made with the ledger as it is once nobody else can write.

        Raises FencedError when another desk has taken over, and TransportError when Kafka fails
        for long. What was committed stays so, and a second run goes on from there.
        """
        self.done.stopped = True
        try:
            if not self._do([]):  # opens, as patiently as a transaction is tried
                return self.done
            for piece in _pieces(deeds(self._ledger), self._most):
                self._stop.wait(max(0.0, self._due - time.monotonic()))
                if self._stop.is_set() or not self._do(piece):
                    return self.done
                if self._on_done is not None:
                    self._on_done(self.done)
        finally:
            self._close()
        self.done.stopped = False
        return self.done

    def _do(self, piece: list[Deed]) -> bool:
        """Do these deeds; whether they were tried, and no stop came between."""
        began, before = time.monotonic(), self.done.sent
        queue, failures, is_unsure = deque([piece]), 0, False
        while queue:
            try:
                sender = self._opened()
                queue[0] = self._left(queue[0], is_unsure=is_unsure)
                is_unsure = False
                self._transact(sender, queue[0])
            except (RecordRefusedError, TooLargeError) as error:
                self._abort()
                queue.extendleft(reversed(self._halved(queue.popleft(), error)))
            except (AbortableError, OutcomeUnknownError) as error:
                failures += 1
                if failures > _MAX_ATTEMPTS:
                    raise TransportError(f"gave up after {failures} attempts: {error}") from error
                is_unsure = not self._recovered(error)
                self._stop.wait(min(_LONGEST_PAUSE_S, _PAUSE_S * 2**failures))
                if self._stop.is_set():
                    return False
            else:
                queue.popleft()
        if self._rate is not None:
            self._due = began + (self.done.sent - before) / self._rate
        return True

    def _left(self, deeds: list[Deed], *, is_unsure: bool) -> list[Deed]:
        """What the ledger does not list yet.

        When it `is_unsure` whether they were committed, what the ledger lists is what was.
        """
        left: list[Deed] = []
        seen: set[object] = set()
        for deed in deeds:
            entry = deed.entry
            names: set[object] = {(entry.partition, entry.offset)}
            if entry.action == Action.REDRIVEN and entry.source:
                names.add(fingerprint(entry.source, entry.source_timestamp, entry.target))
            if seen.isdisjoint(names) and not self._ledger.holds(entry):
                left.append(deed)
            seen |= names
        if is_unsure:
            self.done.sent += len(deeds) - len(left)
        else:
            self.done.already += len(deeds) - len(left)
        return left

    def _transact(self, sender: Sender, deeds: Sequence[Deed]) -> None:
        if not deeds:
            return
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

    def _recovered(self, error: TransportError) -> bool:
        """Whether nothing of the transaction is committed for sure, since it was aborted.

        Else only a new sender helps: the ledger that comes with it tells.
        """
        if isinstance(error, AbortableError):
            return self._abort()
        self._close()
        return False

    def _abort(self) -> bool:
        """Whether that is done, not only begun."""
        if self._sender is None:
            return True
        try:
            self._sender.abort()
        except OutcomeUnknownError:
            self._close()
            return False
        return True

    def _opened(self) -> Sender:
        """The sender; a new one, and the ledger as it is then, when there is none to be used."""
        if self._sender is not None and self._sender.is_spent:
            self._close()
        if self._sender is None:
            self._sender, self._ledger = self._opener.open()
        return self._sender

    def _close(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None


def _pieces(deeds: Iterable[Deed], most: int) -> Iterator[list[Deed]]:
    """The deeds in their order, as many together as fit."""
    piece: list[Deed] = []
    size = 0
    for deed in deeds:
        if piece and size + deed.size > _BYTES:
            yield piece
            piece, size = [], 0
        piece.append(deed)
        size += deed.size
        if len(piece) == most:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
