"""`track-pipeline run`: the worker, or several under a supervisor, as a service."""

from __future__ import annotations

import faulthandler
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import click

from pipeline.cli.help import Command
from pipeline.cli.main import Failure, failure_of
from pipeline.cli.options import Parsed, with_settings
from pipeline.errors import ExitCode, SettingsError
from pipeline.ports import Span
from pipeline.registry.optional_client import require_registry
from pipeline.service.workers import run_alone, run_one_of_several, supervise
from pipeline.settings.model import Settings
from pipeline.settings.names import FLAGS
from pipeline.wiring import require_tracing
from pipeline.worker.observe import configure_logging, get_logger, is_for_people
from pipeline.worker.processes import InheritedHandles, inherited_handles
from pipeline.worker.restart_policy import SupervisorResult
from pipeline.worker.shared_state import SharedMemory

_STANDARD_ERROR: Final = 2
"""Its number: `sys.stderr` has none when the program is called from Python and its output kept."""
_RECORD: Final = re.compile(r"(?P<topic>[^/]+)/(?P<partition>[0-9]{1,9})/(?P<offset>[0-9]{1,18})")


def _record(text: str) -> Span:
    """Parse the coordinates of one raw record."""
    match = _RECORD.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not topic/partition/offset, such as track.raw/3/1042")
    offset = int(match["offset"])
    return Span(match["topic"], int(match["partition"]), offset, offset)


@click.command(
    cls=Command,
    groups={
        "Kafka": ("--bootstrap-servers", "--group", "--config"),
        "Topics": (
            "--raw-topic",
            "--enriched-topic",
            "--dead-letter-topic",
            "--identify-topic",
            "--other-topic",
        ),
        "Workers": ("--workers", "--instance-id"),
        "Log": ("--log-format", "--log-level"),
        "Metrics and health": ("--http-port",),
        "Schemas": ("--schema-registry-url",),
        "Recovery": ("--initial-offset", "--quarantine"),
    },
    examples={
        "One worker": "track-pipeline run --bootstrap-servers localhost:9092",
        "As a service: four processes, settings from a file": (
            "track-pipeline run --config pipeline.toml --workers 4 --instance-id host-1"
        ),
    },
)
@with_settings(*FLAGS, needs_kafka=True)
@click.option(
    "--initial-offset",
    "start_over",
    type=click.Choice(["earliest", "latest"]),
    help="Where to start when the group's committed offsets are gone (use it once, not in a "
    "service definition).",
)
@click.option(
    "--quarantine",
    "quarantined",
    type=Parsed("record", _record),
    metavar="TOPIC/PARTITION/OFFSET",
    multiple=True,
    help="Dead-letter this raw record unread, since it kills the worker. Can be given repeatedly.",
)
def run(settings: Settings, start_over: str | None, quarantined: tuple[Span, ...]) -> None:
    """Read raw track events, and write enriched events and dead letters, exactly once.

    It runs until SIGTERM, SIGINT (Ctrl-C) or SIGHUP, finishes the current transaction and ends
    with exit code 0. A second signal ends it at once; nothing is lost then either.

    On a terminal it tells what it does in sentences; elsewhere it logs JSON. Every setting is an
    option, a key of the --config file or a variable TRACK_…: see `check --show-config`.
    """
    _check(settings, quarantined)
    require_tracing(settings)
    require_registry(settings)
    configure_logging(settings.log.format, settings.log.level)
    # A supervisor or systemd ends a stuck worker with SIGABRT.
    faulthandler.enable(_STANDARD_ERROR)
    place = inherited_handles(os.environ)
    with _end_is_reported(settings, place):
        if place is not None:
            run_one_of_several(settings, start_over, quarantined, place)
        elif settings.workers > 1:
            _end_as(supervise(settings))
        else:
            run_alone(settings, start_over, quarantined)


@contextmanager
def _end_is_reported(settings: Settings, place: InheritedHandles | None) -> Iterator[None]:
    """Log why the program ends, beside the plain sentence, and let a supervisor know."""
    try:
        yield
    except click.exceptions.Exit:
        raise
    except Exception as error:
        failure = failure_of(error, click.get_current_context())
        code, cause = failure.exit_code, failure.message
        if not is_for_people(settings.log.format):  # who reads sentences sees the plain one
            log = get_logger("pipeline.worker")
            # The traceback of a bug is shown when it is asked for (--traceback).
            log.error("ended", code=int(code), cause=cause)  # noqa: TRY400
        if place is None:
            raise failure from error
        SharedMemory(place.memory).reason(place.slot).write(cause.encode())
        raise Failure(f"worker {place.slot}: {cause}", _exit_of(code)) from error


def _check(settings: Settings, quarantined: Sequence[Span]) -> None:
    raw = settings.topics.raw
    others = sorted({span.topic for span in quarantined} - {raw})
    if others:
        raise SettingsError(
            [f"--quarantine: {', '.join(others)} is not the raw topic, which is {raw}"]
        )


def _end_as(outcome: SupervisorResult) -> None:
    if outcome.sentence:
        raise Failure(outcome.sentence, _exit_of(outcome.code))
    if outcome.code:
        raise click.exceptions.Exit(outcome.code)


def _exit_of(number: int) -> ExitCode:
    return next(code for code in ExitCode if code == number)
