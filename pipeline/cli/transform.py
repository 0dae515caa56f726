"""`track-pipeline transform`: files of events in, enriched events out, without Kafka."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import click
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pipeline.cli.help import Command
from pipeline.cli.options import (
    config_file,
    offline_processor,
    overwrite_option,
    received_at_option,
    with_settings,
)
from pipeline.cli.output import error_console, print_json, print_notice, print_table
from pipeline.cli.streams import STANDARD_OUTPUT
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.core.escape import one_line
from pipeline.core.reasons import Reason
from pipeline.errors import ExitCode
from pipeline.files.archived_records import record_of
from pipeline.files.lines import STDIN, OpenedInput, check_inputs, open_input, printable
from pipeline.files.outputs import FileOutput, check_redirection, opened_output
from pipeline.files.transform import NamedFile, Transformer, TransformOptions, TransformResult

if TYPE_CHECKING:
    from pipeline.settings.model import Settings

_STDOUT: Final = "-"
_TAKEN: Final = "the enriched events go to standard output; name a file, or /dev/stderr"
_NOT_FORWARDED: Final = (
    '--other: no call is forwarded; set on_other_type = "forward" (TRACK_ON_OTHER_TYPE=forward)'
)
_SUMMARY: Final = (
    Column("", CellKind.ID),
    Column("", CellKind.NUMBER),
    Column("", CellKind.TEXT),
)


@click.command(
    cls=Command,
    groups={
        "Output": ("--dead-letters", "--other", "--overwrite", "--json"),
        "Rules": ("--config", "--received-at", "--strict"),
    },
    examples={
        "Enrich a file, and keep what is rejected": (
            "track-pipeline transform events.ndjson.gz --dead-letters rejected.ndjson \\\n"
            "  > enriched.ndjson"
        ),
        "Try it without a file of your own": (
            "track-pipeline generate --count 5 | track-pipeline transform"
        ),
    },
)
@click.argument("files", nargs=-1, metavar="[FILE…|-]")
@click.option(
    "--dead-letters",
    metavar="FILE",
    help="Write rejected events to this file, one JSON object per line.",
)
@click.option(
    "--other",
    metavar="FILE",
    help="Write page, screen, identify, group and alias calls to this file, as they are, with the "
    'setting on_other_type = "forward".',
)
@overwrite_option
@received_at_option
@click.option("--strict", is_flag=True, help="End with exit code 1 when an event is rejected.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@with_settings()
@click.pass_context
def transform(  # noqa: PLR0913  one for each flag
    ctx: click.Context,
    *,
    files: tuple[str, ...],
    dead_letters: str | None,
    other: str | None,
    overwrite: bool,
    received_at: int | None,
    strict: bool,
    as_json: bool,
    settings: Settings,
) -> None:
    """Enrich newline-delimited JSON events, as the worker would.

    Reads files (.gz and .zst are unpacked) or standard input, and skips blank lines. Enriched
    events go to standard output, as do identify messages when the settings have rules for them. A
    summary goes to standard error.

    With the setting input.format avro or auto, lines may also be archived records of Kafka, whose
    values may be framed (Avro, or JSON with a schema id). Enriched events are always JSON.

    The exit code is 0 even when events are rejected; with --strict it is 1 then.
    """
    for option, name in (("--dead-letters", dead_letters), ("--other", other)):
        if name == _STDOUT:
            raise click.UsageError(f"{option} -: {_TAKEN}")
    if other is not None and settings.on_other_type != "forward":
        raise click.UsageError(_NOT_FORWARDED)
    names = list(files) or [STDIN]
    check_redirection(names)
    check_inputs(names)
    inputs = (*names, *config_file())
    with (
        _output_file("--dead-letters", dead_letters, inputs, overwrite=overwrite) as target,
        _output_file("--other", other, inputs, overwrite=overwrite) as other_target,
    ):
        transformer = Transformer(
            offline_processor(settings),
            NamedFile(STANDARD_OUTPUT, sys.stdout.buffer),
            target,
            TransformOptions(
                received_at,
                time.time_ns() // 1_000_000,
                sys.stdout.isatty(),
                _tell_of_bug,
                # Framed records are no text, so that only archived ones can be in a file.
                None if settings.input.format == "json" else record_of,
            ),
            other_target,
        )
        result = transformer.result
        try:
            _transform_all(transformer, names, quiet=as_json)
            result.complete = True
        finally:
            _print_summary(result, target, other_target, as_json=as_json)
    ctx.exit(ExitCode.DIFFERENCE if strict and result.counts.rejected else ExitCode.OK)


def _transform_all(transformer: Transformer, names: list[str], *, quiet: bool) -> None:
    result = transformer.result
    with _progress(quiet=quiet) as progress:
        for name in names:
            with open_input(name) as source:
                if name == STDIN and sys.stdin.isatty():
                    print_notice("reading events from the terminal; Ctrl-D ends the input")
                task = progress.add_task(_title(source), total=source.size, counts="")

                def show(position: int, task: TaskID = task) -> None:
                    counts = (
                        f"{result.counts.enriched:,} enriched, {result.counts.rejected:,} rejected"
                    )
                    progress.update(task, completed=position, counts=counts)

                transformer.transform(source.input, show)


def _title(source: OpenedInput) -> str:
    name = "standard input" if source.input.name == STDIN else source.input.name
    return one_line(name)


def _progress(*, quiet: bool) -> Progress:
    """Show a bar where the size is known, else a spinner, unless it would disturb the output."""
    seen = sys.stderr.isatty() and not sys.stdout.isatty() and not quiet
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
        console=error_console(),
        transient=True,
        redirect_stdout=False,
        disable=not seen,
    )


@contextmanager
def _output_file(
    option: str, name: str | None, inputs: tuple[str, ...], *, overwrite: bool
) -> Iterator[NamedFile | None]:
    """Open the file before anything is read, so that nothing is lost if that fails."""
    if name is None:
        yield None
        return
    file = opened_output(FileOutput(option, name, inputs, overwrite))
    target = NamedFile(printable(name), file)
    try:
        yield target
    except BaseException:
        with suppress(OSError):  # closing tries once more to write what could not be written
            file.close()
        raise
    target.close()


def _tell_of_bug(source: str, error: Exception) -> None:
    print_notice(
        f"{one_line(source)}: a bug in this program stopped the line ({type(error).__name__}); it "
        "becomes a dead letter with the reason processing_error; please report it"
    )


def _print_summary(
    result: TransformResult, target: NamedFile | None, other: NamedFile | None, *, as_json: bool
) -> None:
    if as_json:
        print_json(result.to_dict(), err=True)
        return
    print_table(_SUMMARY, _rows(result, target, other), err=True)
    if not result.complete:
        print_notice("stopped before the end: not all of the input was read, or written")


def _rows(
    result: TransformResult, target: NamedFile | None, other: NamedFile | None
) -> Iterator[tuple[Cell, ...]]:
    counts = result.counts
    yield "lines", result.lines, _note(f"{result.blank:,} blank" if result.blank else "")
    yield "events", counts.events, ""
    yield "enriched", counts.enriched, ""
    if counts.identify:
        yield "identify", counts.identify, _note("messages beside the enriched events")
    if counts.dropped:
        yield "dropped", counts.dropped.total(), _note("by the setting on_other_type")
    if counts.forwarded:
        yield "forwarded", counts.forwarded, _note(_where(other, "--other"))
    where = _where(target, "--dead-letters") if counts.rejected else ""
    yield "dead letters", counts.rejected, _note(where)
    for code, count in counts.dead_letters.most_common():
        yield f"  {code}", count, _note(Reason(code).meaning)


def _where(target: NamedFile | None, option: str) -> str:
    return f"in {target.name}" if target else f"only counted; {option} FILE keeps them"


def _note(text: str) -> Text:
    return Text(one_line(text), "dim")
