"""Counts the letters of a summary: of many in several processes, each with a part of them.

Counting is work for the processor, and one Python process uses one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final, NamedTuple

from rich.console import Console

from pipeline.audit.money import Sums
from pipeline.commands.dlq.options import Asked
from pipeline.commands.progress import shown_progress
from pipeline.deadletters.desk import Captured, Desk
from pipeline.deadletters.dimensions import Dimension
from pipeline.deadletters.held_money import HeldMoney
from pipeline.deadletters.ledger import Action, Ledger
from pipeline.deadletters.selection import Selection
from pipeline.deadletters.summary import Summary
from pipeline.edges.heap import tune_memory
from pipeline.ports import TransportError
from pipeline.progress import OnProgress, Progress
from pipeline.settings import Settings
from pipeline.wiring import range_reader

WORTH_A_PROCESS: Final = 150_000
"""Offsets: to start a process takes as long as to count as many."""
_MOST_PROCESSES: Final = 8
_LOOK_S: Final = 0.05


class _Part(NamedTuple):
    """What one process counts."""

    settings: Settings
    captured: Captured
    ledger: Ledger
    selection: Selection
    done_too: bool
    by: Sequence[Dimension]


class _Counted(NamedTuple):
    """What it has found."""

    summary: Summary
    money_letters: int
    sums: Sums
    done: Counter[Action]


def count(asked: Asked, by: Sequence[Dimension]) -> tuple[Summary, HeldMoney]:
    """The summary of the letters that are meant, and their money; TransportError."""
    found, money = Summary(by), HeldMoney(asked.settings)
    parts = _parts(asked, by)
    if len(parts) == 1:
        for letter in asked.letters():
            found.add(letter)
            money.add(letter)
        return found, money
    asked.desk.done.clear()
    with shown_progress(Console(stderr=True)) as on_progress, _started(parts) as ends:
        for counted in _results(ends, asked, on_progress):
            found.take(counted.summary)
            money.take(counted.money_letters, counted.sums)
            asked.desk.done.update(counted.done)
    return found, money


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def _parts(asked: Asked, by: Sequence[Dimension]) -> list[_Part]:
    """One for each process; each has a slice of every partition."""
    ranges = asked.desk.ranges(asked.selection)
    total = sum(end - first for first, end in ranges.values())
    most = min(_MOST_PROCESSES, processors(), total // WORTH_A_PROCESS)
    # The first so many letters are those that one reader meets first.
    number = 1 if asked.selection.limit is not None else max(1, most)
    parts = []
    for nth in range(number):
        extents = {
            partition: (
                first + (end - first) * nth // number,
                first + (end - first) * (nth + 1) // number,
            )
            for (_, partition), (first, end) in ranges.items()
        }
        captured = asked.desk.captured._replace(extents=extents, starts={})
        parts.append(
            _Part(asked.settings, captured, asked.desk.ledger, asked.selection, asked.done_too, by)
        )
    return parts


@contextmanager
def _started(parts: Sequence[_Part]) -> Iterator[list[Connection]]:
    """Processes that count; what comes from each. They end with the context, whatever they do."""
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
        yield ends
    finally:
        for process in processes:
            process.terminate()
            process.join()
        for end in ends:
            end.close()


def _results(ends: Sequence[Connection], asked: Asked, on_progress: OnProgress) -> list[_Counted]:
    """What all have found, in the order of the parts; raises what one of them has raised."""
    ranges = asked.desk.ranges(asked.selection)
    total = sum(end - first for first, end in ranges.values())
    done, found = [0] * len(ends), dict[int, _Counted]()
    while len(found) < len(ends):
        waiting = {end: nth for nth, end in enumerate(ends) if nth not in found}
        for end, nth in waiting.items():
            if not end.poll(_LOOK_S):
                continue
            said = _said(end)
            if isinstance(said, int):
                done[nth] = said
                on_progress(Progress("reading letters", sum(done), total))
            else:
                found[nth] = said
    return [found[nth] for nth in range(len(ends))]


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
    desk = Desk(range_reader(part.settings), part.captured, part.ledger)
    letters = desk.letters(
        part.selection, done_too=part.done_too, on_progress=lambda step: end.send(step.done)
    )
    for letter in letters:
        found.add(letter)
        money.add(letter)
    return _Counted(found, money.letters, money.sums, desk.done)
