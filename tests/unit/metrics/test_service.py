"""What `run` answers to Prometheus, Kubernetes and people."""

from __future__ import annotations

import json
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from pipeline.core.counts import OutcomeCounts
from pipeline.core.record import Record
from pipeline.metrics.catalogue import Metric
from pipeline.metrics.service import Build, Service, ServiceView
from pipeline.metrics.snapshot import WorkerCondition, WorkerSnapshot, total_of
from pipeline.metrics.worker_metrics import WorkerMetrics
from pipeline.ports import CommittedBatch, Lag

NOW_S = 1_800_000_000.0
BUILD = Build("1.2.3", "1;abc", "3.13", "2.16.0", "python")


class _Worker:
    """A worker's metrics, with clocks that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.metrics = WorkerMetrics(lambda: self.now, lambda: NOW_S + self.now, "w-0")
        self.metrics.state("running")

    def commit(self, counts: OutcomeCounts, revenue: dict[str, float], *, expected: int) -> None:
        """One transaction of records that were a second old."""
        timestamp = int((NOW_S + self.now - 1) * 1000)
        records = [
            Record(b"x" * 300, None, (), timestamp, "raw", 0, n) for n in range(counts.records)
        ]
        self.metrics.collected(records)
        self.metrics.committed(CommittedBatch(counts, records, revenue, {}, 0.02, expected))

    def service(self, *others: WorkerSnapshot | None) -> Service:
        """With this worker and others."""

        def view() -> ServiceView:
            mine = self.metrics.snapshot()
            workers = [mine, *others]
            total = total_of([each for each in workers if each], WorkerCondition(self.now))
            return ServiceView(total, workers, restarts=2)

        return Service(BUILD, view, 180.0, lambda: self.now, lambda: NOW_S)


def _scraped(service: Service) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    body = service.routes()["/metrics"]("").body.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def test_every_event_is_counted_once_and_money_by_currency() -> None:
    """The difference is 0 as long as each event has an outcome, and shows what has none."""
    worker = _Worker()
    counts = OutcomeCounts(records=3, enriched=2, identify=1)
    counts.dead_letters["revenue_invalid"] += 1
    counts.dropped["unsupported_type"] += 1
    worker.commit(counts, {"EUR": 12.5}, expected=4)
    found = _scraped(worker.service())
    assert found["track_pipeline_events_consumed_total", ()] == 4
    assert found["track_pipeline_conservation_difference_events", ()] == 0
    assert found["track_pipeline_revenue_enriched_total", (("currency", "EUR"),)] == 12.5
    assert found["track_pipeline_latency_seconds_count", ()] == 3
    assert found["track_pipeline_record_bytes_bucket", (("le", "500.0"),)] == 3
    worker.commit(OutcomeCounts(records=1), {}, expected=1)
    assert _scraped(worker.service())["track_pipeline_conservation_difference_events", ()] == 1


def test_every_known_series_exists_before_anything_happens() -> None:
    """Prometheus does not see the first increase of a series that appears with it."""
    found = _scraped(_Worker().service())
    assert found["track_pipeline_events_dead_lettered_total", (("reason", "too_deep"),)] == 0
    assert found["track_pipeline_transactions_total", (("result", "aborted"),)] == 0
    assert found["track_pipeline_records_lost_total", ()] == 0


def test_lag_is_absent_while_it_is_not_known() -> None:
    """Neither stale nor 0; the time until retention deletes is absent when nothing waits."""
    worker = _Worker()
    lag, key = "track_pipeline_lag_records", (("partition", "0"),)
    assert (lag, key) not in _scraped(worker.service())
    worker.metrics.started(_NoClients(), 60_000)
    worker.metrics.lagging(Lag.between({0: 5, 1: 7}, {0: 9, 1: 7}))
    worker.now += 10
    found = _scraped(worker.service())
    assert found[lag, key] == 4
    assert found["track_pipeline_lag_seconds", key] == 10
    assert found["track_pipeline_lag_seconds", (("partition", "1"),)] == 0
    assert found["track_pipeline_retention_seconds", key] == 50
    assert ("track_pipeline_retention_seconds", (("partition", "1"),)) not in found
    worker.metrics.lagging(None)
    assert (lag, key) not in _scraped(worker.service())


def test_unlimited_retention_has_no_deadline() -> None:
    """Records that are kept for ever are never about to be deleted."""
    worker = _Worker()
    worker.metrics.started(_NoClients(), -1)
    worker.metrics.lagging(Lag.between({0: 5}, {0: 9}))
    worker.now += 10
    names = {name for name, _ in _scraped(worker.service())}
    assert "track_pipeline_retention_seconds" not in names


def test_probes_say_why() -> None:
    """A broker that is away makes a worker unready; only a standstill without a cause kills it."""
    worker = _Worker()
    routes = worker.service().routes()
    assert [routes[path]("").status for path in ("/livez", "/readyz")] == [200, 200]
    worker.metrics.state("waiting", "no Kafka broker answers at kafka:9092")
    assert routes["/livez"]("").status == 200
    assert routes["/readyz"]("").status == 503
    assert routes["/readyz"]("").body == b"no Kafka broker answers at kafka:9092\n"
    found = _scraped(worker.service())
    assert found["track_pipeline_not_ready", (("reason", "waiting"),)] == 1
    worker.metrics.state("running")
    worker.now += 181
    assert routes["/livez"]("").status == 503


def test_status_is_told_in_words() -> None:
    """One sentence for all workers, and the state of each."""
    worker = _Worker()
    worker.metrics.lagging(Lag.between({0: 5}, {0: 1205}))
    worker.now += 3
    status: dict[str, Any] = json.loads(worker.service().routes()["/status"]("").body)
    assert status["summary"] == "ready; 1,200 records behind, the oldest waits for 3.0 s"
    assert (status["live"], status["ready"], status["lag_seconds"]) == (True, True, 3.0)
    assert status["workers"][0]["instance"] == "w-0"
    both = worker.service(None).status()
    assert both["summary"] == "worker 1: it is starting"
    assert [each["state"] for each in both["workers"]] == ["running", "starting"]
    assert both["lag_records"] is None


def test_all_exposed_names_are_in_the_catalogue() -> None:
    """Nothing is exposed that the documents do not list."""
    worker = _Worker()
    worker.commit(OutcomeCounts(records=1, enriched=1), {}, expected=1)
    body = worker.service().routes()["/metrics"]("").body.decode()
    exposed = {line.split()[2] for line in body.splitlines() if line.startswith("# TYPE")}
    assert exposed <= {metric.value.name for metric in Metric}


class _NoClients:
    """See `ports.ClientStatistics`; nothing was reported yet."""

    def figures(self) -> dict[str, Any]:
        """No client has reported."""
        return {}

    def rotations(self) -> int:
        """None."""
        return 0
