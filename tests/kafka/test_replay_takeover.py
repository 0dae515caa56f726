"""Replays that are killed, paused and taken over: every source once, whoever worked on it."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping

import pytest

from pipeline.errors import ExitCode
from pipeline.kafka import PartitionProgress, ReplayFence
from pipeline.ports import TopicFacts
from pipeline.replay import resume
from pipeline.replay.plan import ReplayPlan, State
from pipeline.replay.plan_store import PlanStore
from pipeline.replay.run import output_facts
from pipeline.settings.model import Settings, load_settings
from tests.kafka.replay_process import (
    LASTING,
    RECORDS,
    SLOW,
    begun,
    expected,
    filled,
    resumed,
    status,
    wait_for_records,
    written,
)
from tests.kafka.worker_process import PATIENCE_S, Pipeline
from tests.unit.cli.program import environment

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("workers", ["1", "2"])
def test_replay_survives_kills_at_random_moments(pipeline: Pipeline, workers: str) -> None:
    """After SIGKILL again and again each source has its outputs once."""
    filled(pipeline)
    dice = random.Random(workers)  # noqa: S311  moments, no secrets
    process, id_ = begun(pipeline, *SLOW, "--workers", workers)
    for least in sorted(dice.sample(range(200, RECORDS - 500), 3)):
        wait_for_records(pipeline, id_, least)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
        process = pipeline.start_command("replay", "--resume", id_, *SLOW)
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_S)
    said = resumed(pipeline, id_, 5)
    assert said["records"] == RECORDS
    assert said["verification"]["ok"]
    assert written(pipeline, id_) == expected(pipeline)


def test_paused_process_is_fenced(pipeline: Pipeline) -> None:
    """A process that was paused while another took over ends with 3, and duplicates nothing."""
    filled(pipeline)
    older, id_ = begun(pipeline, *LASTING)
    wait_for_records(pipeline, id_, 100)
    older.send_signal(signal.SIGSTOP)
    newer = pipeline.start_command("replay", "--resume", id_, *SLOW)
    before = status(pipeline, id_)["records"]
    wait_for_records(pipeline, id_, before + 300)
    older.send_signal(signal.SIGCONT)
    assert older.wait(PATIENCE_S) == ExitCode.FENCED
    assert "has resumed this replay" in pipeline.text("command-1")
    assert newer.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-2")
    assert written(pipeline, id_) == expected(pipeline)


def test_newer_process_takes_over_from_a_live_one(pipeline: Pipeline) -> None:
    """Of two live processes the one that came later goes on."""
    filled(pipeline)
    older, id_ = begun(pipeline, *LASTING)
    wait_for_records(pipeline, id_, 100)
    assert resumed(pipeline, id_, 2)["verification"]["ok"]
    assert older.wait(PATIENCE_S) == ExitCode.FENCED
    assert written(pipeline, id_) == expected(pipeline)


def test_older_process_does_not_stop_a_takeover(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that a live process opens in the middle of a takeover does not stop that."""
    filled(pipeline, 200)
    process, id_ = begun(pipeline, "--rate", "15")
    wait_for_records(pipeline, id_, 10)
    process.kill()
    process.wait()
    older: list[ReplayFence] = []
    real = ReplayFence.progress

    def found(self: ReplayFence) -> Mapping[int, PartitionProgress]:
        if not older:
            older.append(ReplayFence(self._slots))
        return real(self)

    monkeypatch.setattr(ReplayFence, "progress", found)
    ran = pipeline.run("replay", "--resume", id_, "--rate", "1000")
    older[0].close()
    assert ran.code == ExitCode.OK, ran.err
    assert written(pipeline, id_) == expected(pipeline)


def test_cancelled_replay_is_not_resumed(pipeline: Pipeline) -> None:
    """The process that works on it ends, and nobody resumes it."""
    filled(pipeline)
    process, id_ = begun(pipeline, *LASTING)
    wait_for_records(pipeline, id_, 100)
    ran = pipeline.run("replay", "cancel", id_)
    assert ran.code == ExitCode.OK, ran.err
    assert f"track-pipeline replay delete {id_}" in ran.out.decode()
    assert process.wait(PATIENCE_S) == ExitCode.FENCED
    assert "has cancelled this replay" in pipeline.text("command-1")
    refused = pipeline.run("replay", "--resume", id_)
    assert refused.code == ExitCode.KAFKA
    assert "was cancelled" in refused.err


def test_replay_can_be_cancelled_while_it_is_resumed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume that has read the plan before finds out, and does not bring the replay back."""
    filled(pipeline)
    process, id_ = begun(pipeline, *LASTING)
    wait_for_records(pipeline, id_, 100)
    process.kill()
    process.wait()
    done = status(pipeline, id_)["records"]

    real = output_facts

    def cancelled_meanwhile(settings: Settings, plan: ReplayPlan) -> dict[str, TopicFacts]:
        other = pipeline.start_command("replay", "cancel", id_)
        assert other.wait(PATIENCE_S) == ExitCode.OK
        return real(settings, plan)

    monkeypatch.setattr(resume, "output_facts", cancelled_meanwhile)
    ran = pipeline.run("replay", "--resume", id_)
    assert ran.code == ExitCode.KAFKA
    assert "was cancelled" in ran.err
    assert "goes on" not in ran.err
    after = status(pipeline, id_)
    assert (after["state"], after["records"]) == ("cancelled", done)


def test_cancelled_replay_stays_cancelled(pipeline: Pipeline) -> None:
    """A state that is noted by a process without knowledge of the cancellation changes nothing."""
    filled(pipeline, 10)
    settings = load_settings(None, {}, pipeline.variables)
    process, id_ = begun(pipeline)
    assert process.wait(PATIENCE_S) == ExitCode.OK
    plans = PlanStore(settings)
    plan = plans.one(id_).plan
    for state in (State.STARTED, State.CANCELLED, State.STARTED, State.FINISHED):
        plans.note(plan, state)
    assert plans.one(id_).state is State.CANCELLED


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_the_verification(pipeline: Pipeline, workers: str) -> None:
    """Ctrl-C ends it at once, however many processes there were."""
    filled(pipeline, 50)
    program = (
        "import os, signal, threading\n"
        "from pipeline.cli.main import main\n"
        "from pipeline.replay import finish\n"
        "def verify(*_):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    threading.Event().wait(50)\n"
        "finish.verify = verify\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "replay", "--execute", "--workers", workers],
        env={**environment(), **pipeline.variables},
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == ExitCode.INTERRUPTED, done.stderr.decode()


def test_large_plan_reaches_all_processes(pipeline: Pipeline) -> None:
    """A plan that fits into no environment variable reaches the processes all the same."""
    filled(pipeline, 50)
    values = [f"/properties/{'x' * 4000}{number}=1" for number in range(40)]
    options = [word for value in values for word in ("--value", value)]
    process, id_ = begun(pipeline, "--workers", "2", *options)
    assert process.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-1")
    assert status(pipeline, id_)["left_out"] == 50


def test_ctrl_c_stops_a_replay_on_a_terminal(pipeline: Pipeline) -> None:
    """The threads that draw bars on a terminal leave the signal to the replay."""
    filled(pipeline, 2000)
    ours, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "replay", "--execute", *LASTING],
        env={**environment(), **pipeline.variables, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 65536):
                shown.extend(piece)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    pipeline.wait_for(lambda: b"events/s" in shown, "bars")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE_S)
    reader.join(PATIENCE_S)
    os.close(ours)
    assert process.returncode == ExitCode.INTERRUPTED, shown.decode()
    assert b"stopped. Resume it with" in out


def test_signal_stops_a_replay_in_good_order(pipeline: Pipeline) -> None:
    """SIGTERM finishes the transaction at hand and says how to go on."""
    filled(pipeline, 2000)
    process, id_ = begun(pipeline, *LASTING)
    wait_for_records(pipeline, id_, 100)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == ExitCode.INTERRUPTED
    assert resumed(pipeline, id_, 2)["verification"]["ok"]
    assert written(pipeline, id_) == expected(pipeline)
