"""The compiled core in a process of its own, to compare the core as plain Python with.

The child reads records from its standard input and writes outputs to its standard output, in
MessagePack, each with its length before it. TRACK_CORE decides which core a process has.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import msgspec

from pipeline.compiled.choice import VARIABLE, Core, CoreUnavailableError, choose
from tests.oracle.cores import today
from tests.oracle.corpus import Case

_encode: Final = msgspec.msgpack.Encoder().encode


def is_there() -> bool:
    """Whether this checkout has a compiled core of its sources."""
    try:
        choose({VARIABLE: Core.COMPILED})
    except CoreUnavailableError:
        return False
    return True


class CompiledCore:
    """A child process with the compiled core."""

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=os.environ | {VARIABLE: Core.COMPILED.value},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def differing(self, cases: Sequence[Case]) -> list[Case]:
        """The records for which the two cores differ in any byte, or end the process."""
        answers = self._ask(cases)
        if answers is None and len(cases) == 1:
            return list(cases)
        if answers is None:
            return [case for case in cases if self.faults(case)]
        return [
            case for case, answer in zip(cases, answers, strict=True) if answer != outputs_of(case)
        ]

    def faults(self, case: Case) -> list[str]:
        """What differs for one record, in a line."""
        answers = self._ask([case])
        if answers is None:
            return [f"the compiled core ended its process: {case.record.value!r}"]
        plain = outputs_of(case)
        return [] if answers[0] == plain else [f"compiled: {answers[0]!r}, plain: {plain!r}"]

    def _ask(self, cases: Sequence[Case]) -> list[bytes] | None:
        """Outputs of the compiled core; None when its process has ended, and a new one is there."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            _write(stdin, _encode(cases))
            return msgspec.msgpack.decode(_read(stdout), type=list[bytes])
        except (OSError, EOFError):
            self.__exit__(None, None, None)
            self._start()
            return None


def outputs_of(case: Case) -> bytes:
    """Outputs as bytes, or the error that was raised."""
    try:
        return repr(today(case)).encode()
    except Exception as error:  # noqa: BLE001  it is the outcome
        return type(error).__name__.encode()


def _write(stream: BinaryIO | Any, message: bytes) -> None:
    stream.write(len(message).to_bytes(8, "big") + message)
    stream.flush()


def _read(stream: BinaryIO | Any) -> bytes:
    size = stream.read(8)
    if len(size) < 8:
        raise EOFError
    return bytes(stream.read(int.from_bytes(size, "big")))


def _serve(stdin: BinaryIO, stdout: BinaryIO) -> None:
    while True:
        try:
            cases = msgspec.msgpack.decode(_read(stdin), type=list[Case])
        except EOFError:
            return
        _write(stdout, _encode([outputs_of(case) for case in cases]))


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
