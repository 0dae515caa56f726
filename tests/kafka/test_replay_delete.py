"""The state of replays that nobody works on, and what deleting one removes."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Consumer

from pipeline.errors import ExitCode
from pipeline.ports import TopicSpec
from pipeline.replay.plan import PlanRecord
from pipeline.replay.plan_store import PlanStore
from pipeline.replay.presence import ReplayState, states_of
from pipeline.settings.model import Settings, load_settings
from tests.brokers import delete_topics, read_topic
from tests.kafka.replay_process import LASTING, begun, filled, status, wait_for_records
from tests.kafka.worker_process import PATIENCE_S, Pipeline

pytestmark = pytest.mark.kafka


def _listed(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """What `replay list` says, by id."""
    lines = pipeline.run("replay", "list", "--json").out.decode().splitlines()
    return {document["id"]: document for document in map(json.loads, lines)}


def _record(pipeline: Pipeline, id_: str) -> tuple[PlanRecord, Settings]:
    """What is written down about a replay, and the settings to ask for more."""
    settings = load_settings(None, {}, pipeline.variables)
    return PlanStore(settings).one(id_), settings


def _finished(pipeline: Pipeline, *options: str) -> str:
    filled(pipeline, 20)
    process, id_ = begun(pipeline, *options)
    assert process.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-1")
    return id_


def test_replay_without_a_process_is_interrupted(pipeline: Pipeline) -> None:
    """A replay is running while a process works on it, and interrupted soon after a kill."""
    filled(pipeline)
    process, id_ = begun(pipeline, *LASTING)
    wait_for_records(pipeline, id_, 20)
    pipeline.wait_for(lambda: status(pipeline, id_)["state"] == "running", "the process to join")
    refused = pipeline.run("replay", "delete", id_, "--execute")
    assert refused.code == ExitCode.KAFKA
    assert f"works on replay {id_}" in refused.err
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_S)
    pipeline.wait_for(lambda: status(pipeline, id_)["state"] == "interrupted", "its session to end")
    assert _listed(pipeline)[id_]["state"] == "interrupted"
    assert f"--resume {id_}" in pipeline.run("replay", "status", id_).out.decode()
    deleted = pipeline.run("replay", "delete", id_, "--execute")
    assert deleted.code == ExitCode.OK, deleted.err
    assert id_ not in _listed(pipeline)


def test_replay_that_was_stopped_is_interrupted_at_once(pipeline: Pipeline) -> None:
    """A process that ends in good order leaves its group, however new the replay is."""
    filled(pipeline)
    process, id_ = begun(pipeline, *LASTING)
    # Not by asking again and again: the replay must be new when it is stopped.
    wait_for_records(pipeline, id_, 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == ExitCode.INTERRUPTED
    record, settings = _record(pipeline, id_)
    assert states_of(settings, [record])[id_] is ReplayState.INTERRUPTED
    deleted = pipeline.run("replay", "delete", id_, "--execute")
    assert deleted.code == ExitCode.OK, deleted.err


def test_plan_with_unknown_settings_can_be_cancelled(pipeline: Pipeline) -> None:
    """Cancelling fences a process off also when this version does not know the plan's settings."""
    filled(pipeline)
    process, id_ = begun(pipeline, *LASTING)
    wait_for_records(pipeline, id_, 1)
    record, settings = _record(pipeline, id_)
    kept = {"a_setting_of_tomorrow": 1}
    PlanStore(settings).note(replace(record.plan, kept=kept), record.state)
    cancelled = pipeline.run("replay", "cancel", id_)
    assert cancelled.code == ExitCode.OK, cancelled.err
    assert process.wait(PATIENCE_S) == ExitCode.FENCED, pipeline.text("command-1")


def test_replay_whose_raw_topic_is_gone_can_be_deleted(pipeline: Pipeline) -> None:
    """What an interrupted replay has left can be removed, though nothing of its source is left."""
    filled(pipeline)
    process, id_ = begun(pipeline, *LASTING)
    wait_for_records(pipeline, id_, 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == ExitCode.INTERRUPTED
    raw = pipeline.names.raw
    delete_topics(pipeline.servers, [raw])
    pipeline.wait_for(lambda: not pipeline.admin.topics([raw]), "the raw topic to go")
    deleted = pipeline.run("replay", "delete", id_, "--execute")
    assert deleted.code == ExitCode.OK, deleted.err
    assert id_ not in _listed(pipeline)


def test_deleting_removes_topics_offsets_and_plan(pipeline: Pipeline) -> None:
    """Without --execute nothing is deleted; with it nothing of the replay is left."""
    id_ = _finished(pipeline)
    names = pipeline.names
    topics = [f"{name}.replay.{id_}" for name in (names.enriched, names.dead_letter)]
    topics.append(f"{topics[1]}.ledger")
    pipeline.admin.create([TopicSpec(topics[-1], 1, 1, {})])  # as a redrive does
    planned = pipeline.run("replay", "delete", id_)
    assert planned.code == ExitCode.OK, planned.err
    assert f"would be deleted: topic {topics[-1]}\n" in planned.out.decode()
    assert "nothing was deleted" in planned.out.decode()
    assert set(pipeline.admin.topics(topics)) == set(topics)
    deleted = pipeline.run("replay", "delete", id_, "--execute", "--json")
    assert deleted.code == ExitCode.OK, deleted.err
    assert set(topics) <= set(json.loads(deleted.out)["topics"])
    pipeline.wait_for(lambda: not pipeline.admin.topics(topics), "the topics to go")
    assert pipeline.admin.committed(f"track-replay.{id_}", names.raw) == {}
    assert id_ not in _listed(pipeline)
    assert pipeline.run("replay", "delete", id_).code == ExitCode.USAGE


def test_topics_in_use_are_not_deleted(pipeline: Pipeline) -> None:
    """Neither one that a consumer reads, nor one that the settings name as a live topic."""
    id_ = _finished(pipeline)
    topic = f"{pipeline.names.enriched}.replay.{id_}"
    config = {"bootstrap.servers": pipeline.servers, "group.id": "warehouse." + id_}
    with closing(Consumer(config)) as consumer:
        consumer.subscribe([topic])
        pipeline.wait_for(
            lambda: consumer.poll(1) is None and bool(consumer.assignment()), "joining"
        )
        refused = pipeline.run("replay", "delete", id_, "--execute")
    assert refused.code == ExitCode.KAFKA
    assert f"{topic} is read by group warehouse.{id_}" in refused.err
    live = pipeline.run("replay", "delete", id_, env={"TRACK_TOPICS__ENRICHED": topic})
    assert live.code == ExitCode.KAFKA
    assert "as a live topic" in live.err
    assert set(pipeline.admin.topics([topic])) == {topic}


def test_live_topic_stays(pipeline: Pipeline) -> None:
    """What a replay has written into the live topic is not deleted with it."""
    id_ = _finished(pipeline, "--into-live")
    deleted = pipeline.run("replay", "delete", id_, "--execute")
    assert f"stays: topic {pipeline.names.enriched}" in deleted.out.decode()
    assert read_topic(pipeline.servers, pipeline.names.enriched, "read_committed")
