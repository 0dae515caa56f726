"""`track-pipeline explain`: what each rule does to one event."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.options import offline_processor, received_at_option, with_settings
from pipeline.core.decode import decode
from pipeline.core.encode import encode_json
from pipeline.core.escape import escaped, long_json, one_line, short_json
from pipeline.core.json_pointer import ABSENT
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Reason
from pipeline.core.record import NO_PARTITION, Output, Record, Role
from pipeline.errors import ExitCode
from pipeline.files.explain import Effect, EffectKind, Explanation
from pipeline.files.explain import explain as explain_record
from pipeline.files.lines import STDIN, open_input
from pipeline.files.outputs import check_redirection
from pipeline.files.transform import dead_letter_line

if TYPE_CHECKING:
    from pipeline.settings.model import Settings

_LONGEST_VALUE: Final = 100
_TITLES: Final = {
    Role.ENRICHED: "enriched event",
    Role.IDENTIFY: "identify message",
    Role.DEAD_LETTER: "dead letter",
}
_STYLES: Final = {
    EffectKind.REJECTED: "red",
    EffectKind.WARNED: "yellow",
    EffectKind.CHANGED: "green",
    EffectKind.KEPT: "dim",
}


@click.command()
@click.argument("file", default=STDIN, metavar="[FILE|-]")
@received_at_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document for machines.")
@with_settings()
@click.pass_context
def explain(
    ctx: click.Context, file: str, *, received_at: int | None, as_json: bool, settings: Settings
) -> None:
    """Show what each rule does to one event, and what comes out.

    FILE (or standard input) is one JSON document over any number of lines: an event, or a batch
    envelope, of which each event is shown.

    Exit code 0 when every event is enriched, 1 when one is refused or dropped.
    """
    check_redirection([file])
    if file == STDIN and sys.stdin is not None and sys.stdin.isatty():
        click.echo("reading one event from the terminal; Ctrl-D ends", err=True)
    with open_input(file) as source:
        value, name = source.input.document(), source.input.name
    processor = offline_processor(settings)
    record = Record(value, None, (), received_at, name, NO_PARTITION, 1)
    explained = explain_record(processor, record, time.time_ns() // 1_000_000)
    if as_json:
        document = {"events": [explanation.to_dict() for explanation in explained]}
        click.echo(escaped(encode_json(document).decode()))
    else:
        _print_all(explained)
        _hint(explained, value)
    good = all(explanation.outcome == Role.ENRICHED for explanation in explained)
    ctx.exit(ExitCode.OK if good else ExitCode.DIFFERENCE)


def _print_all(explained: list[Explanation]) -> None:
    console = Console(markup=False, highlight=False)
    for number, explanation in enumerate(explained):
        if number:
            click.echo()
        print_explanation(console, explanation)


def print_explanation(
    console: Console, explanation: Explanation, *, with_records: bool = True
) -> None:
    """Print one event's rules and records: a table on a terminal, else plain text."""
    records = _records(explanation) if with_records else []
    if console.is_terminal:
        _print_tables(console, explanation, records)
    else:
        _print_plain(explanation, records)


def _headline(explanation: Explanation) -> str:
    return one_line(f"{explanation.source}: {explanation.outcome.replace('_', ' ')}")


def _print_plain(explanation: Explanation, records: list[tuple[str, str]]) -> None:
    click.echo(_headline(explanation))
    for effect in explanation.effects:
        click.echo(one_line(f"- {effect.kind}: {effect.code} {effect.pointer}".rstrip()))
        click.echo(f"    {one_line(effect.meaning)}")
        values = _values(effect)
        if values:
            click.echo(f"    {values}")
    if not explanation.effects:
        click.echo("- no rule acted")
    for title, text in records:
        click.echo(f"{title}:\n{text}")


def _print_tables(
    console: Console, explanation: Explanation, records: list[tuple[str, str]]
) -> None:
    good = explanation.outcome == Role.ENRICHED
    console.print(Text(_headline(explanation), "bold green" if good else "bold red"))
    table = Table(show_header=False, show_lines=True)
    for effect in explanation.effects:
        # Two narrow columns instead of four: codes and values stay whole in 80 columns.
        rule = Text(f"{effect.kind}: {one_line(effect.code)}", _STYLES[effect.kind])
        rule.append(f"\n{one_line(effect.pointer)}", "dim")
        values = Text(_values(effect))
        values.append(f"{chr(10) if values else ''}{one_line(effect.meaning)}", "dim")
        rule.overflow = values.overflow = "fold"
        table.add_row(rule, values)
    if explanation.effects:
        console.print(table)
    else:
        console.print("no rule acted")
    for title, text in records:
        console.print(Text(title, "bold"))
        console.print(Text(text), soft_wrap=True)


def _values(effect: Effect) -> str:
    """The value before and after; only one where they do not differ."""
    before, after = _shown(effect.before), _shown(effect.after)
    if effect.kind is EffectKind.REJECTED:
        return "" if effect.before is ABSENT else before
    if not effect.changes:
        return "" if effect.before is ABSENT else f"{before} (kept)"
    return f"{before} -> {after}"


def _shown(value: JsonValue) -> str:
    return "(absent)" if value is ABSENT else short_json(value, _LONGEST_VALUE)


def _records(explanation: Explanation) -> list[tuple[str, str]]:
    """A title and readable text of each record that is written."""
    return [(_TITLES[output.role], long_json(_document(output))) for output in explanation.outputs]


def _document(output: Output) -> bytes:
    if output.role is Role.DEAD_LETTER:
        return encode_json(dead_letter_line(output))
    return output.value or b"null"


def _hint(explained: list[Explanation], value: bytes) -> None:
    """Someone who gives a file of many events gets told what it is for."""
    codes = [effect.code for explanation in explained for effect in explanation.effects]
    first, _, rest = value.strip().partition(b"\n")
    several = rest.strip() and isinstance(decode(first, 512), dict)
    if codes == [Reason.INVALID_JSON] and several:
        click.echo(
            "hint: explain takes one JSON document, and this looks like one event per line: "
            "track-pipeline transform takes those",
            err=True,
        )
