"""A worker that is stopped for good leaves its group: the others get its partitions at once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from pipeline.service.decommission import leave_on_stop
from pipeline.settings.model import load_settings
from tests.brokers import Sent, produce
from tests.hostile import EVENT
from tests.kafka.worker_process import Pipeline, terminate
from tests.kubernetes_api import FakeKubernetesApi, RecordedLog, stateful_set

pytestmark = pytest.mark.kafka

SESSION: Final = {
    "consumer_session_timeout_ms": "300000",
    "consumer_heartbeat_interval_ms": "300",
    "stats_interval_s": "1",
}
"""The members' sessions outlast the test's patience: who gets partitions got them by a leave."""


def _held(pipeline: Pipeline, name: str, worker: int | None = None) -> int:
    """Number of partitions that a worker has, by the last line that says so; with its number."""
    lines = [*pipeline.lines("assigned", name), *pipeline.lines("revoked", name)]
    own = [line for line in lines if line.get("worker") == worker]
    return max(((line["timestamp"], line["held"]) for line in own), default=("", 0))[1]


def _wait_until_held(pipeline: Pipeline, name: str, partitions: int) -> None:
    pipeline.wait_for(lambda: _held(pipeline, name) == partitions, f"{name}: its partitions")


def _wait_until_shared(pipeline: Pipeline, *names: str) -> None:
    def shared() -> bool:
        held = [_held(pipeline, name) for name in names]
        return min(held) > 0 and sum(held) == 3

    pipeline.wait_for(shared, "sharing the partitions")


def test_worker_that_leaves_on_stop_hands_over_its_partitions(pipeline: Pipeline) -> None:
    """With `always`, long before its session ends, and without anybody typing a command."""
    leaver = pipeline.start("w1", **SESSION, leave_on_stop="always")
    stayer = pipeline.start("w2", **SESSION)
    _wait_until_shared(pipeline, "w1", "w2")
    events = [Sent(EVENT, b"u1", (), 0, n % 3) for n in range(30)]
    produce(pipeline.servers, pipeline.names.raw, events)
    assert terminate(leaver) == 0
    (left,) = pipeline.lines("left_group", "w1")
    assert (left["instance"], left["group"]) == ("w1", pipeline.names.raw)
    assert left["partitions"]
    _wait_until_held(pipeline, "w2", 3)
    pipeline.wait_until_done()
    assert terminate(stayer) == 0
    assert not pipeline.lines("left_group", "w2")
    assert pipeline.found() == pipeline.expected()


def test_all_workers_of_a_stopped_service_leave_at_once(pipeline: Pipeline) -> None:
    """Each of its processes leaves, whatever rebalances the others cause."""
    service = pipeline.start("w1", "--workers", "2", **SESSION, leave_on_stop="always")
    stayer = pipeline.start("w2", **SESSION)

    def shared() -> bool:
        return {_held(pipeline, *each) for each in (("w1", 0), ("w1", 1), ("w2",))} == {1}

    pipeline.wait_for(shared, "sharing the partitions")
    assert terminate(service) == 0
    left = {line["instance"]: line["partitions"] for line in pipeline.lines("left_group", "w1")}
    assert left.keys() == {"w1-0", "w1-1"}
    _wait_until_held(pipeline, "w2", 3)
    assert terminate(stayer) == 0


def test_pod_that_was_scaled_in_leaves_its_group(pipeline: Pipeline, tmp_path: Path) -> None:
    """A rolling restart keeps the partitions; then the StatefulSet is scaled in."""
    stopped = pipeline.start("track-pipeline-1", **SESSION)
    stayer = pipeline.start("track-pipeline-0", **SESSION)
    _wait_until_shared(pipeline, "track-pipeline-0", "track-pipeline-1")
    assert terminate(stopped) == 0
    variables = {
        **pipeline.variables,
        "TRACK_INSTANCE_ID": "track-pipeline-1",
        "TRACK_LEAVE_ON_STOP": "scaled-in",
        "TRACK_CONSUMER_SESSION_TIMEOUT_MS": "300000",
        "TRACK_CONSUMER_HEARTBEAT_INTERVAL_MS": "300",
    }
    settings = load_settings(None, {}, variables)
    log = RecordedLog()
    with FakeKubernetesApi(tmp_path).serving() as api:
        api.answer = stateful_set(2)
        leave_on_stop(settings, log, lambda: api.pod("track-pipeline-1"))
        assert [event for _, event, _ in log.lines] == ["membership_kept"]
        api.answer = stateful_set(1)
        leave_on_stop(settings, log, lambda: api.pod("track-pipeline-1"))
    (_, (_, event, fields)) = log.lines
    assert (event, fields["instance"]) == ("left_group", "track-pipeline-1")
    assert "wants 1 replica, this pod not among them" in str(fields["cause"])
    _wait_until_held(pipeline, "track-pipeline-0", 3)
    assert terminate(stayer) == 0
