"""Replays that are killed, paused and taken over: every source once, whoever worked on it."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from typing import Any, Final

import pytest

from pipeline.core.record import Role
from pipeline.exits import Exit
from tests.brokers import read_topic
from tests.kafka.worker_process import PATIENCE_S, Pipeline

pytestmark = pytest.mark.kafka

RECORDS: Final = 2500
SLOW: Final = ("--rate", "800")
"""So that there is a middle to be killed in."""


def _begun(pipeline: Pipeline, *options: str, name: str = "command-1") -> tuple[Any, str]:
    """A replay as a process, and its id, once it has begun."""
    process = pipeline.start_command("replay", "--execute", "--json", *options)
    return process, _id(pipeline, name)


def _id(pipeline: Pipeline, name: str) -> str:
    pipeline.wait_for(lambda: " begins" in pipeline.text(name), "beginning")
    return pipeline.text(name).split("replay ")[1].split()[0]


def _status(pipeline: Pipeline, id_: str) -> dict[str, Any]:
    ran = pipeline.run("replay", "status", id_, "--json")
    assert ran.code == 0, ran.err
    return dict(json.loads(ran.out))


def _wait_for_records(pipeline: Pipeline, id_: str, least: int) -> None:
    pipeline.wait_for(lambda: _status(pipeline, id_)["records"] >= least, f"{least} records")


def _written(pipeline: Pipeline, id_: str) -> dict[Role, Counter[str]]:
    """Role → how often each source is in the replay's outputs."""
    found = {}
    for role, topic, header in (
        (Role.ENRICHED, pipeline.names.enriched, "track.source"),
        (Role.DEAD_LETTER, pipeline.names.dead_letter, "dlq.source"),
    ):
        records = read_topic(pipeline.servers, f"{topic}.replay.{id_}", "read_committed")
        found[role] = Counter((dict(each.headers)[header] or b"").decode() for each in records)
    return found


def _expected(pipeline: Pipeline) -> dict[Role, Counter[str]]:
    expected = pipeline.expected()
    return {
        role: Counter(source for source, _, _ in expected[role])
        for role in (Role.ENRICHED, Role.DEAD_LETTER)
    }


def _resumed(pipeline: Pipeline, id_: str, number: int) -> dict[str, Any]:
    """Resume it without a limit, as the command of this number, to the end; what it said."""
    process = pipeline.start_command("replay", "--resume", id_, "--rate", "1000000", "--json")
    name = f"command-{number}"
    assert process.wait(PATIENCE_S) == Exit.OK, pipeline.text(name)
    said = [line for line in pipeline.text(name).splitlines() if line.startswith('{"id"')]
    return dict(json.loads(said[-1]))


def _filled(pipeline: Pipeline, records: int = RECORDS) -> None:
    arguments = ("generate", "--count", str(records), "--topic", pipeline.names.raw)
    # A topic that was just created may not be known to every client at once.
    pipeline.wait_for(lambda: pipeline.run(*arguments).code == Exit.OK, "filling the topic")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_at_random_moments(pipeline: Pipeline, workers: str) -> None:
    """SIGKILL again and again, then to the end: each source has its outputs once."""
    _filled(pipeline)
    dice = random.Random(workers)  # noqa: S311  moments, no secrets
    process, id_ = _begun(pipeline, *SLOW, "--workers", workers)
    for least in sorted(dice.sample(range(200, RECORDS - 500), 3)):
        _wait_for_records(pipeline, id_, least)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
        process = pipeline.start_command("replay", "--resume", id_, *SLOW)
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_S)
    said = _resumed(pipeline, id_, 5)
    assert said["records"] == RECORDS
    assert said["proof"]["ok"]
    assert _written(pipeline, id_) == _expected(pipeline)


def test_zombie(pipeline: Pipeline) -> None:
    """A process that was paused while another took over ends with 3, and doubles nothing."""
    _filled(pipeline)
    older, id_ = _begun(pipeline, *SLOW)
    _wait_for_records(pipeline, id_, 300)
    older.send_signal(signal.SIGSTOP)
    newer = pipeline.start_command("replay", "--resume", id_, *SLOW)
    before = _status(pipeline, id_)["records"]
    _wait_for_records(pipeline, id_, before + 300)
    older.send_signal(signal.SIGCONT)
    assert older.wait(PATIENCE_S) == Exit.FENCED
    assert "has resumed this replay" in pipeline.text("command-1")
    assert newer.wait(PATIENCE_S) == Exit.OK, pipeline.text("command-2")
    assert _written(pipeline, id_) == _expected(pipeline)


def test_newer_one_takes_over_from_a_live_one(pipeline: Pipeline) -> None:
    """Of two live processes the one that came later goes on."""
    _filled(pipeline)
    older, id_ = _begun(pipeline, *SLOW)
    _wait_for_records(pipeline, id_, 300)
    assert _resumed(pipeline, id_, 2)["proof"]["ok"]
    assert older.wait(PATIENCE_S) == Exit.FENCED
    assert _written(pipeline, id_) == _expected(pipeline)


def test_cancelled(pipeline: Pipeline) -> None:
    """The process that works on it ends, and nobody resumes it."""
    _filled(pipeline)
    process, id_ = _begun(pipeline, *SLOW)
    _wait_for_records(pipeline, id_, 300)
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
    _filled(pipeline, 2000)
    process, id_ = _begun(pipeline, *SLOW)
    _wait_for_records(pipeline, id_, 300)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == Exit.INTERRUPTED
    assert _resumed(pipeline, id_, 2)["proof"]["ok"]
    assert _written(pipeline, id_) == _expected(pipeline)
