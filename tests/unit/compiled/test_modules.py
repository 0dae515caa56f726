"""The list of compiled modules has all that is worth it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from pipeline.compiled.build import MODULES, NOT_COMPILED
from pipeline.compiled.choice import SOURCES

HOT: Final = frozenset(
    {
        "batch",
        "dead_letter",
        "decode",
        "identities",
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
    """A new module of the core is in one of the two lists; neither has one that is not needed."""
    assert sorted([*MODULES, *NOT_COMPILED]) == sorted(_needed("process"))


def test_modules_that_work_for_each_event_are_compiled() -> None:
    """No module of these becomes slow by moving to the other list."""
    assert set(MODULES) >= HOT
