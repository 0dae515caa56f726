"""`track-pipeline dlq show`: everything about single letters."""

from __future__ import annotations

import json
import re
import sys
from collections import deque
from dataclasses import replace
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from pipeline.commands.console import output_console
from pipeline.commands.dlq.options import Asked, desk_command
from pipeline.core.readable import escaped, one_line
from pipeline.deadletters.letter import DeadLetter
from pipeline.deadletters.masking import mask
from pipeline.deadletters.repair import no_repair
from pipeline.deadletters.selection import read_source_filter
from pipeline.deadletters.shown import moment, plain, readable_value
from pipeline.deadletters.whatif import Examiner, Kind, Verdict
from pipeline.exits import Exit
from pipeline.pointers import ABSENT, find
from pipeline.wiring import WallClock, make_again

_PLACE: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,18})")
_NOTHING: Final = "no such letter; `dlq list` shows what there is"


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
    letters = _letters(_narrowed(asked, which), last, which)
    if not letters:
        click.echo(_NOTHING, err=True)
        ctx.exit(Exit.DIFFERENCE)
    if raw:
        _write_raw(letters)
        return
    examiner, now = Examiner(make_again(asked.settings), no_repair()), WallClock().now()
    console = output_console()
    try:
        for letter in letters:
            verdict = examiner.examine(letter, now)
            if asked.as_json:
                document = {**plain(letter, reveal=asked.reveal), **_now(verdict, asked.reveal)}
                document["headers"] = _headers(letter, reveal=asked.reveal)
                click.echo(escaped(json.dumps(document, ensure_ascii=False)))
            else:
                _print(console, letter, verdict, reveal=asked.reveal)
    finally:
        examiner.end()


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


def _letters(asked: Asked, last: int | None, which: str | None) -> list[DeadLetter]:
    """In the order of their failures."""
    most = last or (None if which else 1)
    found = deque(sorted(asked.letters(), key=lambda each: each.failed_at), maxlen=most)
    return list(found)


def _write_raw(letters: list[DeadLetter]) -> None:
    if len(letters) > 1:
        raise click.UsageError(f"--raw writes one letter, but {len(letters)} are meant")
    sys.stdout.buffer.write(letters[0].value or b"")
    sys.stdout.buffer.flush()


def _now(verdict: Verdict, reveal: bool) -> dict[str, Any]:  # noqa: FBT001  one of two
    detail = verdict.detail if reveal else mask(verdict.detail)
    return {"now": verdict.kind.value, "now_detail": detail or None}


def _headers(letter: DeadLetter, *, reveal: bool) -> list[list[str | None]]:
    def text(value: bytes | None) -> str | None:
        shown = None if value is None else value.decode(errors="backslashreplace")
        return shown if reveal or shown is None else mask(shown)

    return [[name, text(value)] for name, value in letter.record.headers]


def _print(console: Console, letter: DeadLetter, verdict: Verdict, *, reveal: bool) -> None:
    def line(name: str, value: str, style: str = "") -> None:
        if value:
            shown = one_line(value if reveal else mask(value))
            console.print(Text(f"{name:<12} ", "bold").append(Text(shown, style)))

    console.print(Text(f"── letter {letter.place} ", "bold"))
    line("source", letter.source.text() if letter.source else "not said")
    line("sent", moment(letter.source_timestamp))
    line("failed", f"{moment(letter.failed_at)}, attempt {letter.attempt}, stage {letter.stage}")
    line("event", letter.event)
    line("message id", letter.message_id)
    line("library", letter.library)
    line("written by", "" if letter.dialect == "track" else letter.dialect)
    for problem in letter.problems:
        line("reason", " ".join(filter(None, problem)), "red")
    style = "green" if verdict.kind is Kind.PASSES else "red"
    line("now", " ".join(filter(None, (verdict.kind, verdict.detail))), style)
    for name, value in _headers(letter, reveal=reveal):
        console.print(Text(one_line(f"  {name}: {value}"), "dim"))
    console.print(_value(letter, reveal=reveal))


def _value(letter: DeadLetter, *, reveal: bool) -> Text:
    """The value; lines of members that are a violation's place have its code beside them."""
    text = Text()
    event = letter.event_object
    marks = {
        problem.pointer.rpartition("/")[2]: problem.code
        for problem in letter.problems
        if problem.pointer and event is not None and find(event, problem.pointer) is not ABSENT
    }
    for shown in readable_value(letter, reveal=reveal).splitlines():
        name = shown.strip().partition(":")[0].strip('"')
        code = marks.get(name) if shown.lstrip().startswith('"') else None
        text.append(shown, "bold red" if code else "")
        text.append(f"   ◄ {code}" if code else "", "red")
        text.append("\n")
    return text
