"""`track-pipeline dlq export`: dead letters as NDJSON, to keep, search, or edit and import."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click

from pipeline.cli.dlq.notes import note_coverage, reading_progress
from pipeline.cli.dlq.options import Display, dlq_command, groups
from pipeline.cli.formats import counted
from pipeline.cli.help import Command
from pipeline.cli.options import config_file, overwrite_option
from pipeline.cli.output import print_notice
from pipeline.core.escape import escaped
from pipeline.dlq.export import export
from pipeline.dlq.request import DlqRequest
from pipeline.files.lines import printable
from pipeline.files.outputs import FileOutput, whole_output

_STANDARD: Final = "-"
_MASKED: Final = "personal data is masked, so this export can't be imported (--reveal: as it is)"


@click.command(
    "export",
    cls=Command,
    groups=groups({"File": ["--output", "--overwrite"]}),
    examples={
        "Export, edit, and send the events again": (
            "track-pipeline dlq export --reveal --output bad.ndjson\n"
            "track-pipeline dlq import - < bad.ndjson"
        )
    },
)
@click.option("--output", metavar="FILE", help="Write here instead of to standard output.")
@overwrite_option
@dlq_command
def export_dead_letters(
    request: DlqRequest, display: Display, output: str | None, *, overwrite: bool
) -> None:
    """Write dead letters with everything that is needed to send them again, one per line.

    A value that is a JSON object stands in `value` as it was sent, and may be edited; any other is
    text or base64, as `encoding` says. Tools that rewrite numbers (jq before 1.7) change them.

    Exit code 0, also when there are none.
    """
    to_file = output not in {None, _STANDARD}
    with (
        _target(output, overwrite=overwrite) as write,
        reading_progress(printing=not to_file) as on_progress,
    ):
        result = export(
            request,
            write,
            reveal=display.reveal,
            on_progress=on_progress,
            on_notice=print_notice,
        )
    if output is not None and to_file:
        print_notice(f"{counted(result.count, 'dead letter')} written to {printable(output)}")
    if result.count and not display.reveal:
        print_notice(_MASKED)
    note_coverage(request, result.coverage, result.count)


@contextmanager
def _target(name: str | None, *, overwrite: bool) -> Iterator[Callable[[bytes], object]]:
    if name is None or name == _STANDARD:
        on_terminal = sys.stdout.isatty()

        def write(line: bytes) -> None:
            sys.stdout.buffer.write(escaped(line.decode()).encode() if on_terminal else line)

        yield write
        sys.stdout.buffer.flush()
        return
    # Half an export looks like a whole one.
    output = FileOutput("--output", name, config_file(), overwrite)
    try:
        with whole_output(output) as file:
            yield file.write
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), printable(name)) from error
