"""A plan as people read it before they agree, and as a document."""

from __future__ import annotations

import json
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.output import output_console
from pipeline.cli.replay.dry_run_view import differences_sentence
from pipeline.cli.replay.file_view import about_files, file_table, plain_survey
from pipeline.core.escape import escaped
from pipeline.core.timestamps import time_text
from pipeline.replay.capture import Outlook, Sample
from pipeline.replay.plan import Part, Plan

_COLUMNS: Final = ("partition", "start", "end", "offsets", "bytes (about)", "first", "last")
_MINUTE: Final = 60
_UNKNOWN: Final = "-"


def print_plan(outlook: Outlook, *, as_json: bool, executed: bool) -> None:
    """On standard output; warnings go to standard error.

    Of one that is executed there is no document: the only one is that of its end.
    """
    if not as_json:
        _print(outlook, executed=executed)
    elif not executed:
        click.echo(escaped(json.dumps(document(outlook), ensure_ascii=False)))
    errors = Console(stderr=True, highlight=False)
    for warning in outlook.warnings:
        errors.print(Text(escaped(f"warning: {warning}"), "yellow"), soft_wrap=True)


def _print(outlook: Outlook, *, executed: bool) -> None:
    plan = outlook.plan
    console = output_console()
    console.print(Text(escaped(f"replay of {plan.source} {_window(outlook)}".rstrip())))
    survey = outlook.survey
    console.print(_partitions(outlook) if survey is None else file_table(survey.archive))
    for line in _lines(outlook):
        console.print(Text(escaped(line)), soft_wrap=True)
    if not executed:
        console.print("nothing was written; --execute does it")


def _partitions(outlook: Outlook) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in {"first", "last"} else "right")
    for part in outlook.plan.parts:
        table.add_row(*map(Text, _cells(outlook, part)))
    return table


def _window(outlook: Outlook) -> str:
    return outlook.plan.window.text()


def _cells(outlook: Outlook, part: Part) -> list[str]:
    sample = outlook.samples[part.partition]
    bytes_ = _bytes(part, sample)
    return [
        str(part.partition),
        f"{part.start:,}",
        f"{part.end:,}",
        f"{part.offsets:,}",
        "" if bytes_ is None else f"{bytes_:,}",
        outlook.empty.get(part.partition, _moment(sample.first)),
        _moment(sample.last),
    ]


def _bytes(part: Part, sample: Sample) -> int | None:
    return None if sample.bytes_each is None else int(sample.bytes_each * part.offsets)


def _moment(time: int | None) -> str:
    """Empty without a record; a dash when its time is unknown."""
    return "" if time is None else time_text(time) or _UNKNOWN


def _lines(outlook: Outlook) -> list[str]:
    plan, new = outlook.plan, {spec.name for spec in outlook.outputs.new}
    survey = outlook.survey
    said = _about_topic(plan) if survey is None else about_files(survey)
    if not plan.filters.is_empty:
        said.append(f"only events with {json.dumps(plan.filters.to_dict(), ensure_ascii=False)}")
    for role, target in plan.outputs.items():
        made = ", which is made with --execute and kept until it is deleted"
        said.append(
            f"{role.value.replace('_', ' ')}: {target.topic}{made if target.topic in new else ''}"
        )
    if outlook.report is not None:
        differences = differences_sentence(outlook.report)
        said.append(f"{differences} {' and '.join(plan.only)} would be written")
    if plan.rate is not None:
        seconds = int(plan.offsets / plan.rate)
        said.append(
            f"at {plan.rate:g} events a second it takes about {seconds // _MINUTE} min "
            f"{seconds % _MINUTE} s"
        )
    return [*said, *outlook.notes]


def _about_topic(plan: Plan) -> list[str]:
    workers = "one worker" if plan.slots == 1 else f"{plan.slots} workers"
    said = [f"{plan.offsets:,} offsets in {len(plan.parts)} partitions, {workers}"]
    if plan.slack_ms:
        said.append(
            f"records up to {plan.slack_ms / 1000:,.0f} s late are looked for behind the end; each "
            "record's own time decides"
        )
    said.append("bytes are estimated from a sample of each partition's first and last records")
    return said


def document(outlook: Outlook) -> dict[str, Any]:
    """As JSON values."""
    plan, new = outlook.plan, {spec.name for spec in outlook.outputs.new}
    topics = outlook.outputs.existing
    return {
        **plan.plain(),
        "offsets": plan.offsets,
        "estimated_s": None if plan.rate is None else plan.offsets / plan.rate,
        "partitions": [_partition(outlook, part) for part in plan.parts if not plan.archive],
        "archive": None if outlook.survey is None else plain_survey(outlook.survey),
        "output_topics": [
            {
                "topic": target.topic,
                "is_new": target.topic in new,
                "retention_ms": "-1"
                if target.topic in new
                else topics[target.topic].config.get("retention.ms"),
            }
            for target in plan.outputs.values()
        ],
        "comparison": None if outlook.report is None else outlook.report.to_dict(),
        "warnings": list(outlook.warnings),
        "notes": list(outlook.notes),
    }


def _partition(outlook: Outlook, part: Part) -> dict[str, Any]:
    sample = outlook.samples[part.partition]
    return {
        "partition": part.partition,
        "start": part.start,
        "end": part.end,
        "offsets": part.offsets,
        "bytes_estimated": _bytes(part, sample),
        "first": time_text(sample.first),
        "last": time_text(sample.last),
        "empty_because": outlook.empty.get(part.partition),
    }
