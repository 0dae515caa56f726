"""Writes outputs and ledger entries in transactions, so that nothing is sent twice.

Guarantees: each dead letter is written once, whatever fails, and whether it is run again. The
ledger is read after all older writers are fenced, and dead letters that it lists are skipped. After
a transaction whose outcome is not known, a new sender is opened, and its ledger tells the outcome.
The loop does not know the Kafka client.
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

DEAD_LETTERS_PER_TRANSACTION: Final = 200
"""Maximum number of dead letters in one transaction."""
_BYTES: Final = 16 * 1024 * 1024
"""Maximum size of the outputs in one transaction, and in memory; one dead letter may exceed it."""
_MAX_ATTEMPTS: Final = 8
_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 15.0


class LedgerWrite(NamedTuple):
    """What one transaction holds for one dead letter: outputs and a ledger entry."""

    outputs: Sequence[Output]
    entry: Entry

    @property
    def size(self) -> int:
        """Size of the values in bytes."""
        return sum(len(output.value or b"") for output in self.outputs)


class Sender(Protocol):
    """Writes transactions as the only writer of a ledger."""

    @property
    def is_spent(self) -> bool:
        """Whether the next transaction needs a new sender."""

    def begin(self) -> None:
        """Begin a transaction."""

    def send(self, output: Output) -> None:
        """Add an output."""

    def note(self, entry: Entry) -> None:
        """Add an entry to the ledger."""

    def commit(self) -> None:
        """Commit the whole transaction, or nothing of it."""

    def abort(self) -> None:
        """Abort the transaction."""

    def close(self) -> None:
        """Release the client; never raises."""


class Opener(Protocol):
    """Makes this process the only writer of a ledger."""

    def open(self) -> tuple[Sender, Ledger]:
        """Fence all older senders, and return a new one with the ledger as it is then.

        Raises FencedError when another process has opened a sender since this one did.
        """


@dataclass
class WriteResult:
    """What a run has written so far."""

    sent: int = 0
    """Number of dead letters whose writes were committed."""
    already: int = 0
    """Number of dead letters that were skipped, since another run had resolved them."""
    refused: Counter[str] = field(default_factory=Counter)
    """Number of dead letters that were skipped, by the reason why the broker refused them."""
    stopped: bool = False
    """Whether the run ended before everything was tried."""


class Redriver:
    """Commits writes, up to some hundreds per transaction, until all are done or it is stopped."""

    def __init__(  # noqa: PLR0913  what decides about a run
        self,
        opener: Opener,
        stop: Stop,
        *,
        rate: float | None = None,
        most: int = DEAD_LETTERS_PER_TRANSACTION,
        result: WriteResult | None = None,
        on_commit: Callable[[WriteResult], None] | None = None,
    ) -> None:
        """`rate` is in dead letters per second; a transaction holds at most `most` of them."""
        self._opener = opener
        self._stop = stop
        self._rate = rate
        # Small transactions keep a slow rate smooth.
        self._most = most if rate is None else max(1, min(most, int(rate)))
        self._on_commit = on_commit
        self.result = result or WriteResult()
        """Up to date at any time, also after `run` has raised."""
        self._sender: Sender | None = None
        self._ledger = Ledger("")
        self._due = 0.0
        """Earliest start of the next transaction, in monotonic seconds."""

    def run(self, writes: Callable[[Ledger], Iterable[LedgerWrite]]) -> WriteResult:
        """Commit all writes, which are made from the ledger as it is once all others are fenced.

        Raises FencedError when another process has taken over, and TransportError when Kafka keeps
        failing. What was committed stays, and a second run continues from there.
        """
        self.result.stopped = True
        try:
            if not self._do([]):  # opens, as patiently as a transaction is tried
                return self.result
            for batch in _batches(writes(self._ledger), self._most):
                self._stop.wait(max(0.0, self._due - time.monotonic()))
                if self._stop.is_set() or not self._do(batch):
                    return self.result
                if self._on_commit is not None:
                    self._on_commit(self.result)
        finally:
            self._close()
        self.result.stopped = False
        return self.result

    def _do(self, batch: list[LedgerWrite]) -> bool:
        """Try to commit these writes; returns False when a stop came between."""
        began, before = time.monotonic(), self.result.sent
        queue, failures, is_unsure = deque([batch]), 0, False
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
            self._due = began + (self.result.sent - before) / self._rate
        return True

    def _left(self, writes: list[LedgerWrite], *, is_unsure: bool) -> list[LedgerWrite]:
        """Writes that the ledger does not list yet.

        With `is_unsure`, the outcome of committing them was not known: those that the ledger lists
        were committed.
        """
        left: list[LedgerWrite] = []
        seen: set[object] = set()
        for write in writes:
            entry = write.entry
            names: set[object] = {(entry.partition, entry.offset)}
            if entry.action == Action.REDRIVEN and entry.source:
                names.add(fingerprint(entry.source, entry.source_timestamp, entry.target))
            if seen.isdisjoint(names) and not self._ledger.holds(entry):
                left.append(write)
            seen |= names
        if is_unsure:
            self.result.sent += len(writes) - len(left)
        else:
            self.result.already += len(writes) - len(left)
        return left

    def _transact(self, sender: Sender, writes: Sequence[LedgerWrite]) -> None:
        if not writes:
            return
        sender.begin()
        for write in writes:
            for output in write.outputs:
                sender.send(output)
            sender.note(write.entry)
        sender.commit()
        for write in writes:
            self._ledger.add(write.entry)
        self.result.sent += len(writes)

    def _halved(self, writes: list[LedgerWrite], error: Exception) -> list[list[LedgerWrite]]:
        """Split writes that the broker refused in two; one that is refused alone is skipped."""
        if len(writes) == 1:
            text = str(error) or "a record is too large for its topic"
            self.result.refused[text] += 1
            return []
        middle = len(writes) // 2
        return [writes[:middle], writes[middle:]]

    def _recovered(self, error: TransportError) -> bool:
        """Whether it is certain that nothing of the transaction was committed.

        Otherwise the sender is closed, and the ledger that comes with a new one tells the outcome.
        """
        if isinstance(error, AbortableError):
            return self._abort()
        self._close()
        return False

    def _abort(self) -> bool:
        """Abort the transaction; returns False when it is not certain that it was aborted."""
        if self._sender is None:
            return True
        try:
            self._sender.abort()
        except OutcomeUnknownError:
            self._close()
            return False
        return True

    def _opened(self) -> Sender:
        """The open sender, or a new one together with the ledger as it is then."""
        if self._sender is not None and self._sender.is_spent:
            self._close()
        if self._sender is None:
            self._sender, self._ledger = self._opener.open()
        return self._sender

    def _close(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None


def _batches(writes: Iterable[LedgerWrite], most: int) -> Iterator[list[LedgerWrite]]:
    """Writes in their order, as many in each batch as fit into a transaction."""
    batch: list[LedgerWrite] = []
    size = 0
    for write in writes:
        if batch and size + write.size > _BYTES:
            yield batch
            batch, size = [], 0
        batch.append(write)
        size += write.size
        if len(batch) == most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
