"""The endpoint of real workers: what Prometheus, Kubernetes and people get, and when it fails."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import urllib.error
import urllib.request
from typing import Any

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import ExitCode
from tests.brokers import RECENT, Sent, open_transaction, produce
from tests.hostile import EVENT
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate

pytestmark = pytest.mark.kafka

ANY_PORT = {"http__port": "0", "http__host": "127.0.0.1", "stats_interval_s": "1"}
BATCH = b'{"batch":[%b,{"event":5},%b]}' % (EVENT, EVENT)


def _events(count: int, value: bytes = EVENT) -> list[Sent]:
    return [Sent(value, b"u1", (), RECENT + n, n % 3) for n in range(count)]


def _address(pipeline: Pipeline, name: str = "w1") -> str:
    pipeline.wait_for(lambda: bool(pipeline.lines("listening", name)), "listening")
    return f"http://{pipeline.lines('listening', name)[-1]['address']}"


def _get(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address + path, timeout=10) as response:  # noqa: S310  ours
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _metrics(address: str) -> dict[tuple[str, str], float]:
    """Value by name and the values of its labels, joined by commas."""
    families = text_string_to_metric_families(_get(address, "/metrics")[1])
    samples = [sample for family in families for sample in family.samples]
    names = [sample.name.removeprefix("track_pipeline_") for sample in samples]
    return {
        (name, ",".join(sample.labels.values())): sample.value
        for name, sample in zip(names, samples, strict=True)
    }


def _is_ready(address: str) -> bool:
    return _get(address, "/readyz")[0] == 200


def _wait_until_ready(pipeline: Pipeline, address: str, *, wanted: bool = True) -> None:
    pipeline.wait_for(lambda: _is_ready(address) is wanted, f"ready: {wanted}, {address}")


def _has_watched_lag(address: str) -> bool:
    return any(name.startswith("watch_lag") for name, _ in _metrics(address))


@pytest.mark.parametrize("workers", [1, 2])
def test_one_endpoint_counts_for_all_workers(pipeline: Pipeline, workers: int) -> None:
    """One port shows the sums of all workers, also while they are stopping."""
    worker = pipeline.start("w1", "--workers", str(workers), **ANY_PORT)
    address = _address(pipeline)
    pipeline.wait_for(lambda: _is_ready(address), "getting ready")
    produce(pipeline.servers, pipeline.names.raw, [*_events(90), *_events(9, BATCH)])
    pipeline.wait_until_done()
    pipeline.wait_for(
        lambda: _metrics(address)["records_consumed_total", ""] == 99, "counting the commit"
    )
    found = _metrics(address)
    assert found["events_consumed_total", ""] == 90 + 27
    assert found["events_enriched_total", ""] == 90 + 18
    assert found["events_dead_lettered_total", "event_not_string"] == 9
    assert found["conservation_difference_events", ""] == 0
    assert found["workers", "running"] == workers
    assert found["latency_seconds_count", ""] == 99
    assert _get(address, "/livez") == (200, "ok\n")
    status: dict[str, Any] = json.loads(_get(address, "/status")[1])
    assert status["ready"]
    assert sum(each["committed_records"] for each in status["workers"]) == 99
    _stop_while_scraped(worker, address)


def _stop_while_scraped(worker: Any, address: str) -> None:
    """End it while somebody scrapes as fast as possible."""
    stop = threading.Event()
    strange: list[str] = []

    def scrape() -> None:
        while not stop.is_set():
            try:
                if _get(address, "/metrics")[0] != 200:
                    strange.append("a scrape failed")
            except (OSError, http.client.HTTPException):
                return  # it is gone

    scraper = threading.Thread(target=scrape)
    scraper.start()
    try:
        assert terminate(worker) == 0
    finally:
        stop.set()
        scraper.join()
    assert strange == []


def test_lag_of_an_open_transaction_is_the_age_of_its_record(pipeline: Pipeline) -> None:
    """Nobody can read the record yet, but it waits; the worker stays alive and ready."""
    worker = pipeline.start(**ANY_PORT)
    address = _address(pipeline)
    pipeline.wait_for(lambda: _is_ready(address), "getting ready")
    records = [Sent(EVENT, b"u1", (), 0, 0)]
    producer = open_transaction(pipeline.servers, pipeline.names.raw, records, "open")
    found: dict[tuple[str, str], float] = {}

    def scraped(name: str) -> float | None:
        found.clear()
        found.update(_metrics(address))  # both figures of one scrape: in the next may be none
        return found.get((name, "0"))

    pipeline.wait_for(lambda: (scraped("lag_seconds") or 0.0) > 7, "looking up the record")
    assert found["lag_records", "0"] == 1
    assert _is_ready(address)
    producer.abort_transaction()
    pipeline.wait_for(lambda: scraped("lag_records") == 0.0, "getting to the end")
    assert found["lag_seconds", "0"] == 0
    assert terminate(worker) == 0


def test_port_in_use_is_one_sentence(pipeline: Pipeline) -> None:
    """The second program on a port ends at once and says which setting to change."""
    first = pipeline.start("w1", **ANY_PORT)
    port = _address(pipeline).rpartition(":")[2]
    second = pipeline.start("w2", **{**ANY_PORT, "http__port": port})
    assert second.wait(PATIENCE_S) == ExitCode.USAGE
    last = pipeline.text("w2").splitlines()[-1]
    assert f"http.port: the endpoint can't listen at 127.0.0.1:{port}" in last
    assert terminate(first) == 0


def test_a_worker_that_hangs_is_ended_and_its_partitions_are_read(pipeline: Pipeline) -> None:
    """A suspended process reports nothing; the supervisor ends it and starts another."""
    supervisor = pipeline.start("w1", "--workers", "2", **{**ANY_PORT, "http__stuck_after_s": "5"})
    address = _address(pipeline)
    pipeline.wait_for(lambda: _is_ready(address), "getting ready")
    pid = pipeline.lines("worker_started")[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    produce(pipeline.servers, pipeline.names.raw, _events(30))
    pipeline.wait_until_done()
    pipeline.wait_for(lambda: not psutil.pid_exists(pid), "ending the hanging worker")
    assert pipeline.lines("worker_stuck")[0]["worker"] == 0
    pipeline.wait_for(lambda: _is_ready(address), "being ready again")
    assert _metrics(address)["worker_restarts_total", ""] == 1
    assert terminate(supervisor) == 0


def test_a_broker_that_flaps_makes_a_worker_unready_not_dead(
    own_kafka: LocalKafka, own_pipeline: Pipeline
) -> None:
    """Unready while the broker is away, alive all the time, ready again after; so is `watch`."""
    worker = own_pipeline.start(**ANY_PORT)
    port = {f"TRACK_{name.upper()}": value for name, value in ANY_PORT.items()}
    watch = own_pipeline.start_command("watch", "--interval", "1", env=port)
    addresses = [_address(own_pipeline), _address(own_pipeline, "command-1")]
    for address in addresses:
        _wait_until_ready(own_pipeline, address)
    # A transaction that is under way when the only broker crashes may lose its end, and with it the
    # group's offsets for good: Kafka's fault, and another test's (docs/how-to/chaos.md).
    produce(own_pipeline.servers, own_pipeline.names.raw, _events(3))
    own_pipeline.wait_until_done()
    own_kafka.kill()
    for address in addresses:
        _wait_until_ready(own_pipeline, address, wanted=False)
        assert _get(address, "/livez") == (200, "ok\n")
    # The look that the crash has met may have seen a part of it.
    own_pipeline.wait_for(lambda: not _has_watched_lag(addresses[1]), "hiding the old lag")
    own_kafka.start()
    for address in addresses:
        _wait_until_ready(own_pipeline, address)
    assert _metrics(addresses[1])["watch_up", ""] == 1
    # How they end is the subject of other tests: after an outage the client may take its time.
    assert [process.poll() for process in (worker, watch)] == [None, None]
