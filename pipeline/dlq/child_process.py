"""A function in a process of its own: it may hang, exit or crash without ending this process."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Final, NamedTuple, cast

_STDOUT, _STDERR = 1, 2
_END_S: Final = 1.0
_START_S: Final = 60.0
"""A process that is started on a busy machine imports for seconds, and so may the user's file."""


class ChildEndedError(Exception):
    """The process has ended, or had to be killed; `how` says which."""

    def __init__(self, how: str, *, timed_out: bool) -> None:
        super().__init__(how)
        self.timed_out = timed_out


class _Answer(NamedTuple):
    """What the process sends: a result, or an exception."""

    number: int
    """Of the call that it is for."""
    result: Any = None
    error: Exception | None = None


class Child:
    """Calls the function that `prepare(*args)` returns in a process of its own.

    All of it must be picklable. The process starts with the first call, or with `start`, and again
    after it has ended. What it prints goes to standard error: standard output is this process's
    own. It ends with this process, whatever ends this one.
    """

    def __init__(self, prepare: Callable[..., Callable[[Any], Any]], *args: object) -> None:
        self._made_of = prepare, args
        self._running: tuple[SpawnProcess, Connection] | None = None
        self._number = 0
        """Of the last call."""

    def start(self) -> None:
        """Start the process unless it runs; raises what `prepare` raises, and ChildEndedError."""
        if self._running is not None:
            return
        # Not forked: this process has threads of the Kafka client.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, *self._made_of), daemon=True)
        process.start()
        theirs.close()
        self._running, self._number = (process, ours), 0
        try:
            self._answer(_START_S)
        except BaseException:
            self.end()
            raise

    def call(self, given: object, timeout_s: float) -> Any:  # noqa: ANN401  what the function gives
        """What the function gives, or raises; ChildEndedError when that is not known in time."""
        self.start()
        return self._answer(timeout_s, given)

    def _answer(self, timeout_s: float, *given: object) -> Any:  # noqa: ANN401
        process, connection = cast("tuple[SpawnProcess, Connection]", self._running)
        try:
            for each in given:
                self._number += 1
                connection.send((self._number, each))
            if not connection.poll(timeout_s):
                raise ChildEndedError(f"was not done after {timeout_s:g} s", timed_out=True)  # noqa: TRY301  it ends, too
            answer: _Answer = connection.recv()
            if answer.number != self._number:  # of a copy of the process, which it has forked
                raise ChildEndedError("gave the answer of another call", timed_out=False)  # noqa: TRY301
        except (EOFError, ConnectionError):
            process.join(_END_S)
            process.kill()  # it may have closed the connection, and go on
            process.join()
            how = _how_it_ended(process.exitcode or 0)
            self.end()
            raise ChildEndedError(how, timed_out=False) from None
        except BaseException:  # such as Ctrl-C: an answer that is late would be taken for the next
            self.end()
            raise
        if answer.error is not None:
            raise answer.error
        return answer.result

    def end(self) -> None:
        """End the process, if there is one."""
        if self._running is not None:
            process, connection = self._running
            self._running = None
            connection.close()
            process.kill()
            process.join()
            process.close()


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"killed its process ({signal.Signals(-code).name})"
    return f"ended its process (exit code {code})"


def _serve(
    connection: Connection, prepare: Callable[..., Callable[[Any], Any]], args: tuple[Any, ...]
) -> None:
    """In the process: answer calls until there are no more of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process decides what Ctrl-C ends
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _print_to_standard_error()
    try:
        _answer_calls(connection, prepare, args)
    except EOFError:
        pass  # there are no more of them
    except BaseException:  # noqa: BLE001  a signal, or a connection that the function has closed
        os._exit(1)  # the first process says what is wrong


def _answer_calls(
    connection: Connection, prepare: Callable[..., Callable[[Any], Any]], args: tuple[Any, ...]
) -> None:
    try:
        function = prepare(*args)
    except BaseException as error:  # noqa: BLE001  the first process raises it
        connection.send(_Answer(0, error=_sendable(error)))
        return
    connection.send(_Answer(0))
    while True:
        number, given = connection.recv()
        try:
            answer = _Answer(number, function(given))
        except BaseException as error:  # noqa: BLE001  the first process raises it
            answer = _Answer(number, error=_sendable(error))
        connection.send(answer)


def _end_with_parent() -> None:
    """A function that never comes back must not outlive a process that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _print_to_standard_error() -> None:
    """Also what code that is not Python's prints."""
    try:
        os.dup2(_STDERR, _STDOUT)
    except OSError:  # standard error is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
    sys.stdout = sys.stderr


def _sendable(error: BaseException) -> Exception:
    """The exception, or what it says when it can't be sent, or would end the first process."""
    if isinstance(error, Exception):
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301  made here
        except Exception:  # noqa: BLE001, S110  of any class
            pass
        else:
            return error
    return RuntimeError(repr(error))
