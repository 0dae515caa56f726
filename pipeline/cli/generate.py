"""`track-pipeline generate`: realistic events from a seed, as lines or straight to a topic."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import IO, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.cli.options import (
    BOOTSTRAP_SERVERS,
    RATE,
    SHARE,
    config_file,
    overwrite_option,
    require_kafka,
    with_settings,
)
from pipeline.cli.streams import STANDARD_OUTPUT, ReaderGoneError
from pipeline.core.escape import one_line
from pipeline.core.timestamps import EPOCH
from pipeline.demo.generate import DEFAULT_INTERVAL_MS, NOT_IN_LINES, START, Generated, Generator
from pipeline.errors import ExitCode, RefusedError
from pipeline.files.lines import printable
from pipeline.files.outputs import FileOutput, opened_output
from pipeline.settings.model import Settings
from pipeline.topic_roles import RAW, refuse_role

_STDOUT: Final = "-"
_LONGEST_SPAN_MS: Final = 3_600_000
"""Records for a topic begin at most an hour ago, so that no usual retention deletes them."""
_MOST: Final = 10**15
_SHOWN_FROM: Final = 20_000
_STEPS: Final = 200
_SHORTEST_SLEEP_S: Final = 0.002


class Tally:
    """What was written so far."""

    def __init__(self) -> None:
        self.records = self.events = self.refused = 0
        self.interrupted = False

    def add(self, record: Generated) -> None:
        """Count one more."""
        self.records += 1
        self.events += record.events
        self.refused += len(record.invalid)

    def __str__(self) -> str:
        good = self.events - self.refused
        return (
            f"{self.records:,} records with {self.events:,} events: "
            f"{good:,} good, {self.refused:,} to be refused"
        )


class Pace:
    """Keeps to a number of records a second; after a delay it catches up."""

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._began = clock()
        self._turns = 0

    def wait(self) -> None:
        """Return when the next record is due."""
        early = self._began + self._turns / self._rate - self._clock()
        if early > _SHORTEST_SLEEP_S:
            self._sleep(early)
        self._turns += 1


@click.command()
@click.option("-n", "--count", type=click.IntRange(1, _MOST), default=1000, show_default=True,
              help="Records: lines of a file, or records of a topic.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="The same seed, options and --start give the same bytes.")  # fmt: skip
@click.option("--invalid-share", type=SHARE, default=0.02, show_default=True,
              help="Share of events to be refused, of every reason in turn.")  # fmt: skip
@click.option("--batch-share", type=SHARE, default=0.05, show_default=True,
              help="Share of records that are batches of 2 to 20 events.")  # fmt: skip
@click.option("--users", type=click.IntRange(1, 10_000_000), default=10_000, show_default=True,
              help="Users to choose from; few of them send most events.")  # fmt: skip
@click.option("--start", type=click.DateTime(), metavar="TIME",
              help="When the events begin (UTC). Default: 2025-01-01 for files; for topics "
              "such that they end about now.")  # fmt: skip
@click.option("--huge", is_flag=True,
              help="Also, rarely, refused records of 0.2 to 1.1 MB, which a topic takes only with "
              "a larger max.message.bytes and kafka.message.max.bytes.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE|-",
              help="Write lines of JSON to a file or, the default, to standard "
              "output.")  # fmt: skip
@overwrite_option
@click.option("--topic", metavar="NAME", help="Write to this Kafka topic instead, keyed by user.")
@click.option("--rate", type=RATE, metavar="N",
              help="Records a second, with --topic; else as fast as they are taken.")  # fmt: skip
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
    """Make realistic track events, as several SDKs send them, and some that are refused.

    As lines of a file, tombstones, blank values and UTF-16 are left out, since no line can hold
    them; with --topic they are there too.

    What was written is told on standard error. Ctrl-C ends it with the count so far and exit
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
    records, tally = islice(generator, count), Tally()
    if topic is None:
        file = FileOutput("--output", output or _STDOUT, config_file(), overwrite)
        _write_lines(file, records, tally, count)
        _tell_left_out(generator)
    else:
        _write_to_topic(topic, records, tally, count=count, rate=rate, settings=settings)
    ctx.exit(ExitCode.INTERRUPTED if tally.interrupted else ExitCode.OK)


def _refuse_contradictions(output: str | None, topic: str | None, rate: float | None) -> None:
    if topic is not None and output is not None:
        raise click.UsageError("--output and --topic exclude each other: give one of them")
    if topic is None and rate is not None:
        raise click.UsageError("--rate is for --topic only: a file is written at once")


def _refuse_topic(topic: str | None, settings: Settings) -> None:
    if topic is not None:
        refuse_role("--topic", topic, settings.topics, but=RAW)


def _tell_left_out(generator: Generator) -> None:
    if generator.invalid_share:
        left_out = ", ".join(NOT_IN_LINES)
        click.echo(f"left out, since no line can hold them: {left_out}", err=True)


def _interval_ms(topic: str | None, rate: float | None, count: int) -> float:
    if rate is not None:
        return 1000 / rate
    if topic is not None:
        return min(DEFAULT_INTERVAL_MS, _LONGEST_SPAN_MS / count)
    return DEFAULT_INTERVAL_MS


def _start(given: datetime | None, topic: str | None, span_ms: int) -> int:
    """When the events begin, epoch milliseconds; `span_ms` is how long they go on."""
    if given is not None:
        return (given.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
    return START if topic is None else time.time_ns() // 1_000_000 - span_ms


def _write_lines(
    output: FileOutput, records: Iterable[Generated], tally: Tally, count: int
) -> None:
    shown = STANDARD_OUTPUT if output.name == _STDOUT else printable(output.name)
    try:
        with _opened(output) as file, _progress(count, quiet=_is_terminal(file)) as show:
            try:
                for record in records:
                    file.write((record.value or b"") + b"\n")
                    tally.add(record)
                    show(tally.records)
            except KeyboardInterrupt:
                tally.interrupted = True
            file.flush()
    except ReaderGoneError:
        raise
    except OSError as error:
        error.filename = shown
        raise
    _tell(tally, shown)


@contextmanager
def _opened(output: FileOutput) -> Iterator[IO[bytes]]:
    if output.name == _STDOUT:
        yield sys.stdout.buffer
        return
    with opened_output(output) as file:
        yield file


def _write_to_topic(  # noqa: PLR0913  all that it depends on
    topic: str,
    records: Iterable[Generated],
    tally: Tally,
    *,
    count: int,
    rate: float | None,
    settings: Settings,
) -> None:
    # Imported here, so that files need no Kafka client.
    from pipeline.kafka import Publisher  # noqa: PLC0415
    from pipeline.wiring import told_on_standard_error  # noqa: PLC0415

    require_kafka(settings)
    _refuse_missing(topic, settings)
    pace = Pace(rate) if rate is not None else None
    kafka = {**settings.kafka, **settings.producer}
    with (
        Publisher(kafka, told_on_standard_error) as publisher,
        _progress(count, quiet=False) as show,
    ):
        try:
            for record in records:
                if pace is not None:
                    pace.wait()
                publisher.send(topic, record.value, record.key, record.timestamp)
                tally.add(record)
                show(tally.records)
        except KeyboardInterrupt:
            tally.interrupted = True
    _tell(tally, f"topic {topic}")


def _refuse_missing(topic: str, settings: Settings) -> None:
    """On many clusters, writing to a topic that does not exist creates it: by a misspelling."""
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


@contextmanager
def _progress(count: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A function that shows how many records there are; a bar, where it disturbs nobody."""
    if quiet or count < _SHOWN_FROM or not sys.stderr.isatty():
        yield lambda _records: None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("records"), TimeRemainingColumn())
    every = count // _STEPS
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=count)

        def show(records: int) -> None:
            if records % every == 0:
                progress.update(task, completed=records)

        yield show


def _tell(tally: Tally, where: str) -> None:
    prefix = "interrupted: " if tally.interrupted else ""
    click.echo(one_line(f"{prefix}{tally}, written to {where}"), err=True)
