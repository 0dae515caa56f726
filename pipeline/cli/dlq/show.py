"""`track-pipeline dlq show`: everything about single letters."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from pipeline.cli.dlq.annotated_value import marked_value
from pipeline.cli.dlq.closing import say_what_was_left_out
from pipeline.cli.dlq.options import Asked, desk_command
from pipeline.cli.output import output_console
from pipeline.cli.progress import shown_progress
from pipeline.core.escape import escaped, one_line
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.masking import mask, masked_text
from pipeline.dlq.as_json import masked_problem, moment, plain
from pipeline.dlq.dead_letter import TRACK, DeadLetter
from pipeline.dlq.filters import read_source_filter
from pipeline.dlq.newest import newest
from pipeline.dlq.recheck import Examiner, Kind, Verdict
from pipeline.dlq.repair import no_repair
from pipeline.errors import ExitCode
from pipeline.wiring import WallClock, make_again

_PLACE: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,18})")


@click.command()
@click.argument("which", required=False, metavar="[SOURCE|PARTITION/OFFSET]")
@click.option("-n", "last", type=click.IntRange(1), metavar="K", help="The K newest letters.")
@click.option("--raw", is_flag=True, help="Write exactly the refused bytes of one letter.")
@desk_command
@click.pass_context
def show(
    ctx: click.Context, asked: Asked, which: str | None, last: int | None, *, raw: bool
) -> None:
    """Show letters: reasons and their places, headers, value, and what the rules say now.

    PARTITION/OFFSET names a place in the dead-letter topic, SOURCE (topic/partition/offset[/index])
    a raw event. Without either, and without -n, the newest letter that the filters mean is shown.

    Exit code 1 when there is none.
    """
    asked = _narrowed(asked, which)
    named = which is not None and last is None
    letters = asked.letters(printed=True) if named else iter(_newest(asked, last or 1))
    count = _write_raw(letters) if raw else _show_all(letters, asked)
    if not count:
        say_what_was_left_out(asked, 0)
        ctx.exit(ExitCode.DIFFERENCE)


def _narrowed(asked: Asked, which: str | None) -> Asked:
    """Also what was redriven can be looked at, when it is named."""
    if which is None:
        return asked
    place = _PLACE.fullmatch(which)
    if place is not None:
        partition, offset = map(int, place.groups())
        selection = replace(asked.selection, offsets={partition: (offset, offset + 1)})
    else:
        try:
            selection = replace(asked.selection, sources=(read_source_filter(which),))
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    return replace(asked, selection=selection, done_too=True)


def _newest(asked: Asked, count: int) -> list[DeadLetter]:
    with shown_progress(Console(stderr=True)) as on_progress:
        return newest(
            asked.desk, asked.selection, count, done_too=asked.done_too, on_progress=on_progress
        )


def _write_raw(letters: Iterable[DeadLetter]) -> int:
    found = list(letters)
    if len(found) > 1:
        raise click.UsageError(f"--raw writes one letter, but {len(found)} are meant")
    for letter in found:
        sys.stdout.buffer.write(letter.value or b"")
        sys.stdout.buffer.flush()
    return len(found)


def _show_all(letters: Iterable[DeadLetter], asked: Asked) -> int:
    examiner, now = Examiner(make_again(asked.settings), no_repair()), WallClock().now()
    console, count = output_console(), 0
    try:
        for letter in letters:
            verdict = examiner.examine(letter, now)
            if asked.as_json:
                click.echo(
                    escaped(json.dumps(_document(letter, verdict, asked), ensure_ascii=False))
                )
            else:
                _print(console, letter, verdict, asked)
            count += 1
    finally:
        examiner.end()
    return count


def _document(letter: DeadLetter, verdict: Verdict, asked: Asked) -> dict[str, Any]:
    reveal = asked.reveal
    detail = verdict.detail if reveal else mask(verdict.detail)
    return {
        **plain(letter, reveal=reveal),
        "done": asked.desk.ledger.action(letter.partition, letter.offset),
        "key": _text(letter.record.key, reveal=reveal),
        "headers": [[name, _text(value, reveal=reveal)] for name, value in letter.record.headers],
        "now": verdict.kind.value,
        "now_detail": detail or None,
        "now_reasons": [masked_problem(problem, reveal=reveal) for problem in verdict.problems],
    }


def _text(value: bytes | None, *, reveal: bool) -> str | None:
    if value is None:
        return None
    return value.decode(errors="backslashreplace") if reveal else masked_text(value)


def _print(console: Console, letter: DeadLetter, verdict: Verdict, asked: Asked) -> None:
    console.print(Text(f"── letter {letter.place}", "bold"))
    style = "green" if verdict.kind is Kind.PASSES else "red"
    styles = {"reason": "red", "now": style}
    for name, said in (*_reasons(letter, verdict), *_about(letter, asked)):
        shown = one_line(said if asked.reveal else mask(said))
        console.print(Text.assemble((f"{name:<12} ", "bold"), (shown, styles.get(name, ""))))
    for name, value in letter.headers:
        text = _text(value, reveal=asked.reveal)
        shown = one_line(f"{name}: {'(no value)' if text is None else text}")
        console.print(Text.assemble(("header       ", "bold"), shown))
    lines = Text()
    # What kills a process is not decoded in this one.
    for line in marked_value(letter, reveal=asked.reveal, as_json=verdict.kind is not Kind.CRASHES):
        lines.append(line.text, "bold red" if line.notes else "")
        lines.append(f"   ◄ {', '.join(map(one_line, line.notes))}" if line.notes else "", "red")
        lines.append("\n")
    console.print(lines, soft_wrap=True)


def _reasons(letter: DeadLetter, verdict: Verdict) -> Iterator[tuple[str, str]]:
    for problem in letter.problems:
        yield "reason", " ".join(filter(None, problem))
    if verdict.kind is Kind.OTHER:
        for problem in verdict.problems:
            yield "now", f"{verdict.kind}: {' '.join(filter(None, problem))}"
    else:
        yield "now", ": ".join(filter(None, (verdict.kind, verdict.detail)))


def _about(letter: DeadLetter, asked: Asked) -> Iterator[tuple[str, str]]:
    """Name and text of what is known."""
    said = letter.said
    first = said(DlqHeader.FIRST_FAILED_AT)
    since = f" (the first time {first})" if letter.attempt > 1 and first else ""
    by = (
        said(DlqHeader.APP),
        f"group {said(DlqHeader.GROUP)}",
        f"contract {said(TrackHeader.CONTRACT)}",
    )
    facts = {
        "done": asked.desk.ledger.action(letter.partition, letter.offset) or "",
        "failed": f"{moment(letter.failed_at)}, attempt {letter.attempt}{since}",
        "stage": letter.stage,
        "source": letter.source.text() if letter.source else "not said",
        "sent": moment(letter.source_timestamp),
        "event": letter.event,
        "message id": letter.message_id,
        "library": letter.library,
        "refused by": ", ".join(by) if letter.dialect == TRACK else letter.dialect,
        "replay": said(DlqHeader.REPLAY),
        "key": _text(letter.record.key, reveal=asked.reveal) or "",
    }
    yield from ((name, text) for name, text in facts.items() if text)
