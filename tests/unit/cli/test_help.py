"""Help in groups, with examples."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from pipeline.cli.help import Command

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


def test_misspelled_option_in_a_group() -> None:
    """It is found when the command is imported, not when somebody reads the help."""
    with pytest.raises(ValueError, match="again has no option --form"):
        Command("again", groups={"Which": ("--form",)})
