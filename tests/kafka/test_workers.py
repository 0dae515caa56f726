"""`run --workers N` as an operator meets it: real processes, killed and stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from pipeline.core.headers import DlqHeader
from pipeline.core.reasons import Stage
from pipeline.core.record import Role
from pipeline.errors import ExitCode
from tests.brokers import RECENT, Sent, produce, read_topic
from tests.hostile import EVENT
from tests.kafka import worker_process
from tests.kafka.poisoned_worker import POISON
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate

pytestmark = pytest.mark.kafka


def _events(count: int) -> list[Sent]:
    return [Sent(EVENT, b"u1", (), RECENT + n, n % 3) for n in range(count)]


def _start(pipeline: Pipeline, *flags: str, **settings: str) -> subprocess.Popen[bytes]:
    """Two workers, both of them with partitions."""
    settings |= {"stats_interval_s": "1", "consumer_heartbeat_interval_ms": "300"}
    supervisor = pipeline.start("w1", "--workers", "2", *flags, **settings)
    pipeline.wait_for(
        lambda: any(line["workers_reading"] == 2 for line in pipeline.lines("statistics")),
        "sharing the partitions",
    )
    return supervisor


def _workers(pipeline: Pipeline) -> dict[int, psutil.Process]:
    """Slot → the worker that was started last."""
    started = {line["worker"]: line["pid"] for line in pipeline.lines("worker_started")}
    return {slot: psutil.Process(pid) for slot, pid in started.items()}


def _are_gone(pipeline: Pipeline) -> bool:
    """Whether no process is left of all that were ever started."""
    pids = [line["pid"] for line in pipeline.lines("worker_started")]
    return not any(psutil.pid_exists(pid) for pid in pids)


@contextmanager
def _suspended(worker: psutil.Process) -> Iterator[None]:
    worker.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            worker.resume()  # without its supervisor it ends


def _ends(supervisor: subprocess.Popen[bytes], pipeline: Pipeline) -> int:
    """The exit code of a supervisor that must end by itself."""
    code = supervisor.wait(PATIENCE_S)
    assert "Traceback" not in pipeline.text()
    assert _are_gone(pipeline)
    return code


def test_workers_share_the_work(pipeline: Pipeline) -> None:
    """Two workers split the partitions; one statistics line counts for both; SIGTERM ends all."""
    supervisor = _start(pipeline)
    produce(pipeline.servers, pipeline.names.raw, _events(3000))
    pipeline.wait_until_done()
    assert terminate(supervisor) == 0
    assert _are_gone(pipeline)
    assert pipeline.found() == pipeline.expected()
    lines = pipeline.lines("statistics")
    assert sum(line["consumed"] for line in lines) == lines[-1]["total_consumed"] == 3000
    assert sum(line["enriched"] for line in lines) == 3000
    assert {2, 0} <= {line["workers"] for line in lines}
    assert any(line["lag"] == 0 for line in lines)
    assert not any("worker" in line for line in lines)
    for event in ("starting", "topics", "stopped"):
        told = {line.get("worker") for line in pipeline.lines(event)}
        assert told >= {0, 1}
    assert {line.get("instance") for line in pipeline.lines("starting")} == {
        None,
        "w1-0",
        "w1-1",
    }


@pytest.mark.slow
def test_killed_workers_are_started_again(pipeline: Pipeline) -> None:
    """SIGKILL in the middle of work, several times: everything once, and nobody is suspected."""
    supervisor = _start(pipeline, batch__max_records="100", batch__linger_ms="20")
    produce(pipeline.servers, pipeline.names.raw, _events(20_000))
    for number in range(3):
        pipeline.wait_for(
            lambda goal=number * 2000 + 1: pipeline.committed() >= goal,  # type: ignore[misc]
            "going on",
        )
        lives = len(pipeline.lines("worker_started"))
        _workers(pipeline)[number % 2].kill()
        pipeline.wait_for(
            lambda lives=lives: len(pipeline.lines("worker_started")) > lives,  # type: ignore[misc]
            "starting again",
        )
    pipeline.wait_until_done()
    assert terminate(supervisor) == 0
    ends = [line["how"] for line in pipeline.lines("worker_ended")]
    assert ends == ["SIGKILL"] * 3 + ["exit code 0"] * 2
    assert '"crash_' not in pipeline.text()
    assert pipeline.found() == pipeline.expected()
    (*_, last) = pipeline.lines("statistics")
    assert last["total_consumed"] <= 20_000  # a killed worker's last commit may go uncounted


def test_fenced_worker_ends_all(pipeline: Pipeline) -> None:
    """Exit code 3 is not answered by a new start: all workers stop, and the code is the same."""
    supervisor = _start(pipeline, instance_id="")
    # Without an instance id it is the host name that the transactional id is made of.
    intruder = pipeline.start("w2", instance_id="", workers="2")
    pipeline.wait_for(lambda: bool(pipeline.lines("topics", "w2")), "the second start")

    def fenced() -> bool:
        produce(pipeline.servers, pipeline.names.raw, _events(30))
        return supervisor.poll() is not None

    pipeline.wait_for(fenced, "the end of all workers")
    assert _ends(supervisor, pipeline) == ExitCode.FENCED
    sentence = pipeline.text().splitlines()[-1]
    assert re.match(r"track-pipeline: worker [01] ended with exit code 3: .*another live", sentence)
    assert any("another live" in line.get("cause", "") for line in pipeline.lines("worker_ended"))
    assert len(pipeline.lines("worker_started")) == 2
    ends = {line["how"] for line in pipeline.lines("worker_ended")}
    assert "exit code 3" in ends
    assert ends <= {"exit code 3", "exit code 0"}  # the other one may be fenced before it stops
    pipeline.wait_until_done()
    assert terminate(intruder) == 0
    assert pipeline.found() == pipeline.expected()


def test_workers_of_a_killed_supervisor_finish_and_end(pipeline: Pipeline) -> None:
    """Workers whose supervisor is killed finish what they have begun, and end."""
    supervisor = _start(pipeline, batch__max_records="100", batch__linger_ms="10")
    produce(pipeline.servers, pipeline.names.raw, _events(20_000))
    supervisor.kill()
    supervisor.wait(PATIENCE_S)
    pipeline.wait_for(lambda: _are_gone(pipeline), "the end of the orphans")
    assert {line["worker"] for line in pipeline.lines("stopped")} == {0, 1}


def test_a_signal_to_all_is_one(pipeline: Pipeline) -> None:
    """SIGTERM to each process, as service managers send it, ends all in good order."""
    supervisor = _start(pipeline, batch__max_records="100", batch__linger_ms="10")
    produce(pipeline.servers, pipeline.names.raw, _events(20_000))
    for worker in _workers(pipeline).values():
        worker.terminate()
    assert terminate(supervisor) == 0
    assert _are_gone(pipeline)
    assert {line["how"] for line in pipeline.lines("worker_ended")} == {"exit code 0"}


def test_ctrl_c_is_one_signal(pipeline: Pipeline) -> None:
    """SIGINT to the process group of the supervisor does not reach the workers a second time."""
    supervisor = _start(pipeline)
    group = os.getpgid(supervisor.pid)
    assert all(os.getpgid(worker.pid) != group for worker in _workers(pipeline).values())
    supervisor.send_signal(signal.SIGINT)
    assert _ends(supervisor, pipeline) == 0
    assert {line["how"] for line in pipeline.lines("worker_ended")} == {"exit code 0"}


def test_worker_that_does_not_stop(pipeline: Pipeline) -> None:
    """One that hangs is killed when the grace time is over."""
    supervisor = _start(pipeline, shutdown_grace_s="1")
    with _suspended(_workers(pipeline)[1]):
        supervisor.send_signal(signal.SIGTERM)
        assert _ends(supervisor, pipeline) == 128 + signal.SIGKILL


def test_second_signal_ends_at_once(pipeline: Pipeline) -> None:
    """A supervisor that waits for a worker does so no longer."""
    supervisor = _start(pipeline, shutdown_grace_s="600")
    with _suspended(_workers(pipeline)[1]):
        supervisor.send_signal(signal.SIGTERM)
        # The other one has ended: the first signal was received.
        pipeline.wait_for(lambda: bool(pipeline.lines("worker_ended")), "the first signal")
        time.sleep(0.5)  # signals closer together than that count as one
        supervisor.send_signal(signal.SIGTERM)
        assert _ends(supervisor, pipeline) == 128 + signal.SIGTERM


def test_missing_topics_end_all_workers(bare_pipeline: Pipeline) -> None:
    """What a lone worker would not start with ends all of them, with the sentence and the code."""
    supervisor = bare_pipeline.start("w1", "--workers", "2")
    assert _ends(supervisor, bare_pipeline) == ExitCode.KAFKA
    assert len(bare_pipeline.lines("worker_started")) == 2
    assert "track-pipeline topics create" in bare_pipeline.text()


@pytest.mark.slow
def test_poison_pill_is_found_and_dead_lettered(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that kills every process that touches it is found; it alone is a dead letter."""
    monkeypatch.setattr(
        worker_process,
        "command",
        lambda *words: [sys.executable, "-m", "tests.kafka.poisoned_worker", *words],
    )
    supervisor = _start(pipeline, batch__max_records="200")
    poison = EVENT.replace(b"Order Completed", POISON)
    assert POISON in poison
    events = _events(600)
    events[201] = Sent(poison, b"u1", (), RECENT, 0)  # the 67th of partition 0
    produce(pipeline.servers, pipeline.names.raw, events)
    pipeline.wait_until_done()
    assert terminate(supervisor) == 0
    (dead_letter,) = read_topic(pipeline.servers, pipeline.names.dead_letter)
    headers = dict(dead_letter.headers)
    assert dead_letter.value == poison
    assert headers[DlqHeader.STAGE] == Stage.CRASH.encode()
    assert headers[DlqHeader.SOURCE] == f"{pipeline.names.raw}/0/67".encode()
    (quarantined,) = pipeline.lines("crash_confirmed")
    assert (quarantined["partition"], quarantined["first"], quarantined["last"]) == (0, 67, 67)
    expected = pipeline.expected()[Role.ENRICHED]
    assert [each for each in expected if each[0] != f"{pipeline.names.raw}/0/67"] == (
        pipeline.found()[Role.ENRICHED]
    )


def test_quarantined_record_is_dead_lettered_unread(pipeline: Pipeline) -> None:
    """Without a supervisor the operator names the record: it is a dead letter, unread."""
    produce(pipeline.servers, pipeline.names.raw, _events(9))
    named = f"{pipeline.names.raw}/1/2"
    worker = pipeline.start("w1", "--quarantine", named)
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    (dead_letter,) = read_topic(pipeline.servers, pipeline.names.dead_letter)
    headers = dict(dead_letter.headers)
    assert headers[DlqHeader.STAGE] == Stage.CRASH.encode()
    assert headers[DlqHeader.SOURCE] == named.encode()
    assert len(read_topic(pipeline.servers, pipeline.names.enriched)) == 8
