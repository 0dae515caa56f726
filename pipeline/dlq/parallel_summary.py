"""Counts the letters of a summary: of many in several processes, each with a part of them.

Counting is work for the processor, and one Python process uses one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final, NamedTuple

from rich.console import Console

from pipeline.cli.dlq.options import Asked
from pipeline.cli.progress import shown_progress
from pipeline.dlq.blocked_revenue import HeldMoney
from pipeline.dlq.dimensions import Dimension
from pipeline.dlq.filters import Selection
from pipeline.dlq.ledger import Action, Ledger
from pipeline.dlq.reader import Captured, Desk
from pipeline.dlq.summary import Summary
from pipeline.errors import TransportError
from pipeline.progress import Progress
from pipeline.reconcile.revenue import Sums
from pipeline.settings.model import Settings
from pipeline.wiring import range_reader
from pipeline.worker.memory_tuning import tune_memory

WORTH_A_PROCESS: Final = 150_000
"""Offsets."""
_MOST_PROCESSES: Final = 8


class _Part(NamedTuple):
    """What one process counts."""

    settings: Settings
    captured: Captured
    ledger: Ledger
    selection: Selection
    done_too: bool
    by: Sequence[Dimension]

    @property
    def offsets(self) -> int:
        """How many it reads."""
        ranges = self.captured.ranges(self.selection).values()
        return sum(end - first for first, end in ranges)


class _Counted(NamedTuple):
    """What it has found."""

    summary: Summary
    money_letters: int
    sums: Sums
    left_out: Counter[Action]


def count(asked: Asked, by: Sequence[Dimension]) -> tuple[Summary, HeldMoney]:
    """The summary of the letters that are meant, and their money; TransportError."""
    own, *others = _parts(asked, by)
    total = sum(part.offsets for part in (own, *others))
    found, money = Summary(by), HeldMoney(asked.settings)
    with shown_progress(Console(stderr=True)) as on_progress, _counting(others) as processes:

        def tell(done: int) -> None:
            on_progress(Progress("reading letters", done + processes.done(), total))

        left_out = _count(own, found, money, tell)
        while not processes.have_ended:
            processes.wait()
            tell(own.offsets)
    for counted in processes.found():
        found.take(counted.summary)
        money.take(counted.money_letters, counted.sums)
        left_out.update(counted.left_out)
    asked.desk.done = left_out
    return found, money


def processors() -> int:
    """How many this process may use; where the system does not bind processes to some, all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _parts(asked: Asked, by: Sequence[Dimension]) -> list[_Part]:
    """What each process counts: a slice of every partition. The first part is this process's own.

    It is larger: this process counts while the others start.
    """
    desk, selection = asked.desk, asked.selection
    whole = _Part(asked.settings, desk.captured, desk.ledger, selection, asked.done_too, by)
    number = min(_MOST_PROCESSES, processors(), whole.offsets // WORTH_A_PROCESS)
    if number <= 1 or selection.limit is not None:
        return [whole]  # the first so many letters are those that one reader meets first
    ahead = WORTH_A_PROCESS / 3 / whole.offsets
    cuts = [0.0, *(ahead + (1 - ahead) * nth / number for nth in range(1, number)), 1.0]
    return [
        whole._replace(captured=desk.captured.part(selection, begin, end))
        for begin, end in pairwise(cuts)
    ]


@contextmanager
def _counting(parts: Sequence[_Part]) -> Iterator[_Others]:
    """Other processes that count. They end with the context, whatever they do."""
    # Not forked: this process has threads of the Kafka client.
    context = multiprocessing.get_context("spawn")
    processes: list[SpawnProcess] = []
    ends: list[Connection] = []
    try:
        for part in parts:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=count_part, args=(part, theirs), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            ends.append(ours)
        yield _Others(ends)
    finally:
        for process in processes:
            process.terminate()
            process.join()
        for end in ends:
            end.close()


class _Others:
    """What the other processes say."""

    def __init__(self, ends: Sequence[Connection]) -> None:
        self._found: dict[Connection, _Counted | None] = dict.fromkeys(ends)
        self._done = dict.fromkeys(ends, 0)

    @property
    def have_ended(self) -> bool:
        """Whether all of them have counted their part."""
        return None not in self._found.values()

    def found(self) -> list[_Counted]:
        """What those that have ended have found, in the order of the parts."""
        return [counted for counted in self._found.values() if counted is not None]

    def done(self) -> int:
        """Offsets that they have read so far; raises what one of them has raised."""
        self.wait(0)
        return sum(self._done.values())

    def wait(self, timeout_s: float | None = None) -> None:
        """Until one of them says something; raises what one of them has raised."""
        counting = [end for end, counted in self._found.items() if counted is None]
        heard = wait(counting, timeout_s)
        for end in counting:
            if end not in heard:
                continue
            said = _said(end)
            if isinstance(said, int):
                self._done[end] = said
            else:
                self._found[end] = said


def _said(end: Connection) -> int | _Counted:
    """How far one is, or what it has found; raises what it has raised."""
    try:
        said: int | _Counted | Exception = end.recv()
    except EOFError:
        raise TransportError(
            "a process that counted letters was killed: is there memory enough? Filters such as "
            "--since make the letters fewer"
        ) from None
    if isinstance(said, Exception):
        raise said
    return said


def count_part(part: _Part, end: Connection) -> None:
    """In a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    tune_memory()
    with suppress(BrokenPipeError):  # the first process is gone
        try:
            end.send(_counted(part, end))
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001  the first process raises it
            end.send(error)


def _counted(part: _Part, end: Connection) -> _Counted:
    found, money = Summary(part.by), HeldMoney(part.settings)
    left_out = _count(part, found, money, end.send)
    return _Counted(found, money.letters, money.sums, left_out)


def _count(
    part: _Part, found: Summary, money: HeldMoney, tell: Callable[[int], None]
) -> Counter[Action]:
    """Count a part, and tell how many offsets are read; the letters that were left out."""
    desk = Desk(range_reader(part.settings), part.captured, part.ledger)
    letters = desk.letters(
        part.selection, done_too=part.done_too, on_progress=lambda step: tell(step.done)
    )
    for letter in letters:
        found.add(letter)
        money.add(letter)
    return desk.done
