"""`track-pipeline dlq check`: what would become of the letters now."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.dlq.closing import say_what_was_left_out
from pipeline.cli.dlq.options import Asked, desk_command
from pipeline.cli.dlq.repair_options import with_repair
from pipeline.cli.output import output_console
from pipeline.core.decode import decode
from pipeline.core.escape import escaped, long_json, one_line
from pipeline.core.masking import mask, masked_value
from pipeline.core.reasons import Invalid
from pipeline.dlq.recheck import Examiner, Kind, Outcome, Report, Sample
from pipeline.dlq.repair import Repair
from pipeline.errors import ExitCode
from pipeline.wiring import WallClock, make_again

_STYLES: Final = {Kind.PASSES: "green", Kind.LEFT_OUT: "yellow", Kind.DROPPED: "yellow"}
_DIFFS_SHOWN: Final = 3
_DEEPEST: Final = 512


@click.command()
@desk_command
@with_repair
@click.pass_context
def check(ctx: click.Context, asked: Asked, repair: Repair) -> None:
    """Run the letters through the current code and settings; nothing is written.

    With a repair, the letters are repaired first, and what it changes is shown.

    Exit code 0 when all would pass, 1 when anything would still fail.
    """
    report = examined(asked, repair)
    if asked.as_json:
        document = _plain(report, repair, reveal=asked.reveal)
        click.echo(escaped(json.dumps(document, ensure_ascii=False)))
    else:
        _print(output_console(), report, repair, reveal=asked.reveal)
    say_what_was_left_out(asked, report.total())
    ctx.exit(ExitCode.DIFFERENCE if report.failing else ExitCode.OK)


def examined(asked: Asked, repair: Repair) -> Report:
    """The verdicts on all letters that are meant."""
    examiner, report = Examiner(make_again(asked.settings), repair), Report()
    now = WallClock().now()
    try:
        for letter in asked.letters():
            report.add(letter, examiner.examine(letter, now))
    finally:
        examiner.end()
    return report


def _rows(report: Report) -> Iterator[tuple[str, Kind, str, Outcome]]:
    """The most frequent first."""
    outcomes = sorted(report.outcomes.items(), key=lambda item: (-item[1].count, item[0]))
    for (reason, kind, new), outcome in outcomes:
        yield reason, kind, new, outcome


def _print(console: Console, report: Report, repair: Repair, *, reveal: bool) -> None:
    if not report.total():
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("letters", justify="right")
    for name in ("reason then", "now", "such as letters"):
        table.add_column(name)
    for reason, kind, new, outcome in _rows(report):
        fate = f"{kind}: {new}" if new else kind.value
        places = ", ".join(sample.place for sample in outcome.samples)
        now = Text(escaped(fate), _STYLES.get(kind, "red"))
        table.add_row(f"{outcome.count:,}", Text(escaped(reason)), now, Text(places))
    console.print(table)
    for sample in _said(report):
        console.print(Text(one_line(sample.detail if reveal else mask(sample.detail))))
    if repair.name:
        _print_changes(console, report, repair, reveal=reveal)
    console.print(Text(_closing(report), "bold"))


def _said(report: Report) -> Iterator[Sample]:
    """Samples of what could not even be tried."""
    wanted = {Kind.REPAIR_FAILED, Kind.CRASHES, Kind.POINTER}
    for _, kind, _, outcome in _rows(report):
        if kind in wanted:
            yield from outcome.samples


def _closing(report: Report) -> str:
    total, passing = report.total(), report.total(Kind.PASSES)
    text = f"{passing:,} of {total:,} letters would pass now"
    if not passing and report.failing:
        return f"{text}: fix the cause, or try a repair (--transform, --set, …)"
    rest = f", {total - passing:,} would not" if passing < total else ""
    plan = ": `track-pipeline dlq redrive` with the same options shows the plan" if passing else ""
    return f"{text}{rest}{plan}"


def _print_changes(console: Console, report: Report, repair: Repair, *, reveal: bool) -> None:
    changed = [
        sample
        for _, _, _, outcome in _rows(report)
        for sample in outcome.samples
        if sample.after is not None
    ]
    said = f"{report.changed:,} of {report.total():,} letters" if changed else "nothing"
    console.print(Text(escaped(f"{repair.name} changes {said}"), "" if changed else "yellow"))
    for sample in changed[:_DIFFS_SHOWN]:
        console.print(Text(f"── {sample.place}", "bold"))
        for line in _difference(sample, reveal=reveal):
            style = {"+": "green", "-": "red"}.get(line[:1], "")
            console.print(Text(escaped(line), style))


def _difference(sample: Sample, *, reveal: bool) -> Iterator[str]:
    """The lines of the value that a repair changes, as `diff -u` shows them."""
    before, after = (_lines(value, reveal=reveal) for value in (sample.before, sample.after))
    lines = difflib.unified_diff(before, after, lineterm="", n=1)
    yield from (line for line in lines if not line.startswith(("---", "+++", "@@")))


def _lines(value: bytes | None, *, reveal: bool) -> list[str]:
    shown = (value if reveal else masked_value(value)) or b""
    if type(decode(shown, _DEEPEST)) is not Invalid:
        # Without commas, which come and go with the member behind.
        return [line.removesuffix(",") for line in long_json(shown).split("\n")]
    return shown.decode(errors="backslashreplace").splitlines()


def _plain(report: Report, repair: Repair, *, reveal: bool) -> dict[str, Any]:
    def sample(each: Sample) -> dict[str, Any]:
        shown: dict[str, Any] = {"letter": each.place, "source": each.source}
        if each.detail:
            shown["detail"] = each.detail if reveal else mask(each.detail)
        if each.after is not None:
            shown["changes"] = list(_difference(each, reveal=reveal))
        return shown

    return {
        "letters": report.total(),
        "passing": report.total(Kind.PASSES),
        "failing": report.failing,
        "changed": report.changed,
        "repair": repair.name,
        "masked": not reveal,
        "outcomes": [
            {
                "reason": reason,
                "now": kind.value,
                "new_reason": new or None,
                "letters": outcome.count,
                "samples": [sample(each) for each in outcome.samples],
            }
            for reason, kind, new, outcome in _rows(report)
        ],
    }
