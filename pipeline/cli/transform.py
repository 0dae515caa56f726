"""`track-pipeline transform`: files of events in, enriched events out, without Kafka."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from pipeline.cli.options import (
    config_file,
    offline_processor,
    overwrite_option,
    received_at_option,
    with_settings,
)
from pipeline.cli.streams import STANDARD_OUTPUT
from pipeline.core.escape import one_line
from pipeline.core.reasons import Reason
from pipeline.errors import ExitCode
from pipeline.files.lines import STDIN, OpenedInput, check_inputs, open_input, printable
from pipeline.files.outputs import FileOutput, check_redirection, opened_output
from pipeline.files.transform import NamedFile, Transformer, TransformOptions, TransformResult

if TYPE_CHECKING:
    from pipeline.settings.model import Settings

_STDOUT: Final = "-"
_TAKEN: Final = (
    "--dead-letters -: standard output has the enriched events; name a file, or /dev/stderr"
)


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE…|-]")
@click.option(
    "--dead-letters",
    metavar="FILE",
    help="Write refused events here, one JSON object per line.",
)
@overwrite_option
@received_at_option
@click.option("--strict", is_flag=True, help="ExitCode 1 when an event was refused.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@with_settings()
@click.pass_context
def transform(  # noqa: PLR0913  one for each flag
    ctx: click.Context,
    *,
    files: tuple[str, ...],
    dead_letters: str | None,
    overwrite: bool,
    received_at: int | None,
    strict: bool,
    as_json: bool,
    settings: Settings,
) -> None:
    """Enrich newline-delimited JSON events, as the worker would.

    Reads files (unpacks .gz and .zst) or standard input; blank lines are skipped. Enriched events
    go to standard output, identify messages too where the settings have rules for them. The
    summary goes to standard error.

    Exit code 0 also when events were refused, 1 then with --strict.
    """
    if dead_letters == _STDOUT:
        raise click.UsageError(_TAKEN)
    names = list(files) or [STDIN]
    check_redirection(names)
    check_inputs(names)
    output = None
    if dead_letters is not None:
        inputs = (*names, *config_file())
        output = FileOutput("--dead-letters", dead_letters, inputs, overwrite)
    with _dead_letter_file(output) as letters:
        transformer = Transformer(
            offline_processor(settings),
            NamedFile(STANDARD_OUTPUT, sys.stdout.buffer),
            letters,
            TransformOptions(
                received_at, time.time_ns() // 1_000_000, sys.stdout.isatty(), _tell_of_bug
            ),
        )
        result = transformer.result
        try:
            _transform_all(transformer, names, quiet=as_json)
            result.complete = True
        finally:
            _print_summary(result, letters, as_json=as_json)
    ctx.exit(ExitCode.DIFFERENCE if strict and result.counts.rejected else ExitCode.OK)


def _transform_all(transformer: Transformer, names: list[str], *, quiet: bool) -> None:
    result = transformer.result
    with _progress(quiet=quiet) as progress:
        for name in names:
            with open_input(name) as source:
                if name == STDIN and sys.stdin.isatty():
                    click.echo("reading events from the terminal; Ctrl-D ends", err=True)
                task = progress.add_task(_title(source), total=source.size, counts="")

                def show(position: int, task: TaskID = task) -> None:
                    counts = (
                        f"{result.counts.enriched:,} enriched, {result.counts.rejected:,} refused"
                    )
                    progress.update(task, completed=position, counts=counts)

                transformer.transform(source.input, show)


def _title(source: OpenedInput) -> str:
    name = "standard input" if source.input.name == STDIN else source.input.name
    return one_line(name)


def _progress(*, quiet: bool) -> Progress:
    """A bar where the size is known, else a spinner; only where it disturbs nobody."""
    seen = sys.stderr.isatty() and not sys.stdout.isatty() and not quiet
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not seen,
    )


@contextmanager
def _dead_letter_file(output: FileOutput | None) -> Iterator[NamedFile | None]:
    """Open the file before anything is read, so that no letter is refused for want of it."""
    if output is None:
        yield None
        return
    file = opened_output(output)
    target = NamedFile(printable(output.name), file)
    try:
        yield target
    except BaseException:
        with suppress(OSError):  # closing tries once more to write what could not be written
            file.close()
        raise
    target.close()


def _tell_of_bug(source: str, error: Exception) -> None:
    click.echo(
        f"{one_line(source)}: a bug in this program stopped the line ({type(error).__name__}); it "
        "becomes a dead letter processing_error; please report it",
        err=True,
    )


def _print_summary(result: TransformResult, letters: NamedFile | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result.to_dict()), err=True)
    elif sys.stderr.isatty():
        _print_tables(result, letters)
    else:
        for name, count, note in _counts(result, letters):
            click.echo(f"{name:<12} {count:>9,}  {note}".rstrip(), err=True)
        for code, count in result.counts.dead_letters.most_common():
            click.echo(f"  {code:<24} {count:>9,}  {Reason(code).meaning}", err=True)
    if not result.complete and not as_json:
        click.echo("stopped before the end: not everything was read, or written", err=True)


def _counts(result: TransformResult, letters: NamedFile | None) -> Iterator[tuple[str, int, str]]:
    yield "lines", result.lines, f"{result.blank:,} blank" if result.blank else ""
    yield "events", result.counts.events, ""
    yield "enriched", result.counts.enriched, ""
    if result.counts.identify:
        yield "identify", result.counts.identify, "messages beside the enriched events"
    if result.counts.dropped:
        yield "dropped", result.counts.dropped.total(), "on_other_type is drop"
    where = ""
    if result.counts.rejected:
        where = (
            f"in {one_line(letters.name)}"
            if letters
            else "only counted; --dead-letters FILE keeps them"
        )
    yield "dead letters", result.counts.rejected, where


def _print_tables(result: TransformResult, letters: NamedFile | None) -> None:
    console = Console(stderr=True, markup=False, highlight=False)
    counts = Table(box=None, show_header=False)
    counts.add_column()
    counts.add_column(justify="right")
    counts.add_column(style="dim")
    for name, count, note in _counts(result, letters):
        counts.add_row(name, f"{count:,}", note)
    console.print(counts)
    if result.counts.dead_letters:
        reasons = Table("reason", "events", "meaning", header_style="bold")
        reasons.columns[1].justify = "right"
        for code, count in result.counts.dead_letters.most_common():
            reasons.add_row(code, f"{count:,}", Reason(code).meaning)
        console.print(reasons)
