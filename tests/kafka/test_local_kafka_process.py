"""The guard of the embedded Kafka, with small programs in Kafka's place."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Final

import psutil
import pytest

from pipeline.demo.local_kafka import process as local_kafka_process
from pipeline.demo.local_kafka.process import GuardedProcess

_GONE_S: Final = 30
_STUBBORN: Final = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('up', flush=True)
while True:
    signal.pause()
"""


def _run(code: str, folder: Path) -> GuardedProcess:
    return GuardedProcess([sys.executable, "-c", code], folder / "log", None)


def _until_up(process: GuardedProcess) -> None:
    while b"up" not in process.output:
        assert not process.ended_within(0.01), process.output


def test_sigterm_is_tried_first(tmp_path: Path) -> None:
    """A program that ends on SIGTERM is given the time to."""
    code = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print('up', flush=True)
signal.pause()
"""
    process = _run(code, tmp_path)
    _until_up(process)
    process.end()
    assert process.exit_code == 7


def test_sigkill_ends_what_does_not_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ignores SIGTERM is killed after the deadline."""
    monkeypatch.setattr(local_kafka_process, "_TERM_DEADLINE_S", 0.1)
    process = _run(_STUBBORN, tmp_path)
    _until_up(process)
    process.end()
    assert process.exit_code == 128 + signal.SIGKILL
    assert not psutil.pid_exists(process.pid)


def test_signals_that_the_owner_blocks_still_end_it(tmp_path: Path) -> None:
    """A blocked SIGTERM, as the worker has it, is not handed down."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        process = _run("import signal; print('up', flush=True); signal.pause()", tmp_path)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    _until_up(process)
    process.end()
    assert process.exit_code == 128 + signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_nothing_outlives_a_killed_guard(tmp_path: Path) -> None:
    """The program ends with its guard, even when the guard itself is killed."""
    process = _run(_STUBBORN, tmp_path)
    _until_up(process)
    program = psutil.Process(process.pid)
    guard = program.parent()
    assert guard is not None
    guard.kill()
    _, alive = psutil.wait_procs([program], timeout=_GONE_S)
    assert not alive
    process.end()


def test_a_stuck_guard_is_ended_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the guard does not react (stopped, say), both are killed as a group."""
    monkeypatch.setattr(local_kafka_process, "_KILL_DEADLINE_S", 0.1)
    process = _run(_STUBBORN, tmp_path)
    _until_up(process)
    program = psutil.Process(process.pid)
    guard = program.parent()
    assert guard is not None
    guard.suspend()
    process.end(kill=True)
    _, alive = psutil.wait_procs([program], timeout=_GONE_S)
    assert not alive


def test_a_program_that_can_t_be_started_is_in_the_output(tmp_path: Path) -> None:
    """A missing program is said in the log, as everything else is."""
    process = GuardedProcess([str(tmp_path / "java")], tmp_path / "log", None)
    assert process.ended_within(_GONE_S)
    assert process.output.decode().endswith("java can't be started: No such file or directory\n")
    process.end()


def test_output_is_of_this_run_only(tmp_path: Path) -> None:
    """What an earlier run has logged is kept in the file and left out of the output."""
    for word in ("first", "second"):
        process = _run(f"print({word!r})", tmp_path)
        assert process.ended_within(_GONE_S)
        process.end()
        assert process.output.decode() == f"{word}{os.linesep}"
    assert (tmp_path / "log").read_text() == "first\nsecond\n"
