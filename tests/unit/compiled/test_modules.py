"""The list of compiled modules has all that is worth it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from pipeline.compiled.build import MODULES, NOT_COMPILED
from pipeline.compiled.choice import SOURCES

HOT: Final = frozenset(
    {
        "dead_letter",
        "decode",
        "envelope",
        "identities",
        "members",
        "money",
        "normalise",
        "origin",
        "process",
        "reserved",
        "timestamps",
        "validate",
    }
)
"""Modules whose functions run for each event."""
_CORE: Final = "pipeline.core"


def _imported(module: str) -> Iterator[str]:
    tree = ast.parse((SOURCES / f"{module}.py").read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, name = node.module.rpartition(".")
            if package == _CORE:
                yield name


def _needed(module: str) -> set[str]:
    """The module and all that it imports from the core, directly or not."""
    found, waiting = set[str](), {module}
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= set(_imported(name)) - found
    return found


def test_all_that_processing_needs_is_compiled_or_named() -> None:
    """A new module of the core that events go through is in one of the two lists."""
    assert _needed("process") <= {*MODULES, *NOT_COMPILED}


def test_listed_modules_exist_and_are_listed_once() -> None:
    """No list keeps the name of a module that has gone, and no module is in both."""
    listed = [*MODULES, *NOT_COMPILED]
    assert len(listed) == len(set(listed))
    assert all((SOURCES / f"{name}.py").is_file() for name in listed)


def test_modules_that_work_for_each_event_are_compiled() -> None:
    """No module of these becomes slow by moving to the other list."""
    assert set(MODULES) >= HOT
