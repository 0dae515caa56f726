"""Compiles the core by mypyc: `python -m pipeline.compiled.build`, or `make compiled`.

It needs mypy, setuptools, a C compiler and Python's headers, and takes half a minute. The extension
modules get into a directory below `pipeline/compiled/builds` when all is done; other builds are
removed.

    --remove     only remove all builds, so that the Python sources run again
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final

from pipeline.compiled.choice import BUILDS, PLACE, SOURCES, digest

MODULES: Final = (
    "broken_envelope",
    "dead_letter",
    "decode",
    "encode",
    "envelope",
    "event_times",
    "findings",
    "formats",
    "identities",
    "json_pointer",
    "lookalikes",
    "members",
    "memo",
    "money",
    "normalise",
    "origin",
    "other_calls",
    "output_writer",
    "policy",
    "process",
    "reserved",
    "sent_event",
    "surrogates",
    "timestamps",
    "validate",
    "write_keys",
)
"""Modules of the core that are compiled: those that do work for each event."""
NOT_COMPILED: Final = (
    "contract",
    "currencies",
    "enriched_event",
    "headers",
    "json_value",
    "raw_event",
    "reasons",
    "record",
)
"""Modules that `process` needs and that stay Python: data, and classes that mypyc can't make
(pydantic, msgspec, subclasses of bytes and tuple, enums with a constructor)."""

_MYPY: Final = "[mypy]\nplugins = pydantic.mypy\nignore_missing_imports = True\n"
_LIBRARY: Final = "pipeline.core.compiled"
"""mypyc makes one library of all modules, here with `__mypyc` behind it, and a stub for each."""
_UNFINISHED: Final = "unfinished-"
_OPTIMISATION: Final = "2"


class BuildError(Exception):
    """The core can't be compiled; the text says why, and what to do."""


def build(sources: Path = SOURCES, builds: Path = BUILDS) -> Path:
    """Compile the modules, unless it is done already, and return their directory."""
    made = builds / digest(sources)
    if not made.is_dir():
        builds.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=builds) as work:
            _compile(sources, Path(work)).rename(made)
    for other in builds.iterdir():
        if other != made and not other.name.startswith(_UNFINISHED):
            shutil.rmtree(other)
    return made


def _compile(sources: Path, work: Path) -> Path:
    try:
        import setuptools  # noqa: PLC0415  needed for this alone
        from mypyc.build import mypycify  # noqa: PLC0415
        from setuptools.command.build_ext import build_ext  # noqa: PLC0415
    except ImportError as error:
        raise BuildError(f"{error}: install mypy and setuptools") from error
    (work / "mypy.ini").write_text(_MYPY, encoding="utf-8")
    options = [f"--config-file={work / 'mypy.ini'}", f"--cache-dir={work / 'types'}"]
    said = io.StringIO()
    # Alone in a directory, since mypy takes all that is beside the package for sources as well; and
    # by relative paths, which tracebacks show, and by which Python finds the lines.
    copy = shutil.copytree(sources, work / "sources" / PLACE)
    shutil.copy(sources.parent / "__init__.py", copy.parent)
    with chdir(work / "sources"), redirect_stdout(said), redirect_stderr(said):
        try:
            extensions = mypycify(
                [*options, *(str(PLACE / f"{name}.py") for name in MODULES)],
                opt_level=_OPTIMISATION,
                debug_level="0",
                target_dir=str(work / "c"),
                group_name=_LIBRARY,
            )
            command = build_ext(setuptools.Distribution({"ext_modules": extensions}))
            command.build_lib, command.build_temp = str(work / "lib"), str(work / "objects")
            command.parallel = os.cpu_count()
            command.ensure_finalized()
            command.run()
        except (SystemExit, setuptools.errors.BaseError) as error:
            cause = f"{error}" if isinstance(error, Exception) else "mypyc rejects the sources"
            raise BuildError(f"{said.getvalue()}{cause}") from error
    made = work / "lib"
    # The extension modules take their `__file__` from the place of the library that they share.
    (library,) = (made / PLACE).glob("compiled__mypyc.*")
    library.rename(made / library.name)
    missing = [name for name in MODULES if not any((made / PLACE).glob(f"{name}.*"))]
    if missing:
        raise BuildError(f"there is no extension module for {', '.join(missing)}")
    return made


def main(arguments: Sequence[str]) -> int:
    """Build, or remove what was built; the exit code is 1 when it fails."""
    parser = argparse.ArgumentParser(prog="pipeline.compiled.build", description=__doc__)
    parser.add_argument("--remove", action="store_true")
    try:
        if parser.parse_args(arguments).remove:
            shutil.rmtree(BUILDS, ignore_errors=True)
            sys.stdout.write("core: python\n")
        else:
            sys.stdout.write(f"core: compiled, in {build()}\n")
    except (BuildError, OSError) as error:
        sys.stderr.write(f"the core was not compiled: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
