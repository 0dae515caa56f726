"""What Linux alone has, and what the program does where it is not there."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

from tests.unit.test_imports import MODULES

LINUX_ALONE: Final = {
    "memfd_create": "pipeline.worker.shared_state",
    "mallopt": "pipeline.worker.memory_tuning",
    "prctl": "pipeline.demo.local_kafka.guard",
}
"""Each is used in one place, which does without it."""
ABSENT: Final = frozenset(
    {
        "sched_getaffinity",
        "sigtimedwait",
        "pipe2",
        "pidfd_open",
        "posix_fadvise",
        "copy_file_range",
        "O_TMPFILE",
    }
)
"""Used nowhere."""


def _used(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_calls_that_other_systems_lack_are_known() -> None:
    """Such calls are made where it is known that they may be missing, and nowhere else."""
    for module, path in MODULES.items():
        used = _used(path)
        assert used.isdisjoint(ABSENT), module
        assert {LINUX_ALONE[name] for name in used & LINUX_ALONE.keys()} <= {module}
