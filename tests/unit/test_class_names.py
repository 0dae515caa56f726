"""A class name means one thing in the whole package."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.unit.test_imports import MODULES


def test_no_two_modules_have_a_class_of_the_same_name() -> None:
    """Whoever reads a class name knows which class it is, private ones included."""
    modules: defaultdict[str, list[str]] = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                modules[node.name].append(module)
    assert {name: found for name, found in modules.items() if len(found) > 1} == {}
