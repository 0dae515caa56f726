"""Who may import whom: the core knows nobody, and only the Kafka edge knows the Kafka client."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = "pipeline"
CLIENT: Final = "confluent_kafka"
KAFKA_EDGE: Final = f"{PACKAGE}.edges.kafka"
EDGES: Final = f"{PACKAGE}.edges"
LOOP: Final = ("pipeline.breaker", "pipeline.narrowing")
"""What the worker's loop is made of, besides core and ports."""
JOINERS: Final = ("pipeline.commands", "pipeline.wiring")
"""May import everything, edges too."""


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES: Final = {_name(path): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}


def _imports(source: str) -> Iterator[str]:
    """Every module that is imported, wherever in the file, as a dotted name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _adapter(name: str) -> str:
    """The edge that a module is part of: `kafka`, `local_kafka`, `memory`, for example."""
    part = name.removeprefix(f"{EDGES}.").split(".")[0]
    return "local_kafka" if part.startswith("local_kafka") else part


def _may_import(name: str, imported: str) -> bool:
    """The rule; `imported` is a module of ours."""
    core, ports = _within(imported, "pipeline.core"), imported == "pipeline.ports"
    if _within(name, "pipeline.core"):
        return core
    if name == "pipeline.ports":
        return core
    if name == "pipeline.worker":
        return core or ports or imported in LOOP
    if _within(name, EDGES):
        return core or ports or (_within(imported, EDGES) and _adapter(name) == _adapter(imported))
    if any(_within(name, joiner) for joiner in JOINERS):
        return True
    return not (_within(imported, EDGES) or _within(imported, "pipeline.commands"))


def _offences(name: str, source: str) -> list[str]:
    """Imports that break the rule."""
    found = []
    for imported in _imports(source):
        if _within(imported, PACKAGE):
            if not _may_import(name, imported):
                found.append(imported)
        elif _within(imported, CLIENT) and not _within(name, KAFKA_EDGE):
            found.append(imported)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_rule(name: str) -> None:
    """No module imports what it must not know."""
    assert _offences(name, MODULES[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("pipeline.core.money", "from pipeline.ports import Batch"),
        ("pipeline.core.money", "from pipeline import worker"),
        ("pipeline.core.money", "def late():\n    import pipeline.edges.memory"),
        ("pipeline.ports", "import pipeline.worker"),
        ("pipeline.worker", "from pipeline.settings import Settings"),
        ("pipeline.worker", "from pipeline.edges import kafka"),
        ("pipeline.edges.memory", "from pipeline.edges.kafka import Admin"),
        ("pipeline.edges.kafka.admin", "from pipeline.settings import Settings"),
        ("pipeline.transform", "from pipeline.edges.observe import LogMeter"),
        ("pipeline.transform", "from pipeline.commands import run"),
        ("pipeline.edges.memory", "from confluent_kafka import Consumer"),
        ("pipeline.wiring", "import confluent_kafka.admin"),
    ],
)
def test_rule_can_be_broken(name: str, source: str) -> None:
    """Each kind of offence is seen."""
    assert len(_offences(name, source)) == 1


def test_whole_package_is_looked_at() -> None:
    """The layers that the rule speaks of exist under these names."""
    for layer in ("pipeline.core", "pipeline.ports", "pipeline.worker", KAFKA_EDGE, *JOINERS):
        assert layer in MODULES
