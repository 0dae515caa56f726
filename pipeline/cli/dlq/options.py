"""Options of all dlq commands: which dead letters, of which topic, and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

import click

from pipeline.cli.options import PIPELINE_FLAGS, Moment, Parsed, with_settings
from pipeline.core.time_window import FORMS, Window
from pipeline.dlq.filters import Selection, read_source_filter
from pipeline.dlq.request import DlqRequest
from pipeline.settings.model import Settings

_Function = Callable[..., Any]
_OFFSETS: Final = re.compile(r"([0-9]{1,9}):([0-9]{0,18})-([0-9]{0,18})")
_LARGEST: Final = 2**63 - 1
_WHICH: Final = "Which dead letters (repeat a filter to match any of several values)"


@dataclass(frozen=True)
class Display:
    """Form of the results."""

    reveal: bool
    """Whether personal data may be shown."""
    as_json: bool


def dlq_command(function: _Function) -> _Function:
    """Decorate a command: adds settings, filters and forms, passes `request` and `display`."""

    @wraps(function)
    def call(
        *args: Any,  # noqa: ANN401  click's
        settings: Settings,
        topic: str | None,
        include_done: bool,
        reveal: bool,
        as_json: bool,
        **options: Any,  # noqa: ANN401  click's
    ) -> Any:  # noqa: ANN401  click's
        selection = _selection({name: options.pop(name) for name in _FILTERS})
        request = DlqRequest(settings, topic, selection, include_done)
        display = Display(reveal, as_json)
        return function(*args, request=request, display=display, **options)

    command: _Function = call
    for option in reversed((*_FILTERS.values(), *_FORMS)):
        command = option(command)
    return with_settings(*PIPELINE_FLAGS, needs_kafka=True)(command)


def _selection(values: dict[str, Any]) -> Selection:
    return Selection(
        failed=_window(values["since"], values["until"], "--since", "--until"),
        original=_window(
            values["source_since"], values["source_until"], "--source-since", "--source-until"
        ),
        reasons=frozenset(values["reason"]),
        events=frozenset(values["event"]),
        libraries=frozenset(values["library"]),
        stages=frozenset(values["stage"]),
        sources=tuple(values["source"]),
        message_ids=frozenset(values["message_id"]),
        users=frozenset(values["user"]),
        pointers=frozenset(values["pointer"]),
        detail=values["detail_regex"],
        attempts=frozenset(values["attempt"]),
        limit=values["limit"],
        offsets=_one_for_each(values["offsets"]),
    )


def _window(start: int | None, end: int | None, *names: str) -> Window:
    if start is not None and end is not None and start >= end:
        raise click.UsageError(f"{names[0]} must be earlier than {names[1]}")
    return Window(start, end)


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from error


def _offsets(text: str) -> tuple[int, tuple[int, int]]:
    """Read a partition, its first offset, and the offset after the last."""
    match = _OFFSETS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not PARTITION:FIRST-LAST, such as 3:1000-1999")
    partition, *bounds = match.groups()
    first, end = int(bounds[0] or 0), int(bounds[1]) + 1 if bounds[1] else _LARGEST
    if first >= end:
        raise ValueError(f"{text!r}: the first offset is behind the last one")
    return int(partition), (first, end)


def _one_for_each(offsets: Sequence[tuple[int, tuple[int, int]]]) -> dict[int, tuple[int, int]]:
    found = dict(offsets)
    if len(found) < len(offsets):
        raise click.UsageError("--offsets: a partition may be named once only")
    return found


def _many(flag: str, help_text: str, kind: Any = str) -> Any:  # noqa: ANN401  click's
    return click.option(flag, type=kind, multiple=True, help=help_text)


def _moment(flag: str, help_text: str, unbounded: str) -> Any:  # noqa: ANN401  click's
    return click.option(
        flag, type=Moment(unbounded), default=unbounded, metavar="TIME", help=help_text
    )


_FILTERS: Final = {
    "since": _moment("--since", f"Rejected at this time or later: {FORMS}.", "earliest"),
    "until": _moment("--until", "Rejected before this time.", "latest"),
    "reason": _many(
        "--reason",
        "Code of a reason; matches any reason of a dead letter, not only the first.",
    ),
    "event": _many("--event", "Event name."),
    "library": _many("--library", "Library of the sender: name, or name/version."),
    "stage": _many("--stage", "Stage that rejected the event, such as validate."),
    "source": _many(
        "--source",
        "Raw event: topic[/partition[/offset[/index]]].",
        Parsed("source", read_source_filter),
    ),
    "message_id": _many("--message-id", "messageId of the event."),
    "user": _many("--user", "userId or anonymousId."),
    "pointer": _many("--pointer", "Location of a violation, such as /properties/revenue."),
    "detail_regex": click.option(
        "--detail-regex", type=Parsed("regex", _regex), help="Found in the detail of a reason."
    ),
    "attempt": _many("--attempt", "Number of times that the event failed.", click.IntRange(1)),
    "source_since": _moment(
        "--source-since", "Kafka timestamp of the raw record is this or later.", "earliest"
    ),
    "source_until": _moment(
        "--source-until", "Kafka timestamp of the raw record is earlier.", "latest"
    ),
    "offsets": _many(
        "--offsets",
        "Offsets in the dead-letter topic, PARTITION:FIRST-LAST; either end may be left out.",
        Parsed("offsets", _offsets),
    ),
    "limit": click.option(
        "--limit", type=click.IntRange(1), help="Maximum number of dead letters."
    ),
}
topic_option: Final = click.option(
    "--topic", metavar="NAME", help="Dead-letter topic, such as that of a replay or of Connect."
)
_FORMS: Final = (
    topic_option,
    click.option(
        "--all", "include_done", is_flag=True, help="Include redriven and discarded dead letters."
    ),
    click.option(
        "--reveal", is_flag=True, help="Show e-mail addresses, IP addresses and traits as they are."
    ),
    click.option("--json", "as_json", is_flag=True, help="JSON on standard output."),
)


def groups(first: Mapping[str, Sequence[str]] | None = None) -> dict[str, Sequence[str]]:
    """Titles and flags of the help text: those of the command, then those of all dlq commands."""
    filters = [f"--{name.replace('_', '-')}" for name in _FILTERS]
    return {
        **(first or {}),
        _WHICH: [*filters, "--all", "--topic"],
        "Output": ["--json", "--reveal"],
        "Kafka": ["--config", *PIPELINE_FLAGS],
    }
