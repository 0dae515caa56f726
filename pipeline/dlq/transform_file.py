"""Repairs by a user's Python file.

It defines `transform(event, dead_letter)`, `transform_bytes(value, dead_letter)`, or both. They are
called with positional arguments, so parameters may have any name.

The file runs in a process of its own. So nothing that it does (exit, crash, never return, print)
ends the command, holds it up for ever, or gets into its output.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pipeline.dlq.child_process import ChildEndedError, ChildProcess
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.repair import EventRepair, RepairError, what_happened
from pipeline.errors import UnusableFileError
from pipeline.files.lines import printable

EVENT_TIMEOUT_S: Final = 10
_EVENT: Final = "transform"
_BYTES: Final = "transform_bytes"
_HASH_DIGITS: Final = 12
_MOST_ENDS: Final = 3
"""Number of dead letters in a row that may end the process. After these it is assumed that all
others would, too, each after its time limit."""


def load_transform(path: Path, timeout_s: float = EVENT_TIMEOUT_S) -> FileRepair:
    """Load the repair in a Python file; `timeout_s` is its time limit for one dead letter.

    Raises UnusableFileError when the file can't be read, does not run, or has neither function.
    """
    try:
        source = path.read_bytes()  # once: it may be a pipe
    except OSError as error:
        raise UnusableFileError(f"{path}: {error.strerror or error}") from error
    repair = FileRepair(path, source, timeout_s)
    repair.start()
    return repair


class FileRepair:
    """Implements `repair.Repair`; its process runs until `end`, and is restarted when needed."""

    def __init__(self, path: Path, source: bytes, timeout_s: float) -> None:
        digest = hashlib.sha256(source).hexdigest()[:_HASH_DIGITS]
        self.name = f"{printable(path.name)} sha256:{digest}"
        self._path = path
        self._timeout_s = timeout_s
        self._child = ChildProcess(_prepare, path, source, self.name)
        self._ends = 0

    def start(self) -> None:
        """Run the file; raises UnusableFileError when it can't be used."""
        try:
            self._child.start()
        except ChildEndedError as error:
            raise UnusableFileError(f"{self._path} does not run: it {error}") from error

    def apply(self, dead_letter: DeadLetter) -> bytes | None:
        """Repair a dead letter; raises UnusableFileError when each one seems to end the process."""
        self.start()
        try:
            changed: bytes | None = self._child.call(dead_letter, self._timeout_s)
        except ChildEndedError as error:
            raise self._ended(dead_letter, error) from error
        except RepairError:
            self._ends = 0
            raise
        if changed != (dead_letter.value or b""):  # else its functions may not have been called
            self._ends = 0
        return changed

    def _ended(self, dead_letter: DeadLetter, error: ChildEndedError) -> Exception:
        self._ends += 1
        more = " (--transform-timeout)" if error.timed_out else ""
        text = f"{dead_letter.position}: {self.name} {error}{more}"
        if self._ends < _MOST_ENDS:
            return RepairError(text)
        return UnusableFileError(
            f"{text}: it is the {_MOST_ENDS}rd dead letter that ends so, and none was repaired in "
            "between"
        )

    def end(self) -> None:
        """End the process."""
        self._child.end()


def _prepare(path: Path, source: bytes, name: str) -> Callable[[DeadLetter], bytes | None]:
    """Make the function that repairs each dead letter, in the child; raises UnusableFileError."""
    repair = EventRepair(name, *_functions(path, source))

    def apply(dead_letter: DeadLetter) -> bytes | None:
        try:
            return repair.apply(dead_letter)
        except RepairError:
            raise
        except BaseException as error:  # such as SystemExit: it concerns this dead letter only, too
            text = f"{dead_letter.position}: {name} failed: {what_happened(error)}"
            raise RepairError(text) from error

    return apply


def _functions(path: Path, source: bytes) -> list[Any]:
    """Load the two functions; None for one that the file does not have."""
    # A module of its own, that classes can find, and that hides no other one.
    module = ModuleType(f"{path.stem} (--transform)")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102  the operator's own file, given by name
    except BaseException as error:  # sys.exit() too, of a script that was written to be run
        raise UnusableFileError(f"{path} does not run: {what_happened(error)}") from error
    functions = [getattr(module, name, None) for name in (_EVENT, _BYTES)]
    if not any(map(callable, functions)):
        raise UnusableFileError(
            f"{path} has neither a function {_EVENT}(event, dead_letter) nor "
            f"{_BYTES}(value, dead_letter)"
        )
    return functions
