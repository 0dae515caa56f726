"""Whether a pod comes back, asked of a Kubernetes API on loopback, and what the worker makes of it.

That a worker really leaves its group is tested on a real broker (`tests/kafka`).
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from pipeline.errors import ExitCode, SettingsError, TransportError
from pipeline.service.decommission import check_leave_on_stop, leave_on_stop
from pipeline.service.kubernetes import StatefulSetPod
from pipeline.settings.model import load_settings
from tests.kubernetes_api import PATH, TOKEN, FakeKubernetesApi, RecordedLog, stateful_set
from tests.unit.cli.program import command, environment

_WAIT_S = 5.0


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeKubernetesApi]:
    """A Kubernetes API that answers."""
    with FakeKubernetesApi(tmp_path).serving() as made:
        yield made


@pytest.mark.parametrize(
    ("found", "returns", "cause"),
    [
        (stateful_set(3), True, "wants 3 replicas, this pod among them"),
        (stateful_set(2), False, "wants 2 replicas, this pod not among them"),
        (stateful_set(0), False, "wants 0 replicas, this pod not among them"),
        (stateful_set(2, start=1), True, "wants 2 replicas, this pod among them"),
        (stateful_set(2, start=3), False, "wants 2 replicas, this pod not among them"),
        (stateful_set(3, deleted=True), False, "is being deleted"),
    ],
)
def test_ordinal_and_replicas_decide_whether_a_pod_returns(
    api: FakeKubernetesApi,
    found: Any,
    returns: bool,  # noqa: FBT001  a parameter
    cause: str,
) -> None:
    """A rolling restart keeps the replicas; a scale-in lowers them before the pod is stopped."""
    api.answer = found
    fate = api.pod("track-pipeline-2").fate(_WAIT_S)
    assert fate.returns is returns
    assert fate.cause == f"StatefulSet track-pipeline {cause}"
    assert api.asked == [(PATH, f"Bearer {TOKEN}")]


def test_pod_of_a_deleted_set_does_not_return(api: FakeKubernetesApi) -> None:
    """The StatefulSet may be gone before its last pod is."""
    api.status = 404
    fate = api.pod("track-pipeline-0").fate(_WAIT_S)
    assert (fate.returns, "does not exist any more" in fate.cause) == (False, True)


@pytest.mark.parametrize(
    ("status", "says"),
    [(403, "may not get it; grant it the verb get"), (401, "HTTP status 401"), (500, "status 500")],
)
def test_answer_that_decides_nothing_is_one_sentence(
    api: FakeKubernetesApi, status: int, says: str
) -> None:
    """A missing permission is named, and so is every other status."""
    api.status = status
    with pytest.raises(TransportError, match=says):
        api.pod("track-pipeline-2").fate(_WAIT_S)


@pytest.mark.parametrize("answer", [[], {}, {"metadata": {}, "spec": {"replicas": "many"}}, None])
def test_answer_that_is_no_stateful_set_is_one_sentence(
    api: FakeKubernetesApi, answer: object
) -> None:
    """Whatever answers at that address instead decides nothing."""
    api.answer = answer
    with pytest.raises(TransportError, match="the answer is not a StatefulSet"):
        api.pod("track-pipeline-2").fate(_WAIT_S)


def test_api_that_does_not_answer_is_given_up(api: FakeKubernetesApi) -> None:
    """The time for one question is limited."""
    api.hanging.set()
    with pytest.raises(TransportError, match="no answer within 0 s"):
        api.pod("track-pipeline-2").fate(0.2)


def test_api_with_another_certificate_is_not_trusted(api: FakeKubernetesApi) -> None:
    """The token is sent to nobody but the holder of the cluster's certificate."""
    trustme.CA().cert_pem.write_to_path(api.account / "ca.crt")
    pod = api.pod("track-pipeline-2")
    with pytest.raises(TransportError, match="certificate verify failed"):
        pod.fate(_WAIT_S)
    assert not api.asked


def test_nothing_listens_at_the_api(api: FakeKubernetesApi) -> None:
    """A refused connection is a sentence, too."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environ = {**api.environ, "KUBERNETES_SERVICE_PORT": port}
    pod = StatefulSetPod("track-pipeline-2", environ, api.account)
    with pytest.raises(TransportError, match="Connection refused"):
        pod.fate(_WAIT_S)


@pytest.mark.parametrize(
    ("name", "in_a_pod", "says"),
    [
        ("track-pipeline-2", False, "this is no pod"),
        ("laptop", True, "host name laptop is not that of a StatefulSet's pod"),
        ("track-pipeline-7d9f-x2", True, "is not that of a StatefulSet's pod"),
    ],
)
def test_scaled_in_outside_of_a_stateful_set_is_an_invalid_setting(
    api: FakeKubernetesApi,
    name: str,
    in_a_pod: bool,  # noqa: FBT001  a parameter
    says: str,
) -> None:
    """The start reports it, rather than the first scale-in."""
    with pytest.raises(SettingsError, match=says):
        StatefulSetPod(name, api.environ if in_a_pod else {}, api.account)


def test_pod_without_a_token_is_an_invalid_setting(api: FakeKubernetesApi) -> None:
    """The sentence names what to set."""
    (api.account / "token").unlink()
    with pytest.raises(SettingsError, match="set automountServiceAccountToken"):
        api.pod("track-pipeline-2")


def test_rolling_restart_keeps_the_membership(api: FakeKubernetesApi) -> None:
    """Kafka is not asked at all, and the log says why the partitions wait."""
    log = RecordedLog()
    settings = load_settings(None, {"instance_id": "w-2", "leave_on_stop": "scaled-in"}, {})
    leave_on_stop(settings, log, lambda: api.pod("track-pipeline-2"))
    ((level, event, fields),) = log.lines
    assert (level, event, fields["instance"]) == ("info", "membership_kept", "w-2")


def test_failed_question_keeps_the_membership(api: FakeKubernetesApi) -> None:
    """The session's end decides then; one sentence says so."""
    log = RecordedLog()
    api.status = 403
    settings = load_settings(None, {"instance_id": "w-2", "leave_on_stop": "scaled-in"}, {})
    leave_on_stop(settings, log, lambda: api.pod("track-pipeline-2"))
    ((level, event, fields),) = log.lines
    assert (level, event) == ("warning", "membership_not_ended")
    assert "grant it the verb get" in str(fields["cause"])


@pytest.mark.parametrize(("status", "warnings"), [(200, 0), (403, 1)])
def test_missing_permission_is_known_at_the_start(
    api: FakeKubernetesApi, status: int, warnings: int
) -> None:
    """A warning names what to grant, long before the first scale-in."""
    api.status = status
    settings = load_settings(None, {"instance_id": "w-2", "leave_on_stop": "scaled-in"}, {})
    said: list[str] = []
    check_leave_on_stop(settings, said.append, lambda: api.pod("track-pipeline-2"))
    assert len(said) == warnings
    assert all("grant it the verb get" in sentence for sentence in said)


@pytest.mark.parametrize("flags", [{"instance_id": "w-2"}, {"leave_on_stop": "always"}])
def test_nobody_leaves_without_the_setting_and_an_instance_id(flags: dict[str, str]) -> None:
    """Members without an instance id have left when they closed."""
    log = RecordedLog()
    leave_on_stop(load_settings(None, flags, {}), log)
    assert not log.lines


def test_worker_outside_of_kubernetes_does_not_start_with_scaled_in() -> None:
    """A sentence says what is missing; the exit code says that nothing was done."""
    variables = {"TRACK_LEAVE_ON_STOP": "scaled-in", "KUBERNETES_SERVICE_HOST": ""}
    flags = ("--bootstrap-servers", "127.0.0.1:1", "--instance-id", "w-2")
    ran = subprocess.run(
        command("run", *flags),
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == ExitCode.USAGE
    assert "leave_on_stop: scaled-in is not possible: this is no pod" in ran.stderr
