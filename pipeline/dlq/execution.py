"""Runs a plan that was made before: commits its writes, with a limit on their number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable

from pipeline.core.record import Role
from pipeline.dlq.ledger import Ledger
from pipeline.dlq.ledger_session import LedgerSessionOpener
from pipeline.dlq.redrive import LedgerWrite, Redriver, WriteResult
from pipeline.dlq.targets import WriteTargets
from pipeline.errors import SettingsError
from pipeline.ports import Stop
from pipeline.progress import OnProgress, Progress

MOST: int = 10_000
"""Default limit of dead letters in one run: a filter that was forgotten must not send a topic."""


def refuse_more_than(most: int, planned: int, done: str) -> None:
    """Raise SettingsError for a plan of too many dead letters; `done` is the past participle."""
    if planned > most:
        text = f"{planned:,} dead letters would be {done}, more than {most:,}: say --max {planned}"
        raise SettingsError([f"--max: {text}"])


def commit_writes(  # noqa: PLR0913  what decides about a run
    targets: WriteTargets,
    writes: Callable[[Ledger], Iterable[LedgerWrite]],
    *,
    planned: int,
    written: Collection[Role],
    rate: float | None = None,
    stop: Stop | None = None,
    result: WriteResult | None = None,
    on_progress: OnProgress | None = None,
) -> WriteResult:
    """Commit writes, of which there are about `planned`; see `Redriver.run` for errors.

    `written` are the roles of possible outputs, and `rate` is in dead letters per second. A given
    `result` is kept up to date, so it is known, too, when an error ends the run.
    """
    targets.check(written)

    def report(so_far: WriteResult) -> None:
        if on_progress is not None:
            tried = so_far.sent + so_far.already + so_far.refused.total()
            done = min(tried, planned)
            on_progress(Progress("writing dead letters", done, planned, "dead letters"))

    redriver = Redriver(
        LedgerSessionOpener(targets),
        stop or threading.Event(),
        rate=rate,
        result=result,
        on_commit=report,
    )
    return redriver.run(writes)
