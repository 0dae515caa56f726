"""`track-pipeline dlq why`: what the letters have in common that good events do not."""

from __future__ import annotations

import json
from typing import Final

import click
from rich.console import Console

from pipeline.cli.dlq.closing import say_what_was_left_out
from pipeline.cli.dlq.options import Asked, desk_command
from pipeline.cli.dlq.why_view import Answer, plain_answer, print_answer
from pipeline.cli.output import output_console
from pipeline.cli.progress import shown_progress
from pipeline.core.escape import escaped
from pipeline.dlq.baseline import MOST_GOOD, Compared, GoodEvents, around, like
from pipeline.dlq.blocked_revenue import HeldMoney
from pipeline.dlq.contrast import (
    MOST_FINDINGS,
    MOST_LETTERS,
    Sample,
    Seen,
    Vocabulary,
    common,
    contrast,
)
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.features import HOUR, of_letter
from pipeline.dlq.filters import EVERYTHING
from pipeline.wiring import admin, range_reader
from pipeline.worker.memory_tuning import tune_memory

_OF_ITS_TIME: Final = frozenset({HOUR})
"""What can't be compared with events of another time."""


@click.command()
@desk_command
@click.option(
    "--top",
    type=click.IntRange(1),
    default=MOST_FINDINGS,
    show_default=True,
    help="Most differences to show.",
)
def why(asked: Asked, top: int) -> None:
    """Say what the letters have in common that good events do not.

    Compared are library and version, event, app version, raw partition, the presence and type of
    ids and properties, page and host, and the hour: of the letters, and of a sample of the
    enriched topic of the same time (with --event or --library, of the same ones). What differs
    most comes first.

    Exit code 0, whatever is found.
    """
    tune_memory()
    letters = _Letters(asked)
    good, compared, alike = _good(asked, letters)
    if compared is Compared.NONE:
        findings = common(letters.sample, most=top)
    else:
        without = _OF_ITS_TIME if compared is Compared.EARLIER else frozenset[str]()
        findings = contrast(letters.sample, good, most=top, without=without)
    span = letters.first, letters.last
    answer = Answer(letters.sample, good, compared, alike, findings, letters.money, *span)
    if asked.as_json:
        click.echo(escaped(json.dumps(plain_answer(asked, answer), ensure_ascii=False)))
    elif letters.sample.rows:
        print_answer(output_console(), asked, answer)
    say_what_was_left_out(asked, letters.sample.offered)


class _Letters:
    """Everything that is to be known of the letters, read once."""

    def __init__(self, asked: Asked) -> None:
        self.sample = Sample(MOST_LETTERS, Vocabulary())
        self.money = HeldMoney(asked.settings)
        self.first = self.last = 0
        """Times of the first and the last failure; 0 when no letter tells it."""
        self.sent_first = self.sent_last = 0
        """Kafka timestamps of the first and the last raw record; of the failure where unknown."""
        for letter in asked.letters():
            self._add(letter)

    def _add(self, letter: DeadLetter) -> None:
        self.money.add(letter)
        failed = letter.failed_at
        self.sample.offer(lambda: Seen(of_letter(letter), failed, letter.place))
        if failed:
            self.first = min(self.first or failed, failed)
            self.last = max(self.last, failed)
        sent = letter.source_timestamp or failed
        if sent:
            self.sent_first = min(self.sent_first or sent, sent)
            self.sent_last = max(self.sent_last, sent)


def _good(asked: Asked, letters: _Letters) -> tuple[Sample, Compared, bool]:
    """Good events; how they were found; whether only those like the letters that are asked for."""
    nothing = Sample(MOST_GOOD, letters.sample.vocabulary)
    if not letters.sample.rows:
        return nothing, Compared.NONE, False
    cluster, topic = admin(asked.settings), asked.settings.topics.enriched
    facts = cluster.topics([topic]).get(topic)
    if facts is None or not facts.allows("READ"):
        problem = "does not exist" if facts is None else "may not be read"
        click.echo(f"topic {topic} {problem} (topics.enriched): no comparison", err=True)
        return nothing, Compared.NONE, False
    events = GoodEvents(cluster, range_reader(asked.settings), topic)
    window = around(letters.sent_first, letters.sent_last)
    limited = bool(asked.selection.events or asked.selection.libraries)
    with shown_progress(Console(stderr=True)) as on_progress:
        # Where no good event is of the names that are asked for, others are better than none.
        for alike in (True, False) if limited else (False,):
            good = Sample(MOST_GOOD, letters.sample.vocabulary)
            kind = like(asked.selection if alike else EVERYTHING)
            compared = events.fill(good, window, kind, on_progress)
            if compared is not Compared.NONE:
                return good, compared, alike
    return nothing, Compared.NONE, False
