"""`track-pipeline dlq export`: letters as NDJSON, to keep, to search, or to edit and import."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click

from pipeline.cli.dlq.closing import say_what_was_left_out
from pipeline.cli.dlq.options import Asked, desk_command
from pipeline.cli.options import config_file, overwrite_option
from pipeline.core.escape import escaped
from pipeline.dlq.export import line_of
from pipeline.files.lines import printable
from pipeline.files.outputs import FileOutput, whole_output

_STANDARD: Final = "-"
_MASKED: Final = (
    "personal data is masked, so that this export can't be imported (--reveal: as it is)"
)


@click.command("export")
@click.option("--output", metavar="FILE", help="Write here instead of to standard output.")
@overwrite_option
@desk_command
def export_letters(asked: Asked, output: str | None, *, overwrite: bool) -> None:
    """Write letters with all that is needed to send them again, one JSON object per line.

    A value that is a JSON object stands in `value` as it was sent, and may be edited; any other is
    text or base64, as `encoding` says. Tools that rewrite numbers (jq before 1.7) change them.

    Exit code 0, also when there is none.
    """
    topic_id, count = asked.desk.captured.topic_id, 0
    to_file = output not in {None, _STANDARD}
    with _target(output, overwrite=overwrite) as write:
        for letter in asked.letters(printed=not to_file):
            write(line_of(letter, topic_id, reveal=asked.reveal) + b"\n")
            count += 1
    if output is not None and to_file:
        click.echo(f"{count:,} letters written to {printable(output)}", err=True)
    if count and not asked.reveal:
        click.echo(_MASKED, err=True)
    say_what_was_left_out(asked, count)


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
