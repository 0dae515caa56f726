"""`track-pipeline dlq check`: what the current rules would do with dead letters."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, Final

import click
from rich.text import Text

from pipeline.cli.dlq.notes import note_coverage, reading_progress
from pipeline.cli.dlq.options import Display, dlq_command, groups
from pipeline.cli.dlq.repair_options import REPAIR_FLAGS, with_repair
from pipeline.cli.help import Command
from pipeline.cli.output import print_json, print_line, print_notice, print_table
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.core.decode import decode
from pipeline.core.escape import escaped, long_json, one_line
from pipeline.core.masking import mask, masked_value
from pipeline.core.reasons import Invalid
from pipeline.dlq.recheck import Outcome, RecheckKind, RecheckReport, RecheckSample, recheck
from pipeline.dlq.repair import Repair
from pipeline.dlq.request import DlqRequest
from pipeline.errors import ExitCode

_STYLES: Final = {
    RecheckKind.PASSES: "green",
    RecheckKind.LEFT_OUT: "yellow",
    RecheckKind.DROPPED: "yellow",
}
_DIFFS_SHOWN: Final = 3
_DEEPEST: Final = 512


@click.command(
    cls=Command,
    groups=groups({"Repair": REPAIR_FLAGS}),
    examples={
        "Would they pass after a change of the settings?": (
            "track-pipeline dlq check --reason revenue_invalid --config new.toml"
        ),
        "Does a repair help?": (
            "track-pipeline dlq check --reason revenue_invalid --transform comma.py"
        ),
    },
)
@dlq_command
@with_repair
@click.pass_context
def check(ctx: click.Context, request: DlqRequest, display: Display, repair: Repair) -> None:
    """Run dead letters through the current code and settings; nothing is written.

    With a repair, they are repaired first, and what the repair changes is shown.

    Exit code 0 when all would pass, 1 when any would still fail.
    """
    with reading_progress() as on_progress:
        report = recheck(request, repair, on_progress=on_progress, on_notice=print_notice)
    if display.as_json:
        print_json(_to_dict(report, repair, reveal=display.reveal))
    elif report.total():
        _print(report, repair, reveal=display.reveal)
    note_coverage(request, report.coverage, report.total())
    ctx.exit(ExitCode.DIFFERENCE if report.failing else ExitCode.OK)


def _outcomes(report: RecheckReport) -> Iterator[tuple[str, RecheckKind, str, Outcome]]:
    """Old reason, kind, new reason and outcome, the most frequent first."""
    outcomes = sorted(report.outcomes.items(), key=lambda item: (-item[1].count, item[0]))
    for (reason, kind, new), outcome in outcomes:
        yield reason, kind, new, outcome


def _print(report: RecheckReport, repair: Repair, *, reveal: bool) -> None:
    columns = [
        Column("count", CellKind.NUMBER),
        Column("reason then", CellKind.ID),
        Column("now", CellKind.ID),
        Column("examples", priority=1),
    ]
    rows: list[list[Cell]] = []
    for reason, kind, new, outcome in _outcomes(report):
        now = Text(escaped(f"{kind}: {new}" if new else kind.value), _STYLES.get(kind, "red"))
        examples = ", ".join(sample.position for sample in outcome.samples)
        rows.append([outcome.count, reason, now, examples])
    print_table(columns, rows, aligned=True)
    for sample in _not_tried(report):
        print_line(one_line(sample.detail if reveal else mask(sample.detail)))
    if repair.name:
        _print_changes(report, repair, reveal=reveal)
    print_line(_closing(report), "bold")


def _not_tried(report: RecheckReport) -> Iterator[RecheckSample]:
    """Examples of what could not even be tried."""
    kinds = {RecheckKind.REPAIR_FAILED, RecheckKind.CRASHES, RecheckKind.POINTER}
    for _, kind, _, outcome in _outcomes(report):
        if kind in kinds:
            yield from outcome.samples


def _closing(report: RecheckReport) -> str:
    total, passing = report.total(), report.total(RecheckKind.PASSES)
    text = f"{passing:,} of {total:,} dead letters would pass now"
    if not passing and report.failing:
        return f"{text}: fix the cause, or try a repair (--transform, --set, …)"
    rest = f", {total - passing:,} would not" if passing < total else ""
    plan = ": `track-pipeline dlq redrive` with the same options shows the plan" if passing else ""
    return f"{text}{rest}{plan}"


def _print_changes(report: RecheckReport, repair: Repair, *, reveal: bool) -> None:
    changed = [
        sample
        for _, _, _, outcome in _outcomes(report)
        for sample in outcome.samples
        if sample.after is not None
    ]
    what = f"{report.changed:,} of {report.total():,} dead letters" if changed else "nothing"
    print_line(f"{repair.name} changes {what}", "" if changed else "yellow")
    for sample in changed[:_DIFFS_SHOWN]:
        print_line(f"── {sample.position}", "bold")
        for line in _difference(sample, reveal=reveal):
            print_line(line, {"+": "green", "-": "red"}.get(line[:1], ""))


def _difference(sample: RecheckSample, *, reveal: bool) -> Iterator[str]:
    """Lines of the value that a repair changes, as `diff -u` shows them."""
    before, after = (_lines(value, reveal=reveal) for value in (sample.before, sample.after))
    lines = difflib.unified_diff(before, after, lineterm="", n=1)
    yield from (line for line in lines if not line.startswith(("---", "+++", "@@")))


def _lines(value: bytes | None, *, reveal: bool) -> list[str]:
    shown = (value if reveal else masked_value(value)) or b""
    if type(decode(shown, _DEEPEST)) is not Invalid:
        # Without commas, which come and go with the next member.
        return [line.removesuffix(",") for line in long_json(shown).split("\n")]
    return shown.decode(errors="backslashreplace").splitlines()


def _to_dict(report: RecheckReport, repair: Repair, *, reveal: bool) -> dict[str, Any]:
    return {
        "dead_letters": report.total(),
        "passing": report.total(RecheckKind.PASSES),
        "failing": report.failing,
        "changed": report.changed,
        "repair": repair.name,
        "masked": not reveal,
        "outcomes": [
            {
                "reason": reason,
                "now": kind.value,
                "new_reason": new or None,
                "dead_letters": outcome.count,
                "samples": [_sample_to_dict(each, reveal=reveal) for each in outcome.samples],
            }
            for reason, kind, new, outcome in _outcomes(report)
        ],
    }


def _sample_to_dict(sample: RecheckSample, *, reveal: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"dead_letter": sample.position, "source": sample.source}
    if sample.detail:
        document["detail"] = sample.detail if reveal else mask(sample.detail)
    if sample.after is not None:
        document["changes"] = list(_difference(sample, reveal=reveal))
    return document
