"""A plan as people read it before they agree, and as a document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pipeline.cli.formats import about
from pipeline.cli.output import print_json, print_line, print_table, print_warning
from pipeline.cli.replay.dry_run_view import differences_sentence
from pipeline.cli.replay.file_view import about_files, print_files, scan_document
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.core.timestamps import time_text
from pipeline.replay.capture import CaptureSample, PlanPreview
from pipeline.replay.plan import Part, ReplayPlan

_BYTES: Final = "bytes (about)"
_COLUMNS: Final = (
    Column("partition", CellKind.ID),
    Column("start", CellKind.NUMBER),
    Column("end", CellKind.NUMBER),
    Column("offsets", CellKind.NUMBER),
    Column(_BYTES, CellKind.NUMBER, priority=2),
    Column("first", CellKind.TIME),
    Column("last", CellKind.TIME, priority=1),
)


def print_plan(preview: PlanPreview, *, as_json: bool, executed: bool) -> None:
    """Print a plan on standard output; warnings go to standard error.

    Of one that is executed there is no document: the only one is that of its end.
    """
    if not as_json:
        _print(preview, executed=executed)
    elif not executed:
        print_json(document(preview))
    for warning in preview.warnings:
        print_warning(warning)


def _print(preview: PlanPreview, *, executed: bool) -> None:
    plan, scan = preview.plan, preview.scan
    print_line(f"replay of {plan.source} {plan.window.text()}".rstrip())
    if scan is None:
        left_out = print_table(_COLUMNS, [_row(preview, part) for part in plan.parts])
        facts = _about_topic(plan, has_bytes=_BYTES not in left_out)
    else:
        print_files(scan.archive)
        facts = about_files(scan)
    for line in (*facts, *_lines(preview)):
        print_line(line)
    if not executed:
        print_line("nothing was written; --execute does it")


def _row(preview: PlanPreview, part: Part) -> tuple[Cell, ...]:
    sample = preview.samples[part.partition]
    times = (sample.first, sample.last)
    bytes_ = _bytes(part, sample)
    return part.partition, part.start, part.end, part.offsets, bytes_, *times


def _bytes(part: Part, sample: CaptureSample) -> int | None:
    return None if sample.bytes_each is None else int(sample.bytes_each * part.offsets)


def _lines(preview: PlanPreview) -> list[str]:
    plan, new = preview.plan, {spec.name for spec in preview.outputs.new}
    said = []
    if not plan.filters.is_empty:
        said.append(f"only events with {json.dumps(plan.filters.to_dict(), ensure_ascii=False)}")
    for role, target in plan.outputs.items():
        made = " (a new topic, kept until you delete it)" if target.topic in new else ""
        said.append(f"{role.value.replace('_', ' ')}: {target.topic}{made}")
    if preview.report is not None:
        said += [differences_sentence(preview.report), _corrections(preview.corrections)]
    if plan.rate is not None:
        took = about(plan.offsets / plan.rate)
        said.append(f"at {plan.rate:g} events per second it takes about {took}")
    for partition, why in preview.empty.items():
        said.append(f"partition {partition} is empty: {why}")
    return [*said, *preview.notes]


def _corrections(corrections: Mapping[str, int]) -> str:
    by_kind = ", ".join(f"{number:,} {kind}" for kind, number in corrections.items())
    return (
        f"{sum(corrections.values()):,} enriched events would be written ({by_kind}), with the "
        "identify messages that belong to them"
    )


def _about_topic(plan: ReplayPlan, *, has_bytes: bool) -> list[str]:
    workers = "one worker" if plan.slots == 1 else f"{plan.slots} workers"
    said = [f"{plan.offsets:,} offsets in {len(plan.parts)} partitions, {workers}"]
    if plan.slack_ms:
        said.append(
            f"records up to {plan.slack_ms / 1000:,.0f} s late are looked for behind the end; each "
            "record's own time decides"
        )
    if has_bytes:
        said.append("bytes are estimated from a sample of each partition's first and last records")
    return said


def document(preview: PlanPreview) -> dict[str, Any]:
    """Return the plan as JSON values."""
    plan, new = preview.plan, {spec.name for spec in preview.outputs.new}
    topics = preview.outputs.existing
    return {
        **plan.to_dict(),
        "offsets": plan.offsets,
        "estimated_s": None if plan.rate is None else plan.offsets / plan.rate,
        "partitions": [_partition(preview, part) for part in plan.parts if not plan.archive],
        "archive": None if preview.scan is None else scan_document(preview.scan),
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
        "would_write": None if preview.report is None else dict(preview.corrections),
        "comparison": None if preview.report is None else preview.report.to_dict(),
        "warnings": list(preview.warnings),
        "notes": list(preview.notes),
    }


def _partition(preview: PlanPreview, part: Part) -> dict[str, Any]:
    sample = preview.samples[part.partition]
    return {
        "partition": part.partition,
        "start": part.start,
        "end": part.end,
        "offsets": part.offsets,
        "bytes_estimated": _bytes(part, sample),
        "first": time_text(sample.first),
        "last": time_text(sample.last),
        "empty_because": preview.empty.get(part.partition),
    }
