"""JSON Pointers: what people write, and what stands in data."""

from __future__ import annotations

import pytest

from pipeline.core.json_pointer import find, tokens
from pipeline.errors import ExitCode
from tests.unit.cli.program import run


@pytest.mark.parametrize("text", ["a", "", "/a~", "/a~2", "/~/b", "/~~0", "/a~b"])
def test_invalid_pointers_are_reported(text: str) -> None:
    """RFC 6901 has two escapes; anything else is a mistake and would never match."""
    with pytest.raises(ValueError, match="is not a JSON Pointer"):
        tokens(text)


def test_escapes_are_resolved_in_order() -> None:
    """The text `~01` is a `~` and a 1, not a slash."""
    document = {"a/b": {"~": {"~1": 5}}}
    assert find(document, "/a~1b/~0/~01") == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "--value", "/a/~2=1"),
        ("dlq", "check", "--set", "/a/~2=1"),
        ("dlq", "check", "--delete", "/a/~2"),
        ("dlq", "redrive", "--replace", "/a/~2=b=c"),
        ("dlq", "summary", "--by", "/a/~2"),
    ],
)
def test_invalid_pointers_are_wrong_usage(arguments: tuple[str, ...]) -> None:
    """An invalid pointer in an option is reported before anything is read."""
    ran = run(*arguments, env={"TRACK_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert ran.code == ExitCode.USAGE
    assert "write ~ as ~0" in ran.err
