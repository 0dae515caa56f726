"""`track-pipeline dlq show`: everything about single dead letters."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

import click
from rich.text import Text

from pipeline.cli.dlq.annotated_value import annotated_value
from pipeline.cli.dlq.notes import note_coverage, reading_progress
from pipeline.cli.dlq.options import Display, dlq_command, groups
from pipeline.cli.help import Command
from pipeline.cli.output import print_json, print_line, print_notice
from pipeline.core.escape import one_line
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.masking import mask, masked_text
from pipeline.core.reasons import Invalid, Stage
from pipeline.dlq.as_json import frame_name, iso_time, masked_problem, to_dict
from pipeline.dlq.dead_letter import TRACK, DeadLetter
from pipeline.dlq.filters import SourceFilter, read_source_filter
from pipeline.dlq.reader import DlqReader, TopicSnapshot, open_reader
from pipeline.dlq.recheck import BestEffortRechecker, RecheckKind, RecheckResult
from pipeline.dlq.repair import no_repair
from pipeline.dlq.reprocess import make_reprocessor
from pipeline.dlq.request import DlqRequest
from pipeline.errors import ExitCode
from pipeline.wiring import WallClock

_POSITION: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,18})")


@click.command(
    cls=Command,
    groups=groups({"What to show": ["-n", "--raw"]}),
    examples={
        "The newest dead letter of a reason": ("track-pipeline dlq show --reason revenue_invalid"),
        "The one at offset 27 of partition 0": "track-pipeline dlq show 0/27",
        "The dead letters of a raw event": "track-pipeline dlq show track.raw/0/1",
    },
)
@click.argument("which", required=False, metavar="[SOURCE|PARTITION/OFFSET]")
@click.option("-n", "last", type=click.IntRange(1), metavar="K", help="The K newest dead letters.")
@click.option("--raw", is_flag=True, help="Write exactly the rejected bytes of one dead letter.")
@dlq_command
@click.pass_context
def show(  # noqa: PLR0913  one for each option
    ctx: click.Context,
    request: DlqRequest,
    display: Display,
    which: str | None,
    last: int | None,
    *,
    raw: bool,
) -> None:
    """Show dead letters: reasons with their locations, headers, value, and the current rules' say.

    PARTITION/OFFSET is a position in the dead-letter topic, SOURCE (topic/partition/offset[/index])
    a raw event. Without either, and without -n, the newest selected dead letter is shown.

    Exit code 1 when there is none.
    """
    request = _narrowed(request, which)
    reader = open_reader(request, print_notice, only_shows=True)
    if which is not None and last is None:
        dead_letters: Iterable[DeadLetter] = _named(reader)
    else:
        with reading_progress() as on_progress:
            dead_letters = reader.newest(last or 1, on_progress)
    print_all = partial(_print_all, request, display, reader)
    count = (_write_raw if raw else print_all)(dead_letters)
    if not count:
        if missing := _outside(reader.snapshot, which):
            print_notice(missing)
        else:
            note_coverage(request, reader.coverage, 0)
        ctx.exit(ExitCode.DIFFERENCE)


def _narrowed(request: DlqRequest, which: str | None) -> DlqRequest:
    """Select the named dead letters, also when they were redriven or discarded."""
    if which is None:
        return request
    position = _POSITION.fullmatch(which)
    if position is not None:
        partition, offset = map(int, position.groups())
        selection = replace(request.selection, offsets={partition: (offset, offset + 1)})
    else:
        selection = replace(request.selection, sources=(_source(which),))
    return replace(request, selection=selection, include_done=True)


def _outside(snapshot: TopicSnapshot, which: str | None) -> str | None:
    """Say that a position is not within its partition; None for any other."""
    position = _POSITION.fullmatch(which or "")
    if position is None:
        return None
    number, offset = map(int, position.groups())
    begin, end = snapshot.extents[number]
    if begin <= offset < end:
        return None
    bound = f"ends at {end}" if offset >= end else f"begins at {begin}"
    return f"there is no dead letter {number}/{offset}; partition {number} {bound}"


def _source(which: str) -> SourceFilter:
    hint = (
        "give its PARTITION/OFFSET, such as 0/27, or topic/partition/offset of the raw event "
        "(dlq list shows both)"
    )
    try:
        found = read_source_filter(which)
    except ValueError as error:
        raise click.UsageError(f"{error}: {hint}") from error
    if found.partition is None:
        raise click.UsageError(f"{which!r} names no dead letter: {hint}")
    return found


def _named(reader: DlqReader) -> Iterator[DeadLetter]:
    with reading_progress(printing=True) as on_progress:
        yield from reader.dead_letters(on_progress)


def _write_raw(dead_letters: Iterable[DeadLetter]) -> int:
    found = list(dead_letters)
    if len(found) > 1:
        raise click.UsageError(f"--raw writes one dead letter, but {len(found)} are selected")
    for dead_letter in found:
        sys.stdout.buffer.write(dead_letter.value or b"")
        sys.stdout.buffer.flush()
    return len(found)


def _print_all(
    request: DlqRequest, display: Display, reader: DlqReader, dead_letters: Iterable[DeadLetter]
) -> int:
    now, count = WallClock().now(), 0
    rules = make_reprocessor(request.settings, is_patient=False)
    rechecker = BestEffortRechecker(rules, no_repair())
    try:
        for dead_letter in dead_letters:
            result = rechecker.recheck(dead_letter, now)
            done = reader.ledger.action(dead_letter.partition, dead_letter.offset)
            view = _View(dead_letter, result, done, display.reveal)
            if display.as_json:
                print_json(view.to_dict())
            else:
                view.print()
            count += 1
    finally:
        rechecker.end()
    return count


class _View(NamedTuple):
    """One dead letter, and how it is shown."""

    dead_letter: DeadLetter
    result: RecheckResult
    done: str | None
    """Action in the ledger; None when the dead letter is pending."""
    reveal: bool

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        record, result = self.dead_letter.record, self.result
        detail = result.detail if self.reveal else mask(result.detail)
        return {
            **to_dict(self.dead_letter, reveal=self.reveal),
            "done": self.done,
            "key": self._text(record.key),
            "headers": [[name, self._text(value)] for name, value in record.headers],
            "now": result.kind.value,
            "now_detail": detail or None,
            "now_reasons": [masked_problem(each, reveal=self.reveal) for each in result.problems],
        }

    def _text(self, value: bytes | None) -> str | None:
        if value is None:
            return None
        return value.decode(errors="backslashreplace") if self.reveal else masked_text(value)

    def print(self) -> None:
        """Print all of it."""
        print_line(f"── dead letter {self.dead_letter.position}", "bold")
        passes = self.result.kind is RecheckKind.PASSES
        styles = {"reason": "red", "now": "green" if passes else "red"}
        for name, text in (*self._reasons(), *self._facts()):
            shown = text if self.reveal else mask(text)
            _print_fact(name, shown, styles.get(name, ""))
        for name, value in self.dead_letter.headers:
            shown = self._text(value) or ("(no value)" if value is None else "")
            _print_fact("header", f"{name}: {shown}")
        # What kills a process is not decoded in this one.
        as_json = self.result.kind is not RecheckKind.CRASHES
        for line in annotated_value(self.dead_letter, reveal=self.reveal, as_json=as_json):
            notes = f"   ◄ {', '.join(map(one_line, line.notes))}" if line.notes else ""
            style = "bold red" if line.notes else ""
            print_line(Text.assemble((line.text, style), (notes, "red")))
        print_line()

    def _framing(self) -> str:
        """How the value names its schema, and why it is not decoded below."""
        frame = self.dead_letter.frame
        if frame is None:
            return ""
        is_crash = self.dead_letter.stage == Stage.CRASH
        decoded = None if is_crash else self.dead_letter.decoded
        problem = decoded.violations[0].detail if type(decoded) is Invalid else ""
        return ": ".join(filter(None, (frame_name(frame), problem)))

    def _reasons(self) -> Iterator[tuple[str, str]]:
        for problem in self.dead_letter.problems:
            yield "reason", " ".join(filter(None, problem))
        kind = self.result.kind
        if kind is RecheckKind.OTHER:
            for problem in self.result.problems:
                yield "now", f"{kind}: {' '.join(filter(None, problem))}"
        else:
            yield "now", ": ".join(filter(None, (kind, self.result.detail)))

    def _facts(self) -> Iterator[tuple[str, str]]:
        """Name and text of everything that is known."""
        dead_letter, header = self.dead_letter, self.dead_letter.header
        first = header(DlqHeader.FIRST_FAILED_AT)
        since = f" (the first time {first})" if dead_letter.attempt > 1 and first else ""
        group, contract = header(DlqHeader.GROUP), header(TrackHeader.CONTRACT)
        by = f"{header(DlqHeader.APP)}, group {group}, contract {contract}"
        ours = dead_letter.header_format == TRACK
        facts = {
            "done": self.done,
            "failed": f"{iso_time(dead_letter.failed_at)}, attempt {dead_letter.attempt}{since}",
            "stage": dead_letter.stage,
            "source": dead_letter.source.text() if dead_letter.source else "unknown",
            "sent": iso_time(dead_letter.source_timestamp),
            "event": dead_letter.event,
            "message id": dead_letter.message_id,
            "library": dead_letter.library,
            "rejected by": by if ours else dead_letter.header_format,
            "replay": header(DlqHeader.REPLAY),
            "key": self._text(dead_letter.record.key),
            "framing": self._framing(),
        }
        yield from ((name, text) for name, text in facts.items() if text)


def _print_fact(name: str, text: str, style: str = "") -> None:
    print_line(Text.assemble((f"{name:<12} ", "bold"), (one_line(text), style)))
