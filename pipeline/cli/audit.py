"""`track-pipeline audit`: does every raw event have exactly its outcome?"""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from pipeline.cli.audit_view import print_result
from pipeline.cli.options import PIPELINE_FLAGS, Moment, with_settings
from pipeline.cli.progress import shown_progress
from pipeline.core.escape import escaped
from pipeline.core.time_window import ALL_TIME, FORMS, Window
from pipeline.errors import ExitCode, RefusedError
from pipeline.progress import OnProgress
from pipeline.reconcile.audit import USUAL, AuditOptions, AuditResult
from pipeline.reconcile.audit.capture import capture, notes, target_of
from pipeline.reconcile.audit.run import audit as audit_topics
from pipeline.settings.model import Settings
from pipeline.topics import missing, require_permission
from pipeline.wiring import (
    WallClock,
    admin,
    create_command,
    make_processor,
    range_reader,
    topic_names,
)
from pipeline.worker.memory_tuning import tune_memory


@click.command()
@with_settings(*PIPELINE_FLAGS, needs_kafka=True)
@click.option(
    "--from",
    "start",
    type=Moment("earliest"),
    default="earliest",
    metavar="TIME",
    show_default=True,
    help=f"Only raw records with this Kafka timestamp or a later one: {FORMS}.",
)
@click.option(
    "--to",
    "end",
    type=Moment("latest"),
    default="latest",
    metavar="TIME",
    show_default=True,
    help="Only raw records with an earlier Kafka timestamp than this.",
)
@click.option("--money", is_flag=True, help="Also add up the revenue by day and currency.")
@click.option(
    "--show",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="How many offences of each kind to name.",
)
@click.option(
    "--spill-dir",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    default=None,
    metavar="DIR",
    help="Folder of the temporary file, about 80 bytes for each output.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_context
def audit(  # noqa: PLR0913  one for each option
    ctx: click.Context,
    settings: Settings,
    *,
    start: int | None,
    end: int | None,
    show: int,
    spill_dir: Path | None,
    money: bool,
    as_json: bool,
) -> None:
    """Check that every raw event has exactly its outcome in the output topics.

    Reads the topics as they are now and changes nothing; workers may run meanwhile. Everything
    below the group's committed offsets is processed again with the settings given here, which must
    be those of the worker.

    Exit code 0 when all adds up, 1 when anything is lost, doubled, invented, different or out of
    order, or when money is missing.
    """
    if start is not None and end is not None and start >= end:
        raise click.UsageError("--from must be earlier than --to")
    tune_memory()
    with shown_progress(Console(stderr=True)) as on_progress:
        options = AuditOptions(money=money, show=show, spill_dir=spill_dir)
        result = run_audit(settings, Window(start, end), options, on_progress)
    if as_json:
        click.echo(escaped(json.dumps(result.plain(), ensure_ascii=False)))
    else:
        print_result(result)
    ctx.exit(ExitCode.OK if result.ok else ExitCode.DIFFERENCE)


def run_audit(
    settings: Settings,
    window: Window = ALL_TIME,
    options: AuditOptions = USUAL,
    on_progress: OnProgress | None = None,
) -> AuditResult:
    """Audit the topics that the settings name, as far as the group has committed.

    Raises SettingsError when the group has committed nothing, RefusedError when a topic is
    missing, DataLossError when the committed offsets do not fit the raw topic, and TransportError
    when Kafka does not answer.
    """
    cluster, names = admin(settings), topic_names(settings)
    cluster.wait_until_reachable()
    facts = cluster.topics(names)
    absent = missing(names, settings, facts)
    if absent:
        raise RefusedError(
            f"topics do not exist: {', '.join(absent)}; are the names right? "
            f"Otherwise create them: {create_command(settings)}"
        )
    needed = (names.raw, *names.outputs(settings).values())
    require_permission([facts[name] for name in needed], "READ")
    plan = capture(settings, cluster, names, facts, window)
    result = audit_topics(
        range_reader(settings),
        plan,
        make_processor(settings, group=settings.group),
        target_of(plan, facts),
        accept_origin=settings.accept_origin_headers,
        now=WallClock().now(),
        options=options,
        on_progress=on_progress,
    )
    result.notes += notes(plan)
    return result
