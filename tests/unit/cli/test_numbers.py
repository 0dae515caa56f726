"""Options that take a number."""

from __future__ import annotations

from typing import Final

import pytest

from pipeline.errors import ExitCode
from tests.unit.cli.program import run

KAFKA: Final = {"TRACK_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
"""Nobody listens there: what is refused before is refused without it."""
COMMANDS: Final = {
    "replay --rate": (),
    "replay --max-invalid-ratio": (),
    "dlq redrive --rate": (),
    "dlq import --rate": ("/dev/null",),
    "generate --rate": ("--topic", "track.raw"),
    "generate --invalid-share": (),
    "generate --batch-share": (),
    "topics create --retention-days": (),
    "topics create --dead-letter-retention-days": (),
}


@pytest.mark.parametrize("option", COMMANDS)
@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "-2", "1e400", "x", ""])
def test_text_that_is_not_a_number_is_rejected(option: str, number: str) -> None:
    """Nothing is begun with a rate, share or duration that is not a finite number."""
    ran = run(*option.split(), number, *COMMANDS[option], env=KAFKA)
    assert (ran.code, ran.out) == (ExitCode.USAGE, b"")
    assert f"Invalid value for '{option.rsplit(maxsplit=1)[-1]}'" in ran.err


@pytest.mark.parametrize("option", ["replay --rate", "dlq redrive --rate", "generate --rate"])
def test_rate_of_zero_is_rejected(option: str) -> None:
    """A run at such a rate would never end."""
    ran = run(*option.split(), "0", env=KAFKA)
    assert ran.code == ExitCode.USAGE


def test_count_that_no_computer_reaches_is_rejected() -> None:
    """Such a count is rejected like any other number that is out of range."""
    assert run("generate", "--count", str(10**30)).code == ExitCode.USAGE
