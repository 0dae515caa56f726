"""Child processes of a measurement: each figure comes from a process that does nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

PYTHON: Final = "python"
COMPILED: Final = "compiled"
_SECONDS: Final = 1800


@cache
def cores() -> tuple[str, ...]:
    """Return which cores there are: always the Python one, and the compiled one once it is made."""
    asked = subprocess.run(
        [sys.executable, "-m", "pipeline", "--version"],
        env=with_core(COMPILED),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    is_there = asked.returncode == 0 and f"core: {COMPILED}" in asked.stdout
    return (PYTHON, COMPILED) if is_there else (PYTHON,)


def with_core(core: str) -> dict[str, str]:
    """Return the environment of a process that must use this core."""
    return {**os.environ, "TRACK_CORE": core}


def run_child(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Any:
    """Run a module of this folder to its end; returns the JSON of the last line that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{module}", *arguments],
        env=None if environment is None else dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_mb() -> float:
    """Return the largest resident memory that this process has had, in megabytes."""
    # Not getrusage: for a child it includes the peak of its parent.
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123  called in a child
        return (
            next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024 / 1e6
        )
