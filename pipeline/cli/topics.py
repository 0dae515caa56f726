"""`track-pipeline topics create` and `topics fix`: each shows a plan, then acts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import click
from click.core import ParameterSource

from pipeline.cli.help import Command
from pipeline.cli.options import Number, with_settings
from pipeline.cli.output import print_notice, print_warning
from pipeline.cli.topics_view import print_plan
from pipeline.errors import RefusedError
from pipeline.kafka.topic_alterations import TopicAlterations
from pipeline.ports import TopicFacts, TopicSpec
from pipeline.preflight import create_command
from pipeline.settings.model import Settings
from pipeline.topic_changes import PARTITIONS, Difference, alterable, altered, differences
from pipeline.topics import (
    LEDGER_SUFFIX,
    CreateOptions,
    ledger_spec,
    missing,
    problems,
    require_permission,
    specs,
    warnings,
)
from pipeline.wiring import admin, topic_names

_LONGEST_DAYS: Final = 100_000_000_000
"""Largest number of days whose milliseconds Kafka can hold."""
_TOPIC_FLAGS: Final = (
    "--bootstrap-servers",
    "--raw-topic",
    "--enriched-topic",
    "--dead-letter-topic",
    "--identify-topic",
    "--other-topic",
)
_WHICH: Final = (*_TOPIC_FLAGS, "--ledger")
_HOW: Final = (
    "--partitions",
    "--replication-factor",
    "--retention-days",
    "--dead-letter-retention-days",
)


@click.group()
def topics() -> None:
    """Create the pipeline's topics, or fix existing ones."""


def _plan_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that describe the planned topics."""
    for option in reversed((_REPLICATION, _RETENTION, _DEAD_LETTER_RETENTION, _LEDGER, _JSON)):
        function = option(function)
    return function


_REPLICATION: Final = click.option(
    "--replication-factor",
    type=click.IntRange(-1),
    default=-1,
    show_default=True,
    help="Copies of each partition; -1 is the broker's default.",
)
_RETENTION: Final = click.option(
    "--retention-days",
    type=Number(-1, _LONGEST_DAYS),
    help="Of all topics but the dead-letter topic; -1 is forever. By default the broker decides.",
)
_DEAD_LETTER_RETENTION: Final = click.option(
    "--dead-letter-retention-days",
    type=Number(-1, _LONGEST_DAYS),
    default=30.0,
    show_default=True,
    help="Of dead letters: longer, so that there is time to repair them. -1 is forever.",
)
_LEDGER: Final = click.option(
    "--ledger",
    is_flag=True,
    help="Also the ledger topic, where dlq redrive, discard and restore record what was done.",
)
_JSON: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print the plan as JSON on standard output."
)


@topics.command(
    cls=Command,
    groups={"Which topics": _WHICH, "What they are like": _HOW, "Plan": ("--dry-run", "--json")},
    examples={
        "See what would be created": (
            "track-pipeline topics create --bootstrap-servers localhost:9092 --dry-run"
        ),
        "For production": (
            "track-pipeline topics create --bootstrap-servers kafka-1:9092 \\\n"
            "  --partitions 24 --replication-factor 3 --retention-days 7 --ledger"
        ),
    },
)
@with_settings(*_TOPIC_FLAGS, needs_kafka=True)
@click.option(
    "--partitions",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Of every topic; as many as the raw topic has, if that exists.",
)
@_plan_options
@click.option("--dry-run", is_flag=True, help="Show the plan and create nothing.")
@click.pass_context
def create(
    ctx: click.Context,
    /,
    *,
    settings: Settings,
    dry_run: bool,
    as_json: bool,
    **planned: Any,  # noqa: ANN401  what the topics should be like
) -> None:
    """Create the topics raw, enriched, dead-letter and identify.

    The topic for other calls is created when on_other_type is forward.

    Topics that exist are left as they are. What they really are like is shown, and where that
    differs from the plan; `topics fix` alters them.

    The exit code is 0 even when there is nothing to create, and 5 when Kafka rejects the request.
    """
    facts = _facts(settings, ledger=planned["ledger"])
    raw = facts.get(settings.topics.raw)
    plan = _plan(settings, facts, raw, **planned)
    print_plan(plan, facts, alters=False, as_json=as_json)
    new = [spec for spec in plan if spec.name not in facts]
    if new and not dry_run:
        admin(settings).create(new)
    _report(len(new), len(plan) - len(new), dry_run=dry_run)
    asked = planned["partitions"]
    is_asked = ctx.get_parameter_source("partitions") is ParameterSource.COMMANDLINE
    if raw is not None and is_asked and asked != raw.partitions:
        print_notice(
            f"--partitions {asked} is not used: {raw.name} exists and has {raw.partitions}"
        )
    if any(spec.name in facts and differences(spec, facts[spec.name]) for spec in plan):
        print_notice("see what can be altered about existing topics: track-pipeline topics fix")
    _warn(settings, facts)


def _report(created: int, existed: int, *, dry_run: bool) -> None:
    already = f"; {existed} existed already" if existed else ""
    if not created:
        print_notice(f"nothing to do: all {existed} topics exist")
    elif dry_run:
        print_notice(f"would create {_topics(created)}{already}")
    else:
        print_notice(f"created {_topics(created)}{already}")


@topics.command(
    cls=Command,
    groups={"Which topics": _WHICH, "What they are like": _HOW, "Plan": ("--execute", "--json")},
    examples={
        "See what would be altered": (
            "track-pipeline topics fix --bootstrap-servers localhost:9092"
        ),
        "Give every topic 24 partitions": (
            "track-pipeline topics fix --bootstrap-servers localhost:9092 \\\n"
            "  --partitions 24 --execute"
        ),
    },
)
@with_settings(*_TOPIC_FLAGS, needs_kafka=True)
@click.option(
    "--partitions",
    type=click.IntRange(1),
    default=None,
    help="Of every topic; as many as the raw topic has by default.",
)
@_plan_options
@click.option("--execute", is_flag=True, help="Alter the topics; else only the plan is shown.")
def fix(
    settings: Settings,
    *,
    execute: bool,
    as_json: bool,
    **planned: Any,  # noqa: ANN401  as above
) -> None:
    """Alter existing topics so that they are what `topics create` would make.

    Altered are retention (never shortened), cleanup.policy, limits of size and time,
    min.insync.replicas when it exceeds the replicas, and partitions (more of them only). For
    anything else the plan says what to do.
    """
    facts = _facts(settings, ledger=planned["ledger"])
    if not facts:
        raise RefusedError(f"no topic exists yet; create them: {create_command(settings)}")
    raw, asked = facts.get(settings.topics.raw), planned.pop("partitions")
    if raw is not None and asked is not None:
        raw = raw._replace(partitions=asked)
    partitions = asked or next(iter(facts.values())).partitions
    plan = _plan(settings, facts, raw, partitions=partitions, **planned)
    # Once more: the ledger has to keep its records as long as the dead letters will be kept.
    plan = _plan(settings, _after(plan, facts), raw, partitions=partitions, **planned)
    existing = [spec for spec in plan if spec.name in facts]
    print_plan(existing, facts, alters=True, as_json=as_json)
    found = [each for spec in existing for each in differences(spec, facts[spec.name])]
    changes = alterable(found)
    if execute:
        _alter(settings, changes)
    _report_changes(changes, len(found) - len(changes), execute=execute)
    _warn(settings, _after(existing, facts))


def _after(plan: Iterable[TopicSpec], facts: Mapping[str, TopicFacts]) -> dict[str, TopicFacts]:
    """Predict the topics after everything that can be altered is altered."""
    return dict(facts) | {
        spec.name: altered(topic, alterable(differences(spec, topic)))
        for spec in plan
        if (topic := facts.get(spec.name)) is not None
    }


def _report_changes(changes: list[Difference], others: int, *, execute: bool) -> None:
    number = len({each.topic for each in changes})
    settings = f"{len(changes)} setting{'' if len(changes) == 1 else 's'} of {_topics(number)}"
    rest = f"; {others} can't be altered here" if others else ""
    if not changes:
        print_notice(f"nothing to alter{rest}")
    elif execute:
        print_notice(f"altered {settings}{rest}")
    else:
        print_notice(f"would alter {settings}{rest}; nothing was changed: --execute does it")


def _alter(settings: Settings, changes: list[Difference]) -> None:
    alterations = TopicAlterations(settings.kafka, settings.startup_timeout_s)
    config: dict[str, dict[str, str]] = {}
    for change in changes:
        if change.setting != PARTITIONS:
            config.setdefault(change.topic, {})[change.setting] = change.planned
    for topic, values in config.items():
        alterations.set_config(topic, values)
    growing = [change for change in changes if change.setting == PARTITIONS]
    # The raw topic last: a worker that sees its new partitions finds them in the outputs.
    for change in sorted(growing, key=lambda each: each.topic == settings.topics.raw):
        alterations.add_partitions(change.topic, int(change.planned))


def _facts(settings: Settings, *, ledger: bool) -> dict[str, TopicFacts]:
    """Look up those of the topics that exist."""
    cluster, names = admin(settings), topic_names(settings)
    cluster.wait_until_reachable()
    wanted = [name for name in names if name != names.other or _forwards(settings)]
    facts = cluster.topics([*wanted, *([names.dead_letter + LEDGER_SUFFIX] if ledger else [])])
    require_permission(facts.values(), "DESCRIBE")
    return facts


def _forwards(settings: Settings) -> bool:
    """Whether the topic for other calls is needed."""
    return settings.on_other_type == "forward"


def _plan(  # noqa: PLR0913  one for each option
    settings: Settings,
    facts: Mapping[str, TopicFacts],
    raw: TopicFacts | None,
    *,
    partitions: int,
    replication_factor: int,
    retention_days: float | None,
    dead_letter_retention_days: float,
    ledger: bool,
) -> list[TopicSpec]:
    """Plan the topics; an existing `raw` topic decides their number of partitions."""
    names = topic_names(settings)
    options = CreateOptions(
        partitions, replication_factor, retention_days, dead_letter_retention_days
    )
    plan = specs(names, options, raw, with_other=_forwards(settings))
    if ledger:
        plan.append(ledger_spec(names, options, facts.get(names.dead_letter)))
    return plan


def _warn(settings: Settings, facts: Mapping[str, TopicFacts]) -> None:
    """Print what keeps the worker from working well, unless topics are still missing."""
    names = topic_names(settings)
    if not missing(names, settings, facts):
        for problem in problems(names, settings, facts) + warnings(names, settings, facts):
            print_warning(problem)


def _topics(number: int) -> str:
    return f"{number} topic{'' if number == 1 else 's'}"
