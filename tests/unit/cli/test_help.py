"""Help in groups, with examples."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from pipeline.cli.help import Command
from pipeline.cli.main import cli
from tests.system.docs import shell

_USUAL = {"Which records": ("--to", "--from"), "What to do": ("--execute",)}


@click.command(
    cls=Command,
    groups=_USUAL,
    examples={
        "Everything since yesterday": "track-pipeline again --from 1d",
        "Do it": "track-pipeline again --from 1d \\\n  --execute",
    },
)
@click.argument("name")
@click.option("--from", help="First.")
@click.option("--execute", is_flag=True, help="Do it.")
@click.option("--rare", help="Seldom.")
@click.option("--to", help="Last.")
@click.option("--secret", hidden=True)
def again(**_values: object) -> None:
    """Do it again."""


def test_options_stand_in_groups_and_examples_at_the_end() -> None:
    """The usual ones first, in the order that the groups give; examples can be copied."""
    text = CliRunner().invoke(again, ["--help"]).output
    assert text == (
        "Usage: again [OPTIONS] NAME\n"
        "\n"
        "  Do it again.\n"
        "\n"
        "Which records:\n"
        "  --to TEXT    Last.\n"
        "  --from TEXT  First.\n"
        "\n"
        "What to do:\n"
        "  --execute  Do it.\n"
        "\n"
        "Other options:\n"
        "  --rare TEXT  Seldom.\n"
        "  --help       Show this message and exit.\n"
        "\n"
        "Examples:\n"
        "  # Everything since yesterday\n"
        "  track-pipeline again --from 1d\n"
        "  # Do it\n"
        "  track-pipeline again --from 1d \\\n"
        "    --execute\n"
    )


def test_help_without_groups_is_as_click_writes_it() -> None:
    """A command with few options needs neither groups nor examples."""

    @click.command(cls=Command)
    @click.option("--from", help="First.")
    def plain(**_values: object) -> None:
        """Do it."""

    text = CliRunner().invoke(plain, ["--help"]).output
    assert text == (
        "Usage: plain [OPTIONS]\n\n  Do it.\n\nOptions:\n"
        "  --from TEXT  First.\n  --help       Show this message and exit.\n"
    )


def test_misspelled_option_in_a_group_is_an_error() -> None:
    """Such an option is found when the command is imported, not when somebody reads its help."""
    with pytest.raises(ValueError, match="again has no option --form"):
        Command("again", groups={"Which": ("--form",)})


def _all_commands(group: click.Group) -> Iterator[click.Command]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from _all_commands(command)


def test_every_example_can_be_typed() -> None:
    """Each example of every command is parsed as it stands, and fits into 80 columns."""
    examples = {
        example: command.name
        for command in _all_commands(cli)
        if isinstance(command, Command)
        for example in command.examples.values()
    }
    assert examples
    for example, name in examples.items():
        assert all(len(line) <= 78 for line in example.splitlines()), name
        found = list(shell.commands(example))
        assert any(each.is_ours and name in each.words for each in found)
        for each in found:
            shell.check(each)
