"""`track-pipeline run` as an operator meets it: logs, signals, and one sentence for each fault."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.record import Role
from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import ExitCode
from tests.brokers import (
    RECENT,
    Sent,
    create_topics,
    delete_records,
    delete_topics,
    produce,
    read_topic,
)
from tests.hostile import EVENT
from tests.kafka.worker_process import PATIENCE_S, QUICK_COMMITS, Pipeline, terminate
from tests.unit.cli.program import run as run_program

pytestmark = pytest.mark.kafka


def _events(count: int) -> list[Sent]:
    return [Sent(EVENT, b"u1", (), RECENT + n, n % 3) for n in range(count)]


def _ends(pipeline: Pipeline, code: ExitCode, instance: str = "w1", **settings: str) -> str:
    """Start a worker that must end by itself with this code; what it said last."""
    worker = pipeline.start(instance, **settings)
    assert worker.wait(PATIENCE_S) == code, pipeline.text(instance)
    text = pipeline.text(instance)
    assert "Traceback" not in text
    return text.splitlines()[-1]


def test_a_worker_starts_works_and_stops(pipeline: Pipeline) -> None:
    """A worker logs once what it is, works, counts, and exits with 0 after SIGTERM."""
    produce(pipeline.servers, pipeline.names.raw, [*_events(30), Sent(b"{", None, (), RECENT, 0)])
    worker = pipeline.start(stats_interval_s="1")
    pipeline.wait_until_done()
    pipeline.wait_for(lambda: bool(pipeline.lines("statistics")), "the statistics line")
    assert terminate(worker) == 0
    (start,) = pipeline.lines("starting")
    assert start["settings"]["group"] == pipeline.names.raw
    assert start["version"]
    lines = pipeline.lines("statistics")
    assert sum(line["consumed"] for line in lines) == 31
    assert sum(line["enriched"] for line in lines) == 30
    assert {"invalid_json": 1} in [line["dead_lettered"] for line in lines]
    assert lines[-1]["total_consumed"] == 31
    assert pipeline.lines("stopped")
    assert "Order Completed" not in pipeline.text()  # no payloads
    assert len(pipeline.text().splitlines()) - len(lines) < 31  # no line per event
    assert pipeline.found() == pipeline.expected()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_mid_work_ends_the_worker_cleanly(
    pipeline: Pipeline, number: signal.Signals
) -> None:
    """A signal in the middle of work ends it in good order; the next start finishes the rest."""
    produce(pipeline.servers, pipeline.names.raw, _events(20_000))
    worker = pipeline.start(batch__max_records="200", batch__linger_ms="10")
    pipeline.wait_for(lambda: pipeline.committed() > 0, "the first commit")
    worker.send_signal(number)
    assert worker.wait(PATIENCE_S) == 0
    assert pipeline.lines("stopped")
    # No transaction was left open: what any reader sees is what was committed.
    assert pipeline.found("read_uncommitted") == pipeline.found()
    worker = pipeline.start()
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert pipeline.found() == pipeline.expected()


def test_second_signal_ends_at_once(own_pipeline: Pipeline, own_kafka: LocalKafka) -> None:
    """With a commit that is not answered a stop waits for it; a second signal does not."""
    produce(own_pipeline.servers, own_pipeline.names.raw, _events(30_000))
    worker = own_pipeline.start(batch__max_records="100", shutdown_grace_s="600")
    own_pipeline.wait_for(lambda: own_pipeline.committed() > 0, "the first commit")
    assert own_kafka.pid is not None
    os.kill(own_kafka.pid, signal.SIGSTOP)
    try:
        time.sleep(0.5)  # answers that were under way arrive; the next commit gets none
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.5)  # time in which the first signal could end it, wrongly
        assert worker.poll() is None

        def ends() -> bool:
            # Signals that it receives close together count as one, whenever they were sent.
            worker.send_signal(signal.SIGTERM)
            return worker.poll() is not None

        own_pipeline.wait_for(ends, "the second signal")
        assert worker.wait() == 128 + signal.SIGTERM
    finally:
        os.kill(own_kafka.pid, signal.SIGCONT)


def test_broker_killed_and_restarted(own_pipeline: Pipeline, own_kafka: LocalKafka) -> None:
    """The worker outlives its broker: it goes on by itself, and every event is there once."""
    servers, raw = own_pipeline.servers, own_pipeline.names.raw
    produce(servers, raw, _events(20_000))
    worker = own_pipeline.start(batch__max_records="200", **QUICK_COMMITS)
    own_pipeline.wait_for(lambda: own_pipeline.committed() > 0, "the first commit")
    own_kafka.kill()
    own_kafka.restart()
    own_pipeline.wait_until_done()
    assert worker.poll() is None
    assert terminate(worker) == 0
    assert own_pipeline.found() == own_pipeline.expected(), own_pipeline.explained(own_kafka)


def test_two_workers_share_the_work(pipeline: Pipeline) -> None:
    """Two instances of one group split the partitions; together every event once."""
    workers = [pipeline.start(name) for name in ("w1", "w2")]
    for name in ("w1", "w2"):
        pipeline.wait_for(lambda name=name: bool(pipeline.lines("topics", name)), "the start")  # type: ignore[misc]
    produce(pipeline.servers, pipeline.names.raw, _events(3000))
    pipeline.wait_until_done()
    assert [terminate(worker) for worker in workers] == [0, 0]
    assert pipeline.found() == pipeline.expected()


def test_same_instance_twice(pipeline: Pipeline) -> None:
    """Of two live workers with one instance id the older one stops, and says why."""
    older = pipeline.start("w1", batch__linger_ms="10")
    produce(pipeline.servers, pipeline.names.raw, _events(10))
    pipeline.wait_until_done()
    newer = pipeline.start("w2", instance_id="w1")
    # Not before: a commit of the older one that Kafka fails while the newer one takes over has an
    # unknown outcome, and the older one may then come last.
    pipeline.wait_for(lambda: bool(pipeline.lines("assigned", "w2")), "the second start")
    produce(pipeline.servers, pipeline.names.raw, _events(10))
    assert older.wait(PATIENCE_S) == ExitCode.FENCED
    assert "another live process uses the same" in pipeline.text("w1")
    assert "instance_id" in pipeline.text("w1").splitlines()[-1]
    pipeline.wait_until_done()
    assert terminate(newer) == 0
    assert pipeline.found() == pipeline.expected()


def test_paused_longer_than_a_transaction(pipeline: Pipeline) -> None:
    """A lone worker that was stopped for longer than its transaction may last goes on by itself."""
    produce(pipeline.servers, pipeline.names.raw, _events(40_000))
    worker = pipeline.start(
        batch__max_records="2000", transaction_timeout_ms="1000", max_resets="30"
    )
    pipeline.wait_for(lambda: pipeline.committed() > 0, "the first commit")
    worker.send_signal(signal.SIGSTOP)
    time.sleep(3)  # the pause itself is what is tested
    worker.send_signal(signal.SIGCONT)
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert pipeline.found() == pipeline.expected()


def test_missing_topics_are_named_at_the_start(bare_pipeline: Pipeline) -> None:
    """The sentence names what is missing and the command that makes it; nothing is created."""
    said = _ends(bare_pipeline, ExitCode.KAFKA)
    for name in (bare_pipeline.names.raw, bare_pipeline.names.enriched):
        assert name in said
    assert f"track-pipeline topics create --bootstrap-servers {bare_pipeline.servers}" in said
    assert bare_pipeline.admin.topics(bare_pipeline.names) == {}


def test_address_without_a_broker_is_named(pipeline: Pipeline) -> None:
    """A wrong port is named, with the cause that the client has seen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    said = _ends(pipeline, ExitCode.KAFKA, kafka_bootstrap_servers=nobody, startup_timeout_s="2")
    assert f"no Kafka broker answers at {nobody} within 2 s" in said
    assert "refused" in said.lower()


def test_late_broker_is_waited_for(own_pipeline: Pipeline, own_kafka: LocalKafka) -> None:
    """A broker that answers only later is waited for."""
    own_kafka.kill()
    worker = own_pipeline.start(startup_timeout_s="300")
    own_pipeline.wait_for(
        lambda: "does not answer yet" in own_pipeline.text(), "noticing that the broker is away"
    )
    own_kafka.restart()
    own_pipeline.wait_for(lambda: bool(own_pipeline.lines("topics")), "going on")
    assert terminate(worker) == 0


def test_unsuitable_topic_is_rejected_at_the_start(bare_pipeline: Pipeline) -> None:
    """A dead-letter topic that is too small for what raw may hold is rejected with the number."""
    names = bare_pipeline.names
    create_topics(bare_pipeline.servers, names.raw, names.enriched, names.dead_letter, partitions=3)
    said = _ends(bare_pipeline, ExitCode.KAFKA)
    assert f"topic {names.dead_letter}: max.message.bytes is 1048588" in said
    assert "set it to at least 1114124" in said


def test_expired_offsets_stop_the_worker(pipeline: Pipeline) -> None:
    """A group without offsets beside a filled enriched topic stops, until told where to start."""
    produce(pipeline.servers, pipeline.names.raw, _events(9))
    worker = pipeline.start()
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    said = _ends(pipeline, ExitCode.DATA_LOSS, "w2", group="another-" + pipeline.names.raw)
    assert "--initial-offset" in said
    assert len(pipeline.found()[Role.ENRICHED]) == 9
    worker = pipeline.start("w3", "--initial-offset", "latest", group=pipeline.names.raw + "-new")
    pipeline.wait_for(
        lambda: pipeline.progress(pipeline.names.raw + "-new").committed == 9,
        "committing the latest offsets",
    )
    assert terminate(worker) == 0
    assert len(pipeline.found()[Role.ENRICHED]) == 9


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_deleted_records_are_data_loss(pipeline: Pipeline, strategy: str) -> None:
    """Records that were deleted before they were read are data loss: stop, and name the range."""
    names, servers = pipeline.names, pipeline.servers
    one = {"consumer_partition_assignment_strategy": strategy}  # strategies do not mix
    produce(servers, names.raw, _events(9))
    worker = pipeline.start(**one)
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    produce(servers, names.raw, _events(9))
    delete_records(servers, names.raw, partition=0, before=5)
    said = _ends(pipeline, ExitCode.DATA_LOSS, "w1", **one)
    assert f"{names.raw}/0: offset 3 does not exist" in said
    assert "offsets 3 to 4 were deleted" in said
    worker = pipeline.start(on_data_loss="continue", **one)
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    sources = [source for source, _, _ in pipeline.found()[Role.ENRICHED]]
    assert len(sources) == len(set(sources)) == 16


def test_output_topic_deleted_while_running(
    pipeline: Pipeline, topic_name: Callable[[str], str]
) -> None:
    """An output topic that vanishes stops the worker with its name; made anew, nothing is lost."""
    del topic_name
    names, servers = pipeline.names, pipeline.servers
    worker = pipeline.start(producer_topic_metadata_propagation_max_ms="1000")
    pipeline.wait_for(lambda: pipeline.committed() == 0 and bool(pipeline.lines("topics")), "start")
    delete_topics(servers, [names.enriched])
    produce(servers, names.raw, _events(30))
    assert worker.wait(PATIENCE_S) == ExitCode.KAFKA
    said = pipeline.text().splitlines()[-1]
    assert f"topic {names.enriched}: the topic does not exist" in said
    pipeline.create_topics()
    worker = pipeline.start()
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert pipeline.found() == pipeline.expected()


def test_contradicting_client_properties_are_a_wrong_setting(pipeline: Pipeline) -> None:
    """Properties that do not fit together are a wrong setting: a restart would not help."""
    said = _ends(pipeline, ExitCode.USAGE, consumer_fetch_max_bytes="100")
    assert "`fetch.max.bytes` must be >= `message.max.bytes`" in said


def test_check_and_topics_create(bare_pipeline: Pipeline, tmp_path: Path) -> None:
    """`check` says what is missing, `topics create` shows its plan and acts, twice is once."""
    config = tmp_path / "pipeline.toml"
    lines = [f'{name} = "{topic}"' for name, topic in bare_pipeline.names._asdict().items()]
    servers = f'"bootstrap.servers" = "{bare_pipeline.servers}"'
    config.write_text("\n".join(["[kafka]", servers, "[topics]", *lines]))
    flags = ("--config", config)
    assert run_program("check", *flags).code == ExitCode.KAFKA
    dry = run_program("topics", "create", *flags, "--partitions", "2", "--dry-run")
    assert dry.code == 0
    assert bare_pipeline.admin.topics(bare_pipeline.names) == {}
    made = run_program("topics", "create", *flags, "--partitions", "2")
    assert made.code == 0
    assert bare_pipeline.names.dead_letter in made.out.decode()
    facts = bare_pipeline.admin.topics(bare_pipeline.names)
    assert {topic.partitions for topic in facts.values()} == {2}
    assert facts[bare_pipeline.names.dead_letter].config["max.message.bytes"] == "1114124"
    again = run_program("topics", "create", *flags, "--partitions", "5")
    assert (again.code, "nothing to do" in again.err) == (0, True)
    checked = run_program("check", *flags)
    assert (checked.code, "the worker would start" in checked.out.decode()) == (0, True)


def test_a_null_value_is_a_dead_letter(pipeline: Pipeline) -> None:
    """A null value is a dead letter with a null value."""
    produce(pipeline.servers, pipeline.names.raw, [Sent(None, b"k", (), RECENT, 0)])
    worker = pipeline.start()
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    (dead_letter,) = read_topic(pipeline.servers, pipeline.names.dead_letter)
    assert (dead_letter.value, dead_letter.key) == (None, b"k")
