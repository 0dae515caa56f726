"""Sentences around the views: what was left out, which revenue is blocked, what was written."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pipeline.cli.formats import Money, counted, money_text
from pipeline.cli.output import print_notice
from pipeline.cli.progress import shown_progress
from pipeline.core.reasons import Reason, Stage
from pipeline.dlq.blocked_revenue import BlockedRevenue
from pipeline.dlq.reader import Coverage
from pipeline.dlq.request import DlqRequest
from pipeline.progress import OnProgress
from pipeline.settings.names import nearest


@contextmanager
def reading_progress(*, printing: bool = False) -> Iterator[OnProgress | None]:
    """Show progress on standard error.

    `printing`: rows are printed while dead letters are read, and on one terminal a bar would be in
    their way.
    """
    if printing and sys.stdout.isatty():
        yield None
        return
    with shown_progress() as on_progress:
        yield on_progress


def note_coverage(request: DlqRequest, coverage: Coverage, count: int) -> None:
    """Say on standard error which dead letters were left out, and why there are none."""
    if coverage.left_out:
        left_out = sorted(coverage.left_out.items())
        parts = ", ".join(f"{number:,} {action}" for action, number in left_out)
        print_notice(f"left out: {parts} (--all shows them)")
    if not count:
        print_notice(_none(request, coverage))
        for text in _misspelled(request):
            print_notice(text)


def _none(request: DlqRequest, coverage: Coverage) -> str:
    topic, selection = request.dead_letter_topic, request.selection
    if selection.offsets or selection.failed.start is not None:
        return f"No dead letters match these filters ({coverage.read:,} read in {topic})."
    if not coverage.read:
        return f"No dead letters in {topic}."
    if selection.has_filters:
        return f"No dead letters match these filters ({coverage.read:,} in {topic})."
    return f"No dead letters are pending ({coverage.read:,} in {topic})."


def _misspelled(request: DlqRequest) -> Iterator[str]:
    """Suggestions for values of filters that are nearly the ones of our own dead letters."""
    selection = request.selection
    for flag, values, known in (
        ("--reason", selection.reasons, [reason.value for reason in Reason]),
        ("--stage", selection.stages, [stage.value for stage in Stage]),
    ):
        for value in sorted(values - set(known)):
            suggestion = nearest(value, known)
            if suggestion:
                word = flag.removeprefix("--")
                yield f"{flag} {value} is not a {word} of track-pipeline{suggestion}"


def sums(amounts: Iterable[Money]) -> str:
    """Amounts as part of a sentence, each with its currency."""
    return ", ".join(map(money_text, amounts))


def blocked_sentence(revenue: BlockedRevenue) -> str:
    """Say which revenue is blocked; empty when there is none."""
    by_currency = sorted((key.currency, amount) for key, amount in revenue.sums.amounts.items())
    known = sums(Money(amount, currency) for currency, amount in by_currency)
    amounts = counted(revenue.unreadable, "amount")
    unreadable = f"{amounts} without a usable value or currency" if revenue.unreadable else ""
    parts = " and ".join(filter(None, (known, unreadable)))
    return f"blocked revenue: {parts}" if parts else ""
