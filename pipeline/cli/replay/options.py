"""The flags of a replay, and the request that they make together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from pipeline.cli.options import (
    RATE,
    SHARE,
    Parsed,
    asked_at,
    config_file,
    overwrite_option,
    received_at_option,
)
from pipeline.core.time_window import FORMS, read_moment
from pipeline.files.outputs import FileOutput, check_output, check_redirection
from pipeline.reconcile.compare.corrections import read_kinds
from pipeline.reconcile.event_filters import Filters, read_value_filter
from pipeline.replay.request import DEFAULT_MAX_INVALID_RATIO, ReplayRequest
from pipeline.replay.window_offsets import EARLIEST, LATEST, Bound, read_bound
from pipeline.settings.model import Settings
from pipeline.wiring import WallClock

_Function = Callable[..., Any]
_USUAL_SLACK: Final = "1h"


@dataclass(frozen=True)
class Invocation:
    """A request, and what the command does with it."""

    request: ReplayRequest
    dry_run: bool
    execute: bool
    resume: str | None
    force: bool
    as_json: bool

    @property
    def needs_kafka(self) -> bool:
        """Whether anything is read from a topic or written to one."""
        return not (self.request.files and self.dry_run) or self.request.compare is not None


def _bound(unbounded: str) -> Parsed[Bound]:
    return Parsed("bound", lambda text: read_bound(text, unbounded, asked_at()))


def _span(text: str) -> int:
    """A length of time, `90m`, as milliseconds."""
    now = WallClock().now()
    try:
        moment = read_moment(text, now) if text[:1].isdigit() and text[-1:].isalpha() else 0
    except ValueError:
        moment = 0
    if moment <= 0:
        raise ValueError(f"{text!r} is not a valid duration. Use 90m, 12h or 1d.")
    return now - moment


def _many(flag: str, name: str, help_text: str, kind: Any = str) -> Any:  # noqa: ANN401  click's
    return click.option(flag, name, type=kind, multiple=True, help=f"{help_text} May be repeated.")


WINDOW: Final = (
    click.option(
        "--from", "start", type=_bound(EARLIEST), default=EARLIEST, show_default=True,
        metavar="POSITION",
        help=f"Start of the window: {FORMS}, earliest, or offsets such as 0:100,1:200.",
    ),
    click.option(
        "--to", "end", type=_bound(LATEST), default=LATEST, show_default=True, metavar="POSITION",
        help="End of the window (exclusive): as --from, or latest, which is fixed at once.",
    ),
    click.option(
        "--slack", "slack_ms", type=Parsed("time", _span), default=_USUAL_SLACK, show_default=True,
        metavar="TIME", help="How late a record may be written and still be found before --to.",
    ),
)  # fmt: skip
FILTERS: Final = (
    _many("--event", "event", "Only events with this name."),
    _many("--library", "library", "Only from this client library: name, or name/version."),
    _many("--user", "user", "Only with this userId or anonymousId."),
    _many("--message-id", "message_id", "Only with this messageId."),
    _many(
        "--value",
        "value",
        "Only where POINTER=VALUE holds, such as /properties/plan=pro.",
        Parsed("value", read_value_filter),
    ),
)
FILES: Final = (
    click.option(
        "--from-file", "files", multiple=True, metavar="FILE",
        help="Read events from a file instead of the raw topic: NDJSON, .gz, .zst; with --dry-run "
        "also - for standard input. May be repeated.",
    ),
    received_at_option,
)  # fmt: skip
SOURCE: Final = (*WINDOW, *FILTERS)
"""Options that select raw events."""


def filters_of(flags: dict[str, Any]) -> Filters:
    """Take the options of `FILTERS` out of the flags."""
    return Filters(
        events=frozenset(flags.pop("event")),
        libraries=frozenset(flags.pop("library")),
        users=frozenset(flags.pop("user")),
        message_ids=frozenset(flags.pop("message_id")),
        values=tuple(flags.pop("value")),
    )


EXECUTION: Final = (
    click.option("--output", metavar="TOPIC", help="Topic for the enriched events."),
    click.option(
        "--into-live", is_flag=True,
        help="Write enriched events into the live topic: its consumers see them again.",
    ),
    click.option(
        "--identify", "identify_live", type=click.Choice(["live"]), default=None,
        help="Write identify messages into the live topic: old traits replace new ones.",
    ),
    click.option(
        "--rate", type=RATE, metavar="N", help="Maximum number of events per second."
    ),
    click.option(
        "--max", "max_records", type=click.IntRange(1), metavar="N",
        help="Stop after N matching records (divided among the workers).",
    ),
    click.option(
        "--workers", type=click.IntRange(1, 128), metavar="N",
        help="Processes that share the partitions; fixed once it has begun.  [default: 1]",
    ),
    click.option(
        "--max-invalid-ratio", type=SHARE, metavar="R",
        help="Stop when more than this share of events is invalid, from the 500th event on, and at "
        f"the end whatever their number.  [default: {DEFAULT_MAX_INVALID_RATIO}]",
    ),
    click.option(
        "--breaker/--no-breaker", default=None,
        help="Stop when many more events are invalid than before in this replay (settings "
        "breaker.window and breaker.max_rise); everything is processed twice.  "
        "[default: --no-breaker]",
    ),
    click.option(
        "--only", type=Parsed("kinds", read_kinds), metavar="KINDS",
        help="Write only what differs from --compare (by default the live topic): changed, "
        "newly-valid, missing, or several of them with commas. Events that a redrive wrote keep "
        "its repairs unless redriven is named, too.",
    ),
    click.option("--execute", is_flag=True, help="Write; without this only the plan is printed."),
    click.option("--resume", metavar="ID", help="Go on with this replay; nothing else is needed."),
    click.option(
        "--force", is_flag=True, help="With --resume: go on under the rules and settings of now."
    ),
)  # fmt: skip
DRY_RUN: Final = (
    click.option(
        "--dry-run", is_flag=True,
        help="Only count what the rules make of the events; nothing is written.",
    ),
    click.option(
        "--compare", metavar="TOPIC",
        help="With --dry-run or --only: the topic of enriched events to compare with.",
    ),
    click.option(
        "--compare-dead-letters", "compare_dead_letters", metavar="TOPIC",
        help="The topic of its dead letters.  [default: that of the live topic, or of the replay]",
    ),
    click.option(
        "--show", type=click.IntRange(0), default=3, show_default=True, metavar="N",
        help="Number of examples of each kind of difference and each reason.",
    ),
    click.option("--reveal", is_flag=True, help="Show personal data in these examples."),
    click.option(
        "--newly-invalid", metavar="FILE",
        help="With --compare: write the newly invalid events here, one JSON object per line.",
    ),
    overwrite_option,
    click.option(
        "--spill-dir", type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
        metavar="DIR", help="Folder for temporary files, about 150 bytes for each compared event.",
    ),
)  # fmt: skip

JSON: Final = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")


def with_options(*options: Any) -> Callable[[_Function], _Function]:  # noqa: ANN401  click's
    """Decorate a command with these options, in their order."""

    def decorate(function: _Function) -> _Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def read_invocation(settings: Settings, flags: dict[str, Any]) -> Invocation:
    """Build the request that the flags make together; UsageError when they do not fit."""
    modes = {name: flags.pop(name) for name in ("dry_run", "execute", "resume", "force", "as_json")}
    newly_invalid = _newly_invalid(flags.pop("newly_invalid"), flags)
    _refuse_contradictions(flags, modes)
    request = ReplayRequest(
        settings=settings,
        filters=filters_of(flags),
        identify_live=flags.pop("identify_live") is not None,
        only=flags.pop("only") or frozenset(),
        newly_invalid=newly_invalid,
        **flags,
    )
    if newly_invalid and not (request.compared_topic or modes["resume"]):
        raise click.UsageError("--newly-invalid is for --compare")
    return Invocation(request, **modes)


def refuse_files(request: ReplayRequest) -> None:
    """UnusableFileError when a file would be written to that is read, or must not be replaced."""
    check_redirection(request.files)
    if request.newly_invalid is not None:
        check_output(request.newly_invalid)


def _newly_invalid(name: str | None, flags: dict[str, Any]) -> FileOutput | None:
    """Take `overwrite` out of the flags."""
    overwrite = flags.pop("overwrite")
    if name is None:
        return None
    return FileOutput("--newly-invalid", name, (*flags["files"], *config_file()), overwrite)


def _refuse_contradictions(flags: dict[str, Any], modes: dict[str, Any]) -> None:
    """Raise UsageError for flags that exclude each other."""
    dry_run, resume = modes["dry_run"], modes["resume"]
    if resume is not None and not resume.strip():
        raise click.UsageError("the id behind --resume is empty")
    if dry_run and (modes["execute"] or resume):
        raise click.UsageError("--dry-run writes nothing: leave out --execute and --resume")
    if flags["files"]:
        _refuse_for_files(flags, resume)
    elif flags["received_at"] is not None:
        raise click.UsageError("--received-at is for --from-file: a topic's records have a time")
    if flags["only"] and (dry_run or resume):
        raise click.UsageError("--only is for a new replay: leave out --dry-run and --resume")
    if flags["compare"] and not (dry_run or flags["only"]):
        raise click.UsageError("--compare is for --dry-run and --only")
    if modes["force"] and not resume:
        raise click.UsageError("--force is for --resume")


def _refuse_for_files(flags: dict[str, Any], resume: str | None) -> None:
    if resume:
        raise click.UsageError("--resume knows its files: leave out --from-file")
    if (flags["workers"] or 1) > 1:
        raise click.UsageError("--workers: files are read by one worker, in their order")
    if flags["start"].offsets is not None or flags["end"].offsets is not None:
        raise click.UsageError("--from and --to are times with --from-file")
