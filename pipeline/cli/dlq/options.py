"""What the desk's commands have in common: which letters, of which topic, and how to show them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

import click
from rich.console import Console

from pipeline.cli.options import PIPELINE_FLAGS, Moment, Parsed, with_settings
from pipeline.cli.progress import shown_progress
from pipeline.core.time_window import FORMS, Window
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.filters import Selection, read_source_filter
from pipeline.dlq.opening import open_desk
from pipeline.dlq.reader import Desk
from pipeline.settings.model import Settings

_Function = Callable[..., Any]
_OFFSETS: Final = re.compile(r"([0-9]{1,9}):([0-9]{0,18})-([0-9]{0,18})")
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True)
class Asked:
    """What a command of the desk was asked for."""

    settings: Settings
    desk: Desk
    selection: Selection
    done_too: bool
    """Whether letters with which something was done are meant too."""
    reveal: bool
    """Whether personal data may be shown."""
    as_json: bool

    def letters(self, *, printed: bool = False) -> Iterator[DeadLetter]:
        """The letters that are meant; progress is shown on standard error.

        `printed`: they are printed as they come, so that on one terminal a bar would be in the way.
        """
        quiet = printed and sys.stdout.isatty()
        with nullcontext() if quiet else shown_progress(Console(stderr=True)) as on_progress:
            yield from self.desk.letters(
                self.selection, done_too=self.done_too, on_progress=on_progress
            )


def desk_command(function: _Function) -> _Function:
    """Decorate a command: adds settings, filters and forms, and passes `asked`."""

    @wraps(function)
    def call(
        *args: Any,  # noqa: ANN401  click's
        settings: Settings,
        topic: str | None,
        done_too: bool,
        reveal: bool,
        as_json: bool,
        **given: Any,  # noqa: ANN401  click's
    ) -> Any:  # noqa: ANN401  click's
        selection = _selection({name: given.pop(name) for name in _FILTERS})
        desk = open_desk(settings, topic or settings.topics.dead_letter, selection)
        _refuse_unknown_partitions(desk, selection)
        asked = Asked(settings, desk, selection, done_too, reveal, as_json)
        return function(*args, asked=asked, **given)

    command: _Function = call
    for option in reversed((*_FILTERS.values(), *_FORMS)):
        command = option(command)
    return with_settings(*PIPELINE_FLAGS, needs_kafka=True)(command)


def _selection(given: dict[str, Any]) -> Selection:
    detail = given["detail_regex"]
    return Selection(
        failed=_window(given["since"], given["until"], "--since", "--until"),
        original=_window(
            given["source_since"], given["source_until"], "--source-since", "--source-until"
        ),
        reasons=frozenset(given["reason"]),
        events=frozenset(given["event"]),
        libraries=frozenset(given["library"]),
        stages=frozenset(given["stage"]),
        sources=tuple(given["source"]),
        message_ids=frozenset(given["message_id"]),
        users=frozenset(given["user"]),
        pointers=frozenset(given["pointer"]),
        detail=detail,
        attempts=frozenset(given["attempt"]),
        limit=given["limit"],
        offsets=_one_for_each(given["offsets"]),
    )


def _window(start: int | None, end: int | None, *names: str) -> Window:
    if start is not None and end is not None and start >= end:
        raise click.UsageError(f"{names[0]} must be earlier than {names[1]}")
    return Window(start, end)


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error


def _offsets(text: str) -> tuple[int, tuple[int, int]]:
    """Partition, first offset, and the one after the last."""
    match = _OFFSETS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not PARTITION:FIRST-LAST, such as 3:1000-1999")
    partition, *bounds = match.groups()
    first, end = int(bounds[0] or 0), int(bounds[1]) + 1 if bounds[1] else _LARGEST
    if first >= end:
        raise ValueError(f"{text!r}: the first offset is behind the last one")
    return int(partition), (first, end)


def _one_for_each(given: Sequence[tuple[int, tuple[int, int]]]) -> dict[int, tuple[int, int]]:
    found = dict(given)
    if len(found) < len(given):
        raise click.UsageError("--offsets: a partition may be named once only")
    return found


def _refuse_unknown_partitions(desk: Desk, selection: Selection) -> None:
    unknown = sorted(selection.offsets.keys() - desk.captured.extents.keys())
    if unknown:
        numbers, last = ", ".join(map(str, unknown)), max(desk.captured.extents)
        text = f"{desk.captured.topic} has the partitions 0 to {last}, but no {numbers}"
        raise click.UsageError(f"--offsets: {text}")


def _many(flag: str, help_text: str, kind: Any = str) -> Any:  # noqa: ANN401  click's
    return click.option(flag, type=kind, multiple=True, help=f"{help_text} May be repeated.")


def _moment(flag: str, help_text: str, unbounded: str) -> Any:  # noqa: ANN401  click's
    return click.option(
        flag, type=Moment(unbounded), default=unbounded, metavar="TIME", help=help_text
    )


_FILTERS: Final = {
    "since": _moment("--since", f"Refused at this time or later: {FORMS}.", "earliest"),
    "until": _moment("--until", "Refused before this time.", "latest"),
    "source_since": _moment(
        "--source-since", "The raw record's Kafka timestamp is this or later.", "earliest"
    ),
    "source_until": _moment(
        "--source-until", "The raw record's Kafka timestamp is earlier.", "latest"
    ),
    "reason": _many("--reason", "Code of any of the letter's reasons."),
    "event": _many("--event", "Event name."),
    "library": _many("--library", "The sender's library: name, or name/version."),
    "stage": _many("--stage", "Where it was refused, such as validate."),
    "source": _many(
        "--source",
        "Raw event: topic[/partition[/offset[/index]]].",
        Parsed("source", read_source_filter),
    ),
    "message_id": _many("--message-id", "The sender's messageId."),
    "user": _many("--user", "userId or anonymousId."),
    "pointer": _many("--pointer", "Place of a violation, such as /properties/revenue."),
    "detail_regex": click.option(
        "--detail-regex", type=Parsed("regex", _regex), help="Is found in the detail of a reason."
    ),
    "attempt": _many("--attempt", "How many times it has failed.", click.IntRange(1)),
    "limit": click.option("--limit", type=click.IntRange(1), help="Most letters."),
    "offsets": _many(
        "--offsets",
        "Of the dead-letter topic: PARTITION:FIRST-LAST; either end may be left out.",
        Parsed("offsets", _offsets),
    ),
}
_FORMS: Final = (
    click.option(
        "--topic", metavar="NAME", help="Dead-letter topic, such as that of a replay or of Connect."
    ),
    click.option(
        "--all", "done_too", is_flag=True, help="Also letters that were redriven or discarded."
    ),
    click.option(
        "--reveal", is_flag=True, help="Show e-mail addresses, IP addresses and traits as they are."
    ),
    click.option("--json", "as_json", is_flag=True, help="JSON on standard output."),
)
