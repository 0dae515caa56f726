"""The next command to run, with the filters of this one, to be copied from the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

import click
from click.core import ParameterSource

from pipeline.core.timestamps import format_time
from pipeline.dlq.filters import Selection, SourceFilter

_KEPT: Final = (
    "config",
    "bootstrap_servers",
    "group",
    "raw_topic",
    "enriched_topic",
    "dead_letter_topic",
    "identify_topic",
    "other_topic",
    "topic",
)
"""Options that say where the dead letters are."""


def next_command(
    command: str, selection: Selection, *arguments: str, include_done: bool = False
) -> str:
    """Build `track-pipeline dlq command …` for a selection, on the topics of this command."""
    ctx = click.get_current_context()
    words = [ctx.find_root().info_name or "", "dlq", command, *arguments, *_topics(ctx)]
    words += _flags(selection)
    if include_done:
        words.append("--all")
    return shlex.join(words)


def show_command(position: str) -> str:
    """Build the command that shows one dead letter."""
    return next_command("show", Selection(), position)


def _topics(ctx: click.Context) -> Iterator[str]:
    for name in _KEPT:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            yield from (f"--{name.replace('_', '-')}", str(ctx.params[name]))


def _flags(selection: Selection) -> Iterator[str]:
    moments = {
        "--since": selection.failed.start,
        "--until": selection.failed.end,
        "--source-since": selection.original.start,
        "--source-until": selection.original.end,
    }
    yield from _pairs({flag: [format_time(at)] for flag, at in moments.items() if at is not None})
    yield from _pairs(
        {
            "--reason": sorted(selection.reasons),
            "--event": sorted(selection.events),
            "--library": sorted(selection.libraries),
            "--stage": sorted(selection.stages),
            "--source": [_source(each) for each in selection.sources],
            "--message-id": sorted(selection.message_ids),
            "--user": sorted(selection.users),
            "--pointer": sorted(selection.pointers),
            "--detail-regex": [] if selection.detail is None else [selection.detail.pattern],
            "--attempt": [str(number) for number in sorted(selection.attempts)],
            "--limit": [] if selection.limit is None else [str(selection.limit)],
            "--offsets": [
                f"{partition}:{first}-{end - 1}"
                for partition, (first, end) in sorted(selection.offsets.items())
            ],
        }
    )


def _pairs(values: dict[str, list[str]]) -> Iterator[str]:
    for flag, texts in values.items():
        for text in texts:
            # A value that begins with a dash would be read as another option.
            yield from (f"{flag}={text}",) if text.startswith("-") else (flag, text)


def _source(source: SourceFilter) -> str:
    return "/".join(str(part) for part in source if part is not None)
