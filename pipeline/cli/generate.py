"""`track-pipeline generate`: realistic events from a seed, as lines or straight to a topic."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import IO, Any, Final

import click

from pipeline.cli.help import Command
from pipeline.cli.options import (
    BOOTSTRAP_SERVERS,
    RATE,
    SHARE,
    config_file,
    overwrite_option,
    require_kafka,
    with_settings,
)
from pipeline.cli.output import print_notice
from pipeline.cli.progress import shown_progress
from pipeline.cli.streams import STANDARD_OUTPUT, ReaderGoneError
from pipeline.core.escape import one_line
from pipeline.core.timestamps import EPOCH
from pipeline.demo.generate import DEFAULT_INTERVAL_MS, NOT_IN_LINES, START, Generated, Generator
from pipeline.demo.generate.writing import Pace, WriteCounts, write_records
from pipeline.errors import ExitCode, RefusedError, SettingsError
from pipeline.files.lines import printable
from pipeline.files.outputs import FileOutput, opened_output
from pipeline.progress import OnProgress
from pipeline.settings.model import Settings
from pipeline.topic_roles import RAW, is_replay_output, require_no_role

_STDOUT: Final = "-"
_LONGEST_SPAN_MS: Final = 3_600_000
"""Longest time before now at which records of a topic begin, so that retention keeps them."""
_MOST: Final = 10**15
_SHOWN_FROM: Final = 20_000
"""Number of records from which a progress bar is shown; fewer are written at once."""
_GROUPS: Final = {
    "Where to": ("--output", "--overwrite", "--topic", "--rate", "--bootstrap-servers"),
    "How many events, and which": (
        "--count",
        "--seed",
        "--invalid-share",
        "--batch-share",
        "--users",
        "--start",
        "--huge",
    ),
}
_EXAMPLES: Final = {
    "A file of 1,000 records": "track-pipeline generate --output events.ndjson",
    "500 records a second into the raw topic, until Ctrl-C": (
        "track-pipeline generate --topic track.raw --rate 500 --count 100000000 \\\n"
        "  --bootstrap-servers localhost:9092"
    ),
    "Every kind of broken event": (
        "track-pipeline generate --invalid-share 1 \\\n  | track-pipeline transform > /dev/null"
    ),
}


@click.command(cls=Command, groups=_GROUPS, examples=_EXAMPLES)
@click.option("-n", "--count", type=click.IntRange(1, _MOST), default=1000, show_default=True,
              help="Number of records: lines of a file, or records of a topic.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="The same seed, options and --start give the same bytes.")  # fmt: skip
@click.option("--invalid-share", type=SHARE, default=0.02, show_default=True,
              help="Share of events that will be rejected, for every reason in turn.")  # fmt: skip
@click.option("--batch-share", type=SHARE, default=0.05, show_default=True,
              help="Share of records that are batches of 2 to 20 events.")  # fmt: skip
@click.option("--users", type=click.IntRange(1, 10_000_000), default=10_000, show_default=True,
              help="Number of users; a few of them send most events.")  # fmt: skip
@click.option("--start", type=click.DateTime(), metavar="TIME",
              help="Time of the first event (UTC). By default 2025-01-01 for files; for a topic "
              "such that the last event happens about now.")  # fmt: skip
@click.option("--huge", is_flag=True,
              help="Include, rarely, records of 0.2 to 1.1 MB that will be rejected. A topic takes "
              "them only with a larger max.message.bytes and kafka.message.max.bytes."
              )  # fmt: skip
@click.option("-o", "--output", metavar="FILE|-",
              help="Write lines of JSON to this file; to standard output by default.")  # fmt: skip
@overwrite_option
@click.option("--topic", metavar="NAME",
              help="Write to this Kafka topic instead, keyed by user.")  # fmt: skip
@click.option("--rate", type=RATE, metavar="N",
              help="Records per second, with --topic; unlimited by default.")  # fmt: skip
@with_settings("--bootstrap-servers")
@click.pass_context
def generate(  # noqa: PLR0913  one for each flag
    ctx: click.Context,
    /,
    *,
    count: int,
    start: datetime | None,
    output: str | None,
    overwrite: bool,
    topic: str | None,
    rate: float | None,
    settings: Settings,
    **plan: Any,  # noqa: ANN401  the other fields of Generator, by their names
) -> None:
    """Generate realistic track events as several SDKs send them, some of them invalid.

    Lines of a file leave out what no line can hold: tombstones, blank values and UTF-16. With
    --topic these are written too.

    What was written is reported on standard error. Ctrl-C ends it with the counts so far and exit
    code 130.
    """
    _refuse_contradictions(output, topic, rate)
    _refuse_topic(topic, settings)
    interval_ms = _interval_ms(topic, rate, count)
    try:
        generator = Generator(
            **plan,
            start=_start(start, topic, 0 if rate else int(interval_ms * count)),
            interval_ms=interval_ms,
            lines=topic is None,
        )
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from error
    records = islice(generator, count)
    if topic is None:
        file = FileOutput("--output", output or _STDOUT, config_file(), overwrite)
        counts = _write_lines(file, records, count)
        _print_left_out(generator)
    else:
        counts = _write_to_topic(topic, records, count, rate, settings)
    ctx.exit(ExitCode.INTERRUPTED if counts.interrupted else ExitCode.OK)


def _refuse_contradictions(output: str | None, topic: str | None, rate: float | None) -> None:
    if topic is not None and output is not None:
        raise click.UsageError("--output and --topic exclude each other: give one of them")
    if topic is None and rate is not None:
        raise click.UsageError("--rate is for --topic only: a file is written at once")


def _refuse_topic(topic: str | None, settings: Settings) -> None:
    if topic is None:
        return
    require_no_role("--topic", topic, settings.topics, allowed_role=RAW)
    if is_replay_output(topic, settings.topics):
        raise SettingsError([f"--topic: {topic} is the output of a replay: name another one"])


def _print_left_out(generator: Generator) -> None:
    if generator.invalid_share:
        print_notice(
            f"not generated, since no line of a file can hold them: {', '.join(NOT_IN_LINES)}"
        )


def _interval_ms(topic: str | None, rate: float | None, count: int) -> float:
    if rate is not None:
        return 1000 / rate
    if topic is not None:
        return min(DEFAULT_INTERVAL_MS, _LONGEST_SPAN_MS / count)
    return DEFAULT_INTERVAL_MS


def _start(given: datetime | None, topic: str | None, span_ms: int) -> int:
    """Time of the first event in epoch milliseconds; all events cover `span_ms`."""
    if given is not None:
        return (given.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
    return START if topic is None else time.time_ns() // 1_000_000 - span_ms


def _write_lines(output: FileOutput, records: Iterable[Generated], count: int) -> WriteCounts:
    shown = STANDARD_OUTPUT if output.name == _STDOUT else printable(output.name)
    try:
        with _opened(output) as file, _progress(count, quiet=_is_terminal(file)) as on_progress:
            counts = write_records(
                records, count, lambda record: _write_line(file, record), on_progress
            )
            file.flush()
    except ReaderGoneError:
        raise
    except OSError as error:
        error.filename = shown
        raise
    _print_counts(counts, shown)
    return counts


def _write_line(file: IO[bytes], record: Generated) -> None:
    file.write((record.value or b"") + b"\n")


@contextmanager
def _opened(output: FileOutput) -> Iterator[IO[bytes]]:
    if output.name == _STDOUT:
        yield sys.stdout.buffer
        return
    with opened_output(output) as file:
        yield file


def _write_to_topic(
    topic: str, records: Iterable[Generated], count: int, rate: float | None, settings: Settings
) -> WriteCounts:
    # Imported here, so that files need no Kafka client.
    from pipeline.kafka import Publisher  # noqa: PLC0415
    from pipeline.wiring import log_wait  # noqa: PLC0415

    require_kafka(settings)
    _refuse_missing(topic, settings)
    pace = Pace(rate) if rate is not None else None
    kafka = {**settings.kafka, **settings.producer}
    with (
        Publisher(kafka, log_wait) as publisher,
        _progress(count, quiet=False) as on_progress,
    ):

        def write(record: Generated) -> None:
            if pace is not None:
                pace.wait()
            publisher.send(topic, record.value, record.key, record.timestamp)

        counts = write_records(records, count, write, on_progress)
    _print_counts(counts, f"topic {topic}")
    return counts


def _refuse_missing(topic: str, settings: Settings) -> None:
    """Refuse a topic that does not exist: many clusters would create one with a misspelled name."""
    from pipeline.wiring import admin  # noqa: PLC0415  as above

    cluster = admin(settings)
    cluster.wait_until_reachable()
    if topic not in cluster.topics([topic]):
        servers = settings.kafka[BOOTSTRAP_SERVERS]
        raise RefusedError(
            f"topic {topic} does not exist; create it: track-pipeline topics create "
            f"--bootstrap-servers {servers} --raw-topic {topic}"
        )


def _is_terminal(file: IO[bytes]) -> bool:
    try:
        return file.isatty()
    except ValueError:
        return False


def _progress(count: int, *, quiet: bool) -> AbstractContextManager[OnProgress]:
    """Show a progress bar where it does not disturb the output."""
    if quiet or count < _SHOWN_FROM or not sys.stderr.isatty():
        return nullcontext(lambda _progress: None)
    return shown_progress()


def _print_counts(counts: WriteCounts, where: str) -> None:
    prefix = "interrupted: " if counts.interrupted else ""
    print_notice(one_line(f"{prefix}{counts}, written to {where}"))
