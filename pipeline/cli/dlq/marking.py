"""What `discard` and `restore` have in common: dead letters are marked in the ledger, not sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.dlq.closing import say_what_was_left_out
from pipeline.cli.dlq.execute import execute
from pipeline.cli.dlq.options import Asked
from pipeline.cli.dlq.redrive import act_option, most_option, refuse_more_than
from pipeline.cli.output import output_console
from pipeline.cli.progress import shown_progress
from pipeline.core.escape import escaped
from pipeline.core.record import Role
from pipeline.dlq.blocked_revenue import HeldMoney
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.ledger import Action, Entry, Ledger
from pipeline.dlq.reason_counts import ReasonCounts
from pipeline.dlq.redrive import Deed
from pipeline.dlq.targets import Place, place
from pipeline.identity import new_id, whoami
from pipeline.progress import OnProgress
from pipeline.wiring import WallClock

_Function = Callable[..., None]

_OPTIONS = (
    click.option("--everything", is_flag=True, help="Of all dead letters, without any filter."),
    most_option("mark"),
    act_option,
)


def with_marking(function: _Function) -> _Function:
    """Decorate a command: adds `everything`, `most` and `act`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def refuse_without_a_filter(asked: Asked, *, everything: bool) -> None:
    """UsageError: a filter that was forgotten must not mark a whole topic."""
    if not everything and not asked.selection.narrows and not asked.selection.offsets:
        raise click.UsageError(
            f"say which dead letters of {asked.desk.captured.topic} by a filter such as --reason, "
            "--since or --offsets, or all of them by --everything"
        )


@dataclass(frozen=True)
class Marking:
    """One run of a command that marks dead letters."""

    asked: Asked
    verb: str
    """`discard` or `restore`."""
    action: Action
    because: str
    is_meant: Callable[[DeadLetter], bool]
    """Whether a dead letter can be marked so, by the ledger as it was at the start."""
    id: str
    now: int

    def letters(self, on_progress: OnProgress | None = None) -> Iterator[DeadLetter]:
        """Those that are to be marked."""
        asked, selection = self.asked, self.asked.selection
        everyone = asked.desk.letters(
            replace(selection, limit=None), done_too=asked.done_too, on_progress=on_progress
        )
        return islice(filter(self.is_meant, everyone), selection.limit)

    def deeds(self, where: Place) -> Iterator[Deed]:
        """An entry of the ledger for each."""
        who = whoami()
        for letter in self.letters():
            source = letter.source.text() if letter.source else ""
            entry = Entry(
                where.topic_id,
                letter.partition,
                letter.offset,
                self.action,
                source,
                letter.source_timestamp,
                who,
                self.now,
                self.id,
                because=self.because,
            )
            yield Deed((), entry)


def mark(  # noqa: PLR0913  what decides about a run
    asked: Asked,
    verb: str,
    action: Action,
    is_meant: Callable[[DeadLetter], bool],
    *,
    because: str,
    most: int,
    act: bool,
) -> None:
    """Show which dead letters would be marked, and mark them when it is to be done."""
    captured, now = asked.desk.captured, WallClock().now()
    marking = Marking(asked, verb, action, because, is_meant, new_id(verb, now), now)
    outputs = {Role.DEAD_LETTER: captured.topic}
    where = place(asked.settings, captured.topic, captured.topic_id, outputs)
    count = _show_plan(marking)
    refuse_more_than(most, count, action.value)
    if act and count:

        def deeds(_ledger: Ledger) -> Iterator[Deed]:
            return marking.deeds(where)

        execute(
            where, deeds, marking.id, planned=count, written=(), rate=None, as_json=asked.as_json
        )
    elif count:
        click.echo("nothing was written: --execute does it", err=True)
    say_what_was_left_out(asked, count)


def _show_plan(marking: Marking) -> int:
    """What would be marked, by reason, and its money; how many dead letters."""
    asked = marking.asked
    reasons, money = ReasonCounts(), HeldMoney(asked.settings)
    with shown_progress(Console(stderr=True)) as on_progress:
        for letter in marking.letters(on_progress):
            reasons.add(letter.reason)
            money.add(letter)
    count = reasons.total()
    if asked.as_json:
        plan = {
            "id": marking.id,
            marking.verb: count,
            "reasons": reasons.plain(),
            "money": money.plain(),
        }
        click.echo(escaped(json.dumps(plan, ensure_ascii=False)))
    elif count:
        table = Table(box=None, pad_edge=False)
        table.add_column(f"to {marking.verb}", justify="right")
        table.add_column("reason")
        for reason, number in reasons.most_common():
            table.add_row(f"{number:,}", Text(escaped(reason)))
        output_console().print(table)
        if money.letters:
            click.echo(money.sentence())
    return count
