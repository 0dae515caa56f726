"""`track-pipeline demo`: a real Kafka, the real worker, a few thousand events, in a minute."""

from __future__ import annotations

import json
from typing import Final

import click

from pipeline.cli.explain import print_explanation
from pipeline.cli.output import print_heading, print_line, print_table
from pipeline.cli.progress import shown_progress
from pipeline.cli.tables import CellKind, Column
from pipeline.core.reasons import Reason
from pipeline.demo.check import OutcomeCheck
from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.demo.run import TIMEOUT_S, DemoResult, run_demo
from pipeline.errors import ExitCode
from pipeline.settings.model import load_settings
from pipeline.worker.signals import stop_on_signals

_REASONS: Final = (
    Column("reason", CellKind.ID),
    Column("count", CellKind.NUMBER),
    Column("meaning", least=20),
    Column("example", least=20, priority=1),
)


@click.command()
@click.option(
    "--records",
    type=click.IntRange(100),
    default=3000,
    show_default=True,
    help="Number of raw records to generate.",
)
@click.option(
    "--keep",
    is_flag=True,
    help="Leave the broker running at the end, print its address, and wait for Ctrl-C.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=None,
    help="Port of the broker on 127.0.0.1; a free one by default.",
)
@click.pass_context
def demo(ctx: click.Context, records: int, port: int | None, *, keep: bool) -> None:
    """Run the whole pipeline on a temporary local Kafka, with sample events.

    Everything is removed at the end. The exit code is 1 when input and output do not add up.
    """
    with LocalKafka(port=port, on_progress=_print_step) as kafka:
        servers = kafka.bootstrap_servers
        settings = load_settings(None, {"kafka.bootstrap.servers": servers}, {})
        with shown_progress() as on_progress:
            result = run_demo(settings, records, _print_step, on_progress)
        _print_result(result)
        if keep:
            _keep(servers)
        else:
            _print_next_steps()
    if keep:
        print_line("the broker was stopped and removed")
    if not result.findings.adds_up:
        ctx.exit(ExitCode.DIFFERENCE)


def _print_step(text: str) -> None:
    print_line(f"· {text}", "dim")


def _print_result(result: DemoResult) -> None:
    print_heading("three enriched events, and what was changed")
    for explanation in result.examples:
        print_explanation(explanation, with_records=False)
    findings = result.findings
    print_heading("dead letters by reason")
    rows = (
        (reason, count, Reason(reason).meaning, _example(findings, reason))
        for reason, count in findings.dead_letters.most_common()
    )
    print_table(_REASONS, rows, aligned=True)
    print_heading("does it add up?")
    sign = "=" if findings.adds_up else "≠"
    print_line(
        f"{findings.events:,} events {sign} {findings.enriched:,} enriched + "
        f"{findings.dead_letters.total():,} dead letters; "
        f"{findings.missing:,} missing, {findings.duplicated:,} duplicated"
    )


def _example(findings: OutcomeCheck, reason: str) -> str:
    source, details = findings.examples[reason]
    first = json.loads(details)[0]
    where = f"{source} {first['pointer']}".rstrip()
    return f"{where}: {first['detail']}"


def _keep(servers: str) -> None:
    """Leave the broker running until Ctrl-C."""
    stop = stop_on_signals(TIMEOUT_S)  # before anybody reads that Ctrl-C stops it
    print_heading("the broker keeps running")
    print_line(f"Kafka listens on {servers}; Ctrl-C stops and removes it. Try elsewhere:")
    print_line(f"  export TRACK_KAFKA_BOOTSTRAP_SERVERS={servers}")
    print_line("  track-pipeline generate --count 10000 --topic track.raw")
    print_line("  track-pipeline run")
    print_line("  track-pipeline dlq summary")
    stop.wait()


def _print_next_steps() -> None:
    print_heading("what to try next")
    print_line("  track-pipeline demo --keep      leaves the broker running, to try every command")
    print_line("  track-pipeline generate --count 5 | track-pipeline transform    without Kafka")
    print_line("  track-pipeline explain FILE     what each rule does to an event of yours")
    print_line('  README.md, "Your own Kafka"     run it for real')
