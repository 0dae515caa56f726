"""Chooses the core that runs. `pipeline.core` asks when it is imported, and nothing else decides.

A build is a directory of extension modules, named by a digest of the sources that it was made from
and of the Python that it was made for. Where it exists, it comes before the sources in the path of
the package `pipeline.core`; modules that are not compiled are found behind it. So both cores live
side by side, and a build that does not fit is never imported.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from enum import StrEnum
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final, NamedTuple

VARIABLE: Final = "TRACK_CORE"
SOURCES: Final = Path(__file__).parents[1] / "core"
BUILDS: Final = Path(__file__).parent / "builds"

PLACE: Final = Path("pipeline", "core")
"""Directory of the extension modules, below that of a build."""
_DIGITS: Final = 32
_HOW_TO_BUILD: Final = "`make compiled` in a checkout, else `python -m pipeline.compiled.build`"


class Core(StrEnum):
    """Values of the variable, and what `--version` calls the core that runs."""

    PYTHON = "python"
    COMPILED = "compiled"


class CoreUnavailableError(ImportError):
    """The core that the environment asks for can't be had; the text says why, and what to do."""


class Choice(NamedTuple):
    """The core that was chosen."""

    core: Core
    directories: tuple[str, ...] = ()
    """Directories of its extension modules and their library, which come before the sources."""
    unused: str = ""
    """Why a build that exists is not used."""

    def __str__(self) -> str:
        """Text of the form `python`, with the reason if there is a build that is not used."""
        return f"{self.core} ({self.unused})" if self.unused else str(self.core)


def digest(sources: Path = SOURCES) -> str:
    """Name of the build for the sources as they are now and for this Python.

    It covers all modules of the core, since mypyc writes constants and types of one into others,
    and the build itself, which lists what is compiled.
    """
    seen = hashlib.sha256(EXTENSION_SUFFIXES[0].encode())
    for path in (Path(__file__).with_name("build.py"), *sorted(sources.glob("*.py"))):
        content = path.read_bytes()
        seen.update(f"\0{path.name}\0{len(content)}\0".encode())
        seen.update(content)
    return seen.hexdigest()[:_DIGITS]


def choose(environ: Mapping[str, str], builds: Path = BUILDS, sources: Path = SOURCES) -> Choice:
    """The core for these variables: the compiled one if it fits, or the one that is asked for.

    CoreUnavailableError when that one does not exist.
    """
    wanted = environ.get(VARIABLE, "")
    if wanted not in {"", *Core}:
        raise CoreUnavailableError(f"{VARIABLE}={wanted!r} is neither python nor compiled")
    if wanted == Core.PYTHON:
        return Choice(Core.PYTHON)
    others = [each.name for each in builds.glob(f"{'[0-9a-f]' * _DIGITS}")]
    fitting = digest(sources) if others else ""
    if fitting in others:
        made = builds / fitting
        return Choice(Core.COMPILED, (str(made / PLACE), str(made)))
    unused = "the compiled core is one of other sources or for another Python" if others else ""
    if wanted == Core.COMPILED:
        reason = unused or "there is no compiled core"
        raise CoreUnavailableError(
            f"{VARIABLE}=compiled, but {reason}: build it ({_HOW_TO_BUILD}), or unset {VARIABLE}"
        )
    return Choice(Core.PYTHON, unused=unused)


@functools.cache
def chosen() -> Choice:
    """The core of this process. CoreUnavailableError each time when it can't be had."""
    return choose(os.environ)
