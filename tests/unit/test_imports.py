"""Who may import whom: layers, the Kafka client, the terminal's libraries."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = "pipeline"
TESTS: Final = "tests"
"""No module may import it: also an old core is kept there, to compare with."""

_GROUND: Final = frozenset({"core", "errors", "ports"})
_TOOLS: Final = _GROUND | {
    "avro",
    "evolution",
    "service",
    "files",
    "identity",
    "kafka",
    "metrics",
    "preflight",
    "progress",
    "reading",
    "reconcile",
    "registry",
    "settings",
    "topic_changes",
    "topic_roles",
    "topics",
    "tracing",
    "wiring",
    "worker",
}
ALLOWED: Final[dict[str, frozenset[str]]] = {
    "compiled": frozenset(),
    "core": frozenset(),
    "errors": frozenset({"core"}),
    "ports": frozenset({"core", "errors"}),
    "identity": frozenset({"core"}),
    "progress": _GROUND,
    "settings": frozenset({"compiled", "core", "errors"}),
    "topics": _GROUND,
    "topic_changes": _GROUND | {"topics"},
    "topic_roles": _GROUND | {"settings", "topics"},
    "avro": frozenset({"core", "errors"}),
    "evolution": frozenset({"avro", "core", "errors"}),
    "registry": _GROUND | {"avro", "settings"},
    "reading": _GROUND | {"avro", "registry"},
    "files": _GROUND | {"settings"},
    "kafka": _GROUND | {"settings"},
    "metrics": _GROUND | {"identity"},
    "tracing": _GROUND | {"settings"},
    "worker": _GROUND | {"identity", "metrics"},
    "wiring": _GROUND
    | {"avro", "kafka", "metrics", "registry", "settings", "topics", "tracing", "worker"},
    "service": _GROUND
    | {"compiled", "identity", "kafka", "metrics", "preflight", "settings", "topics"}
    | {"wiring", "worker"},
    "preflight": _GROUND | {"kafka", "registry", "settings", "topics", "wiring"},
    "reconcile": _TOOLS - {"reconcile"},
    "replay": _TOOLS,
    "dlq": _TOOLS,
    "monitor": _TOOLS | {"dlq", "replay"},
    "demo": _TOOLS | {"compiled"},
    "cli": _TOOLS | {"compiled", "demo", "dlq", "monitor", "replay"},
    "__main__": frozenset({"cli", "compiled"}),
}
"""What each place may import besides itself; nothing here points upwards or back."""

ONLY_IN: Final = {
    "confluent_kafka": "kafka",
    "click": "cli",
    "rich": "cli",
    "prometheus_client": "metrics",
    "opentelemetry": "tracing",
    "fastavro": "avro",
    "mypyc": "compiled",
    "setuptools": "compiled",
}
"""The one place that may import each library."""

PARTS_ONLY_IN: Final = {"confluent_kafka.schema_registry": "registry"}
"""The one place that may import a part of a library whose rest belongs to another place."""

LOOP: Final = frozenset(
    {
        "pipeline.worker.loop",
        "pipeline.worker.transaction",
        "pipeline.worker.transaction_size",
        "pipeline.worker.circuit_breaker",
        "pipeline.worker.bisection",
        "pipeline.worker.recovery",
    }
)
"""The worker's loop, which knows the world only as `ports`: no process, signal, clock or log."""


CHOOSES_THE_CORE: Final = {"pipeline.core": frozenset({"compiled"})}
"""The package itself may import what no module in it may: it asks where its modules are."""


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


def _place(name: str) -> str:
    """The layer of a module: the first name below the package; empty for the package itself."""
    return name.split(".")[1] if "." in name else ""


def _may_import(name: str, imported: str) -> bool:
    library = imported.split(".", maxsplit=1)[0]
    for part, place in PARTS_ONLY_IN.items():
        if imported == part or imported.startswith(f"{part}."):
            return _place(name) == place
    if library in ONLY_IN:
        return _place(name) == ONLY_IN[library]
    if library == TESTS:
        return False
    if library != PACKAGE or not _place(imported):
        return True
    if name in LOOP:
        return _place(imported) in _GROUND or imported in LOOP
    allowed = CHOOSES_THE_CORE.get(name, ALLOWED[_place(name)])
    return _place(imported) == _place(name) or _place(imported) in allowed


def _violations(name: str, source: str) -> list[str]:
    """Imports that break the rule."""
    return [
        imported for imported in dict.fromkeys(_imports(source)) if not _may_import(name, imported)
    ]


def _source(name: str) -> str:
    return MODULES[name].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MODULES)
def test_no_module_imports_what_it_must_not_know(name: str) -> None:
    """No module imports what it must not know."""
    assert list(_violations(name, _source(name))) == []


def test_no_import_goes_in_a_circle() -> None:
    """Each module can be understood after those that it imports."""
    graph = {
        name: {each for each in _imports(_source(name)) if each in MODULES and each != name}
        for name in MODULES
    }
    graphlib.TopologicalSorter(graph).prepare()


def test_layers_do_not_form_a_circle() -> None:
    """The table of layers itself points in one direction."""
    graphlib.TopologicalSorter(ALLOWED).prepare()


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("pipeline.core.money", "from pipeline.ports import Batch"),
        ("pipeline.core.money", "from pipeline import worker"),
        ("pipeline.core.process", "from tests.oracle.contract_1 import decode"),
        ("pipeline.core.money", "def late():\n    import pipeline.worker.memory_broker"),
        ("pipeline.core.money", "from pipeline.compiled.choice import chosen"),
        ("pipeline.ports", "import pipeline.worker"),
        ("pipeline.worker.loop", "from pipeline.settings.model import Settings"),
        ("pipeline.worker.loop", "from pipeline.worker.observe import LogMeter"),
        ("pipeline.worker.memory_broker", "from pipeline.kafka import Admin"),
        ("pipeline.kafka.admin", "from pipeline.wiring import make_session"),
        ("pipeline.kafka.admin", "from pipeline.worker.observe import LogMeter"),
        ("pipeline.files.transform", "from pipeline.cli import run"),
        ("pipeline.reconcile.audit.run", "from pipeline.replay import plan"),
        ("pipeline.replay.runner", "from pipeline.dlq.ledger import Ledger"),
        ("pipeline.dlq.redrive", "import click"),
        ("pipeline.demo.check", "from rich.table import Table"),
        ("pipeline.demo.check", "from pipeline.cli.output import table"),
        ("pipeline.worker.memory_broker", "from confluent_kafka import Consumer"),
        ("pipeline.wiring", "import confluent_kafka.admin"),
        ("pipeline.wiring", "from opentelemetry.trace import Tracer"),
    ],
)
def test_each_kind_of_violation_is_seen(name: str, source: str) -> None:
    """Each kind of violation is seen."""
    assert len(_violations(name, source)) == 1


def test_whole_package_is_looked_at() -> None:
    """The layers that the rule speaks of are the places that there are."""
    assert {_place(name) for name in MODULES} - {""} == set(ALLOWED)
    assert set(MODULES) >= LOOP
