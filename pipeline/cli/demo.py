"""`track-pipeline demo`: a real Kafka, the real worker, a few thousand events, in a minute."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from pipeline.cli.explain import print_explanation
from pipeline.core.escape import one_line
from pipeline.core.reasons import Reason
from pipeline.core.record import Role
from pipeline.demo.check import Findings, examine, telling
from pipeline.demo.generate import DEFAULT_INTERVAL_MS, Generator
from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import ExitCode, TransportError
from pipeline.files.explain import explain
from pipeline.kafka import Publisher, read_committed
from pipeline.settings.model import Settings, load_settings
from pipeline.topics import CreateOptions, specs
from pipeline.wiring import WallClock, admin, make_processor, topic_names
from pipeline.worker.signals import stop_on_signals

_PARTITIONS: Final = 4
_SEED: Final = 2026
_INVALID_SHARE: Final = 0.04
_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.1
_LOOKED_AT: Final = 1000


@click.command()
@click.option(
    "--records",
    type=click.IntRange(100),
    default=3000,
    show_default=True,
    help="Raw records to generate.",
)
@click.option(
    "--keep",
    is_flag=True,
    help="Leave the broker up at the end, print its address, and wait for Ctrl-C.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=None,
    help="Port of the broker on 127.0.0.1; a free one when not given.",
)
@click.pass_context
def demo(ctx: click.Context, records: int, port: int | None, *, keep: bool) -> None:
    """Start a real Kafka on this machine, run the worker on sample events, show what it did.

    Everything is removed at the end. Exit code 1 when input and output do not add up.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    with LocalKafka(
        port=port, on_progress=lambda text: console.print(f"[dim]·[/] {text}")
    ) as kafka:
        settings = load_settings(
            None,
            {"kafka.bootstrap.servers": kafka.bootstrap_servers, "instance_id": "demo"},
            {},
        )
        findings = _run(console, settings, records)
        if keep:
            _keep(console, kafka.bootstrap_servers)
        else:
            _next_steps(console)
    if not findings.adds_up:
        ctx.exit(ExitCode.DIFFERENCE)


def _run(console: Console, settings: Settings, records: int) -> Findings:
    cluster, names = admin(settings), topic_names(settings)
    cluster.wait_until_reachable()
    plan = specs(names, CreateOptions(_PARTITIONS, 1, None, 30.0), None)
    cluster.create(plan)
    console.print(f"[dim]·[/] created topics {', '.join(topic.name for topic in plan)}")
    written = 0
    start = WallClock().now() - int(records * DEFAULT_INTERVAL_MS)
    generator = Generator(_SEED, invalid_share=_INVALID_SHARE, start=start)
    with Publisher(settings.kafka) as publisher:
        for event in islice(generator, records):
            publisher.send(names.raw, event.value, event.key, event.timestamp)
            written += event.events
    console.print(f"[dim]·[/] wrote {records} raw records to {names.raw}, {written} events")
    with _worker(settings) as (process, log):
        _watch(console, settings, process, log)
    enriched = read_committed(settings.kafka, names.enriched, _TIMEOUT_S)
    letters = read_committed(settings.kafka, names.dead_letter, _TIMEOUT_S)
    findings = examine(written, enriched, letters)
    _show(console, settings, findings)
    return findings


@contextlib.contextmanager
def _worker(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The worker as its own process, as it runs in production; stopped by SIGTERM at the end."""
    # None of the user's own settings: the demo's pipeline is one of its own.
    environment = {name: text for name, text in os.environ.items() if name[:6] != "TRACK_"}
    environment["TRACK_INSTANCE_ID"] = "demo"
    environment["TRACK_KAFKA_BOOTSTRAP_SERVERS"] = str(settings.kafka["bootstrap.servers"])
    with tempfile.TemporaryDirectory(prefix="track-pipeline-demo-") as folder:
        log = Path(folder) / "worker.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", "run"],
                env=environment,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is ours; the worker is stopped in order
            )
            try:
                yield process, log
                _stop(process, log)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()


def _stop(process: subprocess.Popen[bytes], log: Path) -> None:
    process.send_signal(signal.SIGTERM)
    if process.wait(_TIMEOUT_S) != 0:
        raise TransportError(f"the worker failed; its log ends:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-5:])


def _watch(
    console: Console, settings: Settings, process: subprocess.Popen[bytes], log: Path
) -> None:
    """Show the worker's progress until it has committed everything."""
    cluster, raw = admin(settings), settings.topics.raw
    columns = (TextColumn("  worker"), BarColumn(), MofNCompleteColumn(), TextColumn("records"))
    deadline = time.monotonic() + _TIMEOUT_S
    started = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("worker")
        while True:
            progress = cluster.progress(settings.group, raw)
            bar.update(task, total=progress.total, completed=progress.committed)
            if progress.committed >= progress.total:
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise TransportError(f"the worker does not advance; its log ends:\n{_end_of(log)}")
            time.sleep(_POLL_S)
    seconds = time.monotonic() - started
    console.print(f"[dim]·[/] the worker took {seconds:.1f} s, its own start included")


def _show(console: Console, settings: Settings, findings: Findings) -> None:
    processor = make_processor(settings, group=settings.group)
    raw = islice(read_committed(settings.kafka, settings.topics.raw, _TIMEOUT_S), _LOOKED_AT)
    explained = (
        each for record in raw for each in explain(processor, record, record.timestamp or 1)
    )
    console.rule("three enriched events, and what was changed")
    for explanation in telling(each for each in explained if each.outcome == Role.ENRICHED):
        print_explanation(console, explanation, with_records=False)
    console.rule("dead letters by reason")
    table = Table("reason", "count", "meaning", "example", box=None)
    for reason, count in findings.dead_letters.most_common():
        source, details = findings.examples[reason]
        first = json.loads(details)[0]
        where = f"{source} {first['pointer']}".rstrip()
        example = one_line(f"{where}: {first['detail']}")
        table.add_row(reason, str(count), Reason(reason).meaning, Text(example))
    console.print(table)
    console.rule("does it add up?")
    letters = findings.dead_letters.total()
    sign = "=" if findings.adds_up else "≠"
    console.print(
        f"{findings.events} events {sign} {findings.enriched} enriched + {letters} dead letters; "
        f"lost {findings.lost}, doubled {findings.doubled}"
    )


def _keep(console: Console, servers: str) -> None:
    """Leave the broker up until Ctrl-C."""
    console.rule("the broker stays")
    console.print(f"Kafka listens on [bold]{servers}[/]; Ctrl-C stops and removes it. Try:")
    console.print(f"  export TRACK_KAFKA_BOOTSTRAP_SERVERS={servers}")
    console.print("  track-pipeline generate --count 10000 --topic track.raw")
    console.print("  track-pipeline run")
    console.print("  track-pipeline check")
    stop = stop_on_signals(_TIMEOUT_S)
    stop.wait()


def _next_steps(console: Console) -> None:
    console.rule("what to try next")
    console.print(
        "  track-pipeline demo --keep        leaves the broker up, to try every command on it"
    )
    console.print(
        "  track-pipeline generate --count 5 | track-pipeline transform -    without Kafka"
    )
    console.print("  track-pipeline explain FILE       what each rule does to one event of yours")
    console.print('  README.md, "Your own Kafka"      run it for real')
