"""`track-pipeline topics create`: the topics of a pipeline; shows a plan, then acts."""

from __future__ import annotations

import json
from typing import Final

import click
from rich.table import Table

from pipeline.cli.options import Number, with_settings
from pipeline.cli.output import output_console
from pipeline.core.escape import escaped
from pipeline.ports import TopicFacts, TopicSpec
from pipeline.settings.model import Settings
from pipeline.topics import (
    LEDGER_SUFFIX,
    CreateOptions,
    TopicNames,
    ledger_spec,
    missing,
    problems,
    refuse_forbidden,
    specs,
    warnings,
)
from pipeline.wiring import admin, topic_names

_LONGEST_DAYS: Final = 100_000_000_000
"""Of more, Kafka could not hold the milliseconds."""
_TOPIC_FLAGS = (
    "--bootstrap-servers",
    "--raw-topic",
    "--enriched-topic",
    "--dead-letter-topic",
    "--identify-topic",
)


@click.group()
def topics() -> None:
    """Create the pipeline's topics."""


@topics.command()
@with_settings(*_TOPIC_FLAGS, needs_kafka=True)
@click.option(
    "--partitions",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Of every topic; an existing raw topic decides instead.",
)
@click.option(
    "--replication-factor",
    type=click.IntRange(-1),
    default=-1,
    show_default=True,
    help="Copies of each partition; -1 is the broker's default.",
)
@click.option(
    "--retention-days",
    type=Number(-1, _LONGEST_DAYS),
    default=None,
    help="Of raw, enriched and identify; the broker's default when not given, -1 is for ever.",
)
@click.option(
    "--dead-letter-retention-days",
    type=Number(-1, _LONGEST_DAYS),
    default=30.0,
    show_default=True,
    help="Of dead letters, longer than the rest: somebody has to repair them. -1 is for ever.",
)
@click.option(
    "--ledger",
    is_flag=True,
    help="Also the ledger in which dlq redrive and dlq discard note what was done.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan only.")
@click.option("--json", "as_json", is_flag=True, help="The plan as JSON on standard output.")
def create(  # noqa: PLR0913  one for each option
    settings: Settings,
    partitions: int,
    replication_factor: int,
    retention_days: float | None,
    dead_letter_retention_days: float,
    *,
    ledger: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Create raw, enriched, dead-letter and identify; what exists is left as it is.

    Exit code 0 also when nothing was left to do; 5 when Kafka refuses.
    """
    cluster, names = admin(settings), topic_names(settings)
    cluster.wait_until_reachable()
    facts = cluster.topics([*names, *([names.dead_letter + LEDGER_SUFFIX] if ledger else [])])
    refuse_forbidden(facts.values(), "DESCRIBE")
    options = CreateOptions(
        partitions, replication_factor, retention_days, dead_letter_retention_days
    )
    plan = specs(names, options, facts.get(names.raw))
    if ledger:
        plan.append(ledger_spec(names, options, facts.get(names.dead_letter)))
    _show(plan, facts, as_json=as_json)
    new = [topic for topic in plan if topic.name not in facts]
    if new and not dry_run:
        created = cluster.create(new)
        click.echo(f"created {len(created)} of {len(plan)} topics", err=True)
    elif not new:
        click.echo("nothing to do: all topics exist", err=True)
    _warn(names, settings, facts)


def _show(plan: list[TopicSpec], facts: dict[str, TopicFacts], *, as_json: bool) -> None:
    if as_json:
        rows = [{"action": _action(topic, facts), **topic._asdict()} for topic in plan]
        click.echo(json.dumps(rows, default=dict))
        return
    table = Table("action", "topic", "partitions", "replication", "settings", box=None)
    for topic in plan:
        shown = "\n".join(f"{name}={value}" for name, value in sorted(topic.config.items()))
        replication = "default" if topic.replication < 0 else str(topic.replication)
        table.add_row(_action(topic, facts), topic.name, str(topic.partitions), replication, shown)
    output_console().print(table)


def _action(topic: TopicSpec, facts: dict[str, TopicFacts]) -> str:
    return "keep" if topic.name in facts else "create"


def _warn(names: TopicNames, settings: Settings, facts: dict[str, TopicFacts]) -> None:
    """Say what is wrong with topics that existed before; they are never changed."""
    if not missing(names, settings, facts):
        for problem in problems(names, settings, facts) + warnings(names, settings, facts):
            click.echo(escaped(f"warning: {problem}"), err=True)
