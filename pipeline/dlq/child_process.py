"""A function in a child process: it may hang, exit or crash without ending this process.

Guarantees: a call ends within its time limit; a child never outlives this process; nothing that a
child prints gets into the output of this process.
"""

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
"""On a busy machine a new process imports for seconds, and so may the user's file."""


class ChildEndedError(Exception):
    """The child process ended or had to be killed; the text says which."""

    def __init__(self, how: str, *, timed_out: bool) -> None:
        super().__init__(how)
        self.timed_out = timed_out


class _Answer(NamedTuple):
    """Answer of the child process: a result or an exception."""

    number: int
    """Number of the call that is answered."""
    result: Any = None
    error: Exception | None = None


class ChildProcess:
    """Calls the function that `prepare(*args)` returns, in a child process.

    Functions, arguments and results must be picklable. The child starts with `start` or the first
    call, and again with the next call after it ended. What it prints goes to standard error, since
    standard output belongs to this process.
    """

    def __init__(self, prepare: Callable[..., Callable[[Any], Any]], *args: object) -> None:
        self._made_of = prepare, args
        self._running: tuple[SpawnProcess, Connection] | None = None
        self._number = 0
        """Number of the last call."""

    def start(self) -> None:
        """Start the child unless it runs; raises what `prepare` raises, and ChildEndedError."""
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

    def call(self, argument: object, timeout_s: float) -> Any:  # noqa: ANN401  what the function gives
        """Call the function; raises what it raises, and ChildEndedError if it does not answer."""
        self.start()
        return self._answer(timeout_s, argument)

    def _answer(self, timeout_s: float, *arguments: object) -> Any:  # noqa: ANN401
        process, connection = cast("tuple[SpawnProcess, Connection]", self._running)
        try:
            for each in arguments:
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
        """End the child, if there is one."""
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
    """Answer calls until there are no more of them; runs in the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C ends
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _print_to_standard_error()
    try:
        _answer_calls(connection, prepare, args)
    except EOFError:
        pass  # there are no more of them
    except BaseException:  # noqa: BLE001  a signal, or a connection that the function has closed
        os._exit(1)  # the parent reports what is wrong


def _answer_calls(
    connection: Connection, prepare: Callable[..., Callable[[Any], Any]], args: tuple[Any, ...]
) -> None:
    try:
        function = prepare(*args)
    except BaseException as error:  # noqa: BLE001  the parent raises it
        connection.send(_Answer(0, error=_sendable(error)))
        return
    connection.send(_Answer(0))
    while True:
        number, argument = connection.recv()
        try:
            answer = _Answer(number, function(argument))
        except BaseException as error:  # noqa: BLE001  the parent raises it
            answer = _Answer(number, error=_sendable(error))
        connection.send(answer)


def _end_with_parent() -> None:
    """End with the parent: a function that never returns must not outlive a killed parent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _print_to_standard_error() -> None:
    """Redirect standard output on the level of the system, for code that is not Python's."""
    try:
        os.dup2(_STDERR, _STDOUT)
    except OSError:  # standard error is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
    sys.stdout = sys.stderr


def _sendable(error: BaseException) -> Exception:
    """The exception, or its text when it can't be pickled or would end the parent."""
    if isinstance(error, Exception):
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301  made here
        except Exception:  # noqa: BLE001, S110  of any class
            pass
        else:
            return error
    return RuntimeError(repr(error))
