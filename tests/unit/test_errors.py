"""The tree of errors, and the exit codes of commands."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import pipeline.errors
from pipeline.errors import ExitCode, TrackError


def _drawn() -> Iterator[tuple[int, str, int | None]]:
    """Depth, name and exit code of each line of the drawing."""
    line = re.compile(
        r"^ {4}((?:[│ ] {3})*(?:[├└]── )?)(\w+Error)(?: +(\d+))?(?: |$)", re.MULTILINE
    )
    for branch, name, code in line.findall(pipeline.errors.__doc__ or ""):
        yield len(branch) // 4, name, int(code) if code else None


def _classes(root: type[TrackError], depth: int = 0) -> Iterator[tuple[int, type[TrackError]]]:
    yield depth, root
    for kind in root.__subclasses__():
        yield from _classes(kind, depth + 1)


def test_the_drawing_shows_every_error_at_its_place_with_its_exit_code() -> None:
    """Who reads the top of the file knows how wide to catch, and what a command ends with."""
    _, *real = [(depth, kind.__name__, kind.exit_code) for depth, kind in _classes(TrackError)]
    (_, root, _), *drawn = _drawn()
    assert root == "TrackError"
    assert sorted(drawn) == sorted(real)


@pytest.mark.parametrize("kind", [kind for _, kind in _classes(TrackError)])
def test_every_error_is_declared_in_the_one_file(kind: type[TrackError]) -> None:
    """No module adds an error that the tree does not show."""
    assert kind.__module__ == "pipeline.errors"


def test_every_exit_code_has_a_meaning_and_zero_alone_is_success() -> None:
    """Every exit code is explained; 0 is the only success."""
    assert all(code.meaning for code in ExitCode)
    assert [code for code in ExitCode if not code] == [ExitCode.OK]
    assert {int(code) for code in ExitCode} == {0, 1, 2, 3, 4, 5, 6, 70, 74, 130, 141}
