"""A pipeline as the cluster shows it, to commands that join no group."""

from __future__ import annotations

import json
import signal
import urllib.request
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from pipeline.demo.local_kafka.ports import free_port
from pipeline.errors import ExitCode
from pipeline.kafka.topic_offsets import PartitionOffsets, offsets_of
from pipeline.metrics.catalogue import Metric
from pipeline.monitor.collectors import ReplayCollector
from pipeline.settings.model import load_settings
from tests.brokers import RECENT, Sent, open_transaction, produce, unique, wait_for_markers
from tests.hostile import EVENT
from tests.kafka.mock_cluster import MockCluster
from tests.kafka.replay_process import begun, wait_for_records
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate

AGE_S = 3_600
"""Age of the records, at least: see `RECENT`."""


def _produce(pipeline: Pipeline, count: int) -> None:
    records = [Sent(EVENT, None, (), RECENT, number % 3) for number in range(count)]
    produce(pipeline.servers, pipeline.names.raw, records)


def _status(pipeline: Pipeline, *flags: str) -> dict[str, Any]:
    ran = pipeline.run("status", "--json", *flags)
    assert ran.code == ExitCode.OK, ran.err
    document: dict[str, Any] = json.loads(ran.out)
    return document


@pytest.mark.kafka
def test_status_before_any_worker_has_run(pipeline: Pipeline) -> None:
    """Everything waits, and nobody reads; a limit makes that an exit code."""
    _produce(pipeline, 6)
    found = _status(pipeline)
    assert (found["state"], found["members"], found["lag_records"]) == ("DEAD", [], 6)
    assert found["lag_seconds"] >= AGE_S
    assert found["breaker"] is None
    assert len(found["notices"]) == 2
    ran = pipeline.run("status", "--fail-above-lag", "5", "--fail-above-seconds", "60")
    assert ran.code == ExitCode.DIFFERENCE
    assert "track-pipeline: 6 records wait; the limit is 5\n" in ran.err
    assert "the limit is 60 s" in ran.err
    heading, *rows = ran.out.decode().splitlines()
    assert heading.split("\t")[:5] == ["partition", "committed", "end", "lag", "waits for"]
    assert [row.split("\t")[:4] for row in rows] == [[str(n), "", "2", "2"] for n in range(3)]


@pytest.mark.kafka
def test_status_of_a_running_worker(pipeline: Pipeline) -> None:
    """Member, commits and their contract are seen; an open transaction of a sender waits."""
    _produce(pipeline, 6)
    worker = pipeline.start()
    pipeline.wait_until_done()
    found = _status(pipeline)
    ((member,), (contract,)) = found["members"], found["contracts"]
    assert (member["name"], member["partitions"]) == ("w1", [0, 1, 2])
    assert contract.startswith("2;")
    assert (found["state"], found["lag_records"], found["lag_seconds"]) == ("STABLE", 0, 0)
    assert [each["member"] for each in found["partitions"]] == ["w1"] * 3
    assert found["breaker"]["left"] == 0
    assert found["notices"] == []
    records = [Sent(EVENT, None, (), RECENT, 1)]
    sender = open_transaction(pipeline.servers, pipeline.names.raw, records, unique("sender"))
    found = _status(pipeline)
    (raw,) = [each for each in found["open_transactions"] if each["role"] == "raw"]
    assert (raw["partition"], raw["offset"]) == (1, 2)
    assert (found["lag_records"], found["lag_seconds"] >= AGE_S) == (1, True)
    sender.abort_transaction(PATIENCE_S)
    wait_for_markers(pipeline.servers, pipeline.names.raw)
    assert _status(pipeline)["lag_records"] == 0
    assert terminate(worker) == 0


@pytest.mark.kafka
def test_missing_topics_are_one_sentence(bare_pipeline: Pipeline) -> None:
    """The sentence has the command that creates them."""
    ran = bare_pipeline.run("status")
    assert ran.code == ExitCode.KAFKA
    assert "topics do not exist: " in ran.err
    assert "track-pipeline topics create --bootstrap-servers" in ran.err


@pytest.mark.kafka
def test_watch_serves_what_it_sees_until_it_is_terminated(pipeline: Pipeline) -> None:
    """Lag and dead letters are there without a worker; nobody joins the group."""
    _produce(pipeline, 6)
    produce(pipeline.servers, pipeline.names.dead_letter, [Sent(b"{", None, (), RECENT, 0)])
    port = free_port()
    watch = pipeline.start_command(
        "watch", "--http-port", str(port), "--interval", "1", env={"TRACK_HTTP__HOST": "127.0.0.1"}
    )
    pipeline.wait_for(lambda: bool(pipeline.lines("watched", "command-1")), "looking")
    metrics = _get(port, "/metrics")
    for line in (
        "track_pipeline_watch_up 1.0",
        'track_pipeline_watch_lag_records{partition="0"} 2.0',
        "track_pipeline_watch_group_members 0.0",
        'track_pipeline_watch_open_transactions{role="raw"} 0.0',
        "track_pipeline_watch_dead_letters_deleted_unresolved 0.0",
    ):
        assert f"\n{line}\n" in metrics
    assert 'track_pipeline_watch_lag_seconds{partition="2"}' in metrics
    assert "track_pipeline_watch_dead_letters_unresolved{" in metrics
    assert _get(port, "/readyz") == _get(port, "/livez") == "ok\n"
    status = json.loads(_get(port, "/status"))
    assert (status["up"], status["state"], status["dead_letters"]["unread"]) == (True, "DEAD", 0)
    watch.send_signal(signal.SIGTERM)
    assert watch.wait(PATIENCE_S) == ExitCode.OK
    assert len(pipeline.lines("stopped", "command-1")) == 1


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


@pytest.mark.kafka
def test_replay_is_watched_until_it_is_finished_or_cancelled(pipeline: Pipeline) -> None:
    """A killed one is unfinished; plans are read again when somebody has written one."""
    _produce(pipeline, 60)
    settings = load_settings(None, {}, pipeline.variables)
    with closing(ReplayCollector(settings)) as collector:
        collector.collect()
        # So slow that it is not done before it is killed, however busy the machine is.
        process, id_ = begun(pipeline, "--rate", "2")
        wait_for_records(pipeline, id_, 1)
        process.kill()
        process.wait(PATIENCE_S)
        samples = collector.collect().samples
        assert samples[Metric.WATCH_REPLAY_TOTAL][id_,] == 60
        assert 0 < samples[Metric.WATCH_REPLAY_REMAINING][id_,] < 60
        assert pipeline.run("replay", "cancel", id_).code == ExitCode.OK
        assert (id_,) not in collector.collect().samples.get(Metric.WATCH_REPLAY_TOTAL, {})


def test_offsets_of_a_partition_without_a_leader_are_unknown() -> None:
    """The question for the others does not wait for it."""
    with MockCluster() as cluster:
        cluster.create_topic("raw", 2)
        produce(cluster.bootstrap_servers, "raw", [Sent(b"x", partition=0)] * 3)
        client = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
        assert offsets_of(client, "raw", 10) == {
            0: PartitionOffsets(0, 3, 3),
            1: PartitionOffsets(0, 0, 0),
        }
        cluster.lead("raw", 1, None)
        assert offsets_of(client, "raw", 10) == {0: PartitionOffsets(0, 3, 3), 1: None}
