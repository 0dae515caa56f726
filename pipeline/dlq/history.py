"""Redrives, discards and restores that were run on a dead-letter topic, and by whom."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from pipeline.core.time_window import ALL_TIME, Window
from pipeline.dlq.ledger import Entry
from pipeline.dlq.ledger_topic import entries_of
from pipeline.dlq.request import DlqRequest


class LedgerRun(NamedTuple):
    """What the ledger entries of one run have in common."""

    at: int
    """Time of the run in epoch milliseconds."""
    id: str
    action: str
    who: str
    target: str
    repair: str
    because: str


def history(request: DlqRequest, window: Window = ALL_TIME) -> list[tuple[LedgerRun, int]]:
    """Runs that began in a window, in order, each with its number of dead letters.

    The ledger forgets what is older than its retention. Raises RefusedError when it may not be
    read, and TransportError.
    """
    entries = entries_of(request.settings, request.dead_letter_topic)
    runs = Counter(_run_of(entry) for entry in entries if window.holds(entry.at))
    return sorted(runs.items())


def _run_of(entry: Entry) -> LedgerRun:
    return LedgerRun(
        entry.at, entry.id, entry.action, entry.who, entry.target, entry.repair, entry.because
    )
