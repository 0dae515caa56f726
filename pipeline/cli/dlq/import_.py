"""`track-pipeline dlq import`: sends exported letters, edited or not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from pipeline.cli.dlq.options import Asked, desk_command
from pipeline.cli.dlq.redrive import (
    act_option,
    force_option,
    most_option,
    plan_and_act,
    rate_option,
    replay_option,
)
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.export import read_letters
from pipeline.dlq.import_file import ImportFile, open_import
from pipeline.dlq.live_contract import check_live_rules
from pipeline.dlq.redrive_plan import job_of
from pipeline.errors import ExitCode, UnusableFileError
from pipeline.files.outputs import check_redirection
from pipeline.progress import OnProgress


class Edited:
    """The repair that a person has made in an export; the values are in the letters already."""

    def __init__(self, file: ImportFile) -> None:
        self.name = f"import {Path(file.name).name} sha256:{file.digest}"

    def apply(self, letter: DeadLetter) -> bytes | None:
        """The value of the file."""
        return letter.value or b""


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@desk_command
@rate_option
@most_option("send")
@replay_option
@force_option
@act_option
@click.pass_context
def import_letters(  # noqa: PLR0913  one for each option
    ctx: click.Context,
    asked: Asked,
    *,
    file: str,
    rate: float | None,
    most: int,
    replay: str | None,
    force: bool,
    act: bool,
) -> None:
    """Send the letters of an edited export through the rules; shows the plan unless --execute.

    FILE is what `dlq export --reveal` has written; a pipe, or - for standard input, is copied to a
    temporary file first. As with redrive, each event is sent once.

    Exit code 0 when all were or would be sent, 1 when letters are left.
    """
    check_redirection([str(file)])
    note = check_live_rules(asked, force=force, raw=False)
    with open_import(file) as opened:

        def letters(_: OnProgress | None) -> Iterator[DeadLetter]:
            return islice(_letters(opened, asked), asked.selection.limit)

        job = job_of(asked, letters, Edited(opened), replay=replay)
        left = plan_and_act(asked, job, note, rate=rate, most=most, act=act)
    ctx.exit(ExitCode.DIFFERENCE if left else ExitCode.OK)


def _letters(file: ImportFile, asked: Asked) -> Iterator[DeadLetter]:
    """Those that the filters mean. UnusableFileError for a masked one, or one of another topic."""
    captured, selection = asked.desk.captured, asked.selection
    for exported in read_letters(file.input()):
        letter = exported.letter
        place = f"{file.name}: letter {letter.place}"
        if exported.masked:
            raise UnusableFileError(
                f"{place} is masked, so it is not what was refused: export with --reveal"
            )
        if exported.topic_id != captured.topic_id:
            raise UnusableFileError(
                f"{place} is of another topic than {captured.topic}, or of an older one of "
                "this name: name its topic with --topic"
            )
        if selection.reads(letter.partition, letter.offset) and selection.holds(letter):
            yield letter
