"""Replays that are killed, paused and taken over: every source once, whoever worked on it."""

from __future__ import annotations

import random
import signal

import pytest

from pipeline.exits import Exit
from tests.kafka.replay_process import (
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

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_at_random_moments(pipeline: Pipeline, workers: str) -> None:
    """SIGKILL again and again, then to the end: each source has its outputs once."""
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
    assert said["proof"]["ok"]
    assert written(pipeline, id_) == expected(pipeline)


def test_zombie(pipeline: Pipeline) -> None:
    """A process that was paused while another took over ends with 3, and doubles nothing."""
    filled(pipeline)
    older, id_ = begun(pipeline, *SLOW)
    wait_for_records(pipeline, id_, 300)
    older.send_signal(signal.SIGSTOP)
    newer = pipeline.start_command("replay", "--resume", id_, *SLOW)
    before = status(pipeline, id_)["records"]
    wait_for_records(pipeline, id_, before + 300)
    older.send_signal(signal.SIGCONT)
    assert older.wait(PATIENCE_S) == Exit.FENCED
    assert "has resumed this replay" in pipeline.text("command-1")
    assert newer.wait(PATIENCE_S) == Exit.OK, pipeline.text("command-2")
    assert written(pipeline, id_) == expected(pipeline)


def test_newer_one_takes_over_from_a_live_one(pipeline: Pipeline) -> None:
    """Of two live processes the one that came later goes on."""
    filled(pipeline)
    older, id_ = begun(pipeline, *SLOW)
    wait_for_records(pipeline, id_, 300)
    assert resumed(pipeline, id_, 2)["proof"]["ok"]
    assert older.wait(PATIENCE_S) == Exit.FENCED
    assert written(pipeline, id_) == expected(pipeline)


def test_cancelled(pipeline: Pipeline) -> None:
    """The process that works on it ends, and nobody resumes it."""
    filled(pipeline)
    process, id_ = begun(pipeline, *SLOW)
    wait_for_records(pipeline, id_, 300)
    ran = pipeline.run("replay", "cancel", id_)
    assert ran.code == Exit.OK, ran.err
    assert f"--delete --topic {pipeline.names.enriched}.replay.{id_}" in ran.out.decode()
    assert process.wait(PATIENCE_S) == Exit.FENCED
    assert "has cancelled this replay" in pipeline.text("command-1")
    refused = pipeline.run("replay", "--resume", id_)
    assert refused.code == Exit.KAFKA
    assert "was cancelled" in refused.err


def test_stopped_by_a_signal(pipeline: Pipeline) -> None:
    """SIGTERM finishes the transaction at hand and says how to go on."""
    filled(pipeline, 2000)
    process, id_ = begun(pipeline, *SLOW)
    wait_for_records(pipeline, id_, 300)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == Exit.INTERRUPTED
    assert resumed(pipeline, id_, 2)["proof"]["ok"]
    assert written(pipeline, id_) == expected(pipeline)
