"""A real Prometheus scrapes real workers and `watch`: each query gets what it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from pipeline.demo.local_kafka.ports import free_port
from tests.brokers import delete_topics, unique
from tests.kafka.worker_process import Pipeline
from tests.system.deploy.prometheus_files import RUNBOOK, rules
from tests.system.deploy.prometheus_server import PrometheusServer
from tests.system.deploy.test_dashboard import PANELS
from tests.system.docs.snippets import blocks
from tests.tools import required_tool

pytestmark = pytest.mark.kafka

_CONSUMED: Final = "sum(track_pipeline_records_consumed_total)"
_CLIENTS: Final = "count(track_pipeline_client_round_trip_seconds)"
_UNEXPLAINED: Final = (
    "sum(track_pipeline_events_dead_lettered_total)"
    " - sum(track_pipeline_watch_dead_letters_unresolved)"
)
"""Dead letters that workers have written and `watch` has not read."""
_RECORDS: Final = 1_500
_ONLY_WHEN: Final = {
    "Until data is lost": "records wait",
    "Until retention deletes unread records": "records wait",
    "Until dead letters expire": "nobody has looked at them for days",
    "Replays": "one is unfinished",
    "Errors and retries of the clients per second": "a broker fails",
}
"""Title of a panel that is empty on a healthy pipeline → when it is not."""


@pytest.fixture(scope="module")
def prometheus(
    bootstrap_servers: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusServer]:
    """Prometheus, with what two workers and `watch` say of events that were sent in two parts."""
    required_tool("prometheus")
    folder = tmp_path_factory.mktemp("monitored")
    pipeline = Pipeline(bootstrap_servers, unique, folder)
    pipeline.create_topics()
    ports = [str(free_port()) for _ in range(2)]
    here = {"TRACK_HTTP__HOST": "127.0.0.1"}
    pipeline.start("w", "--workers", "2", "--http-port", ports[0], http__host="127.0.0.1")
    pipeline.start_command("watch", "--interval", "1", "--http-port", ports[1], env=here)
    try:
        with PrometheusServer(folder, [f"127.0.0.1:{port}" for port in ports]) as server:
            for part in (1, 2):
                # The second part is what counters increase by, from one scrape to another.
                send = ("--topic", pipeline.names.raw, "--count", str(_RECORDS))
                assert pipeline.run("generate", *send, "--seed", str(part)).code == 0
                _wait_for_value(pipeline, server, _CONSUMED, part * _RECORDS)
                _wait_for_value(pipeline, server, _CLIENTS, 2)
                _wait_for_value(pipeline, server, _UNEXPLAINED, 0)
            yield server
    finally:
        pipeline.end_all()
        delete_topics(bootstrap_servers, pipeline.names)


def _wait_for_value(pipeline: Pipeline, server: PrometheusServer, query: str, value: float) -> None:
    pipeline.wait_for(lambda: server.value(query) == value, f"a scrape with {query} = {value}")


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_has_data(prometheus: PrometheusServer, panel: dict[str, Any]) -> None:
    """Prometheus can run each query of a panel, and at least one of them returns something."""
    found = [prometheus.query(target["expr"]) for target in panel["targets"]]
    assert any(found) or panel["title"] in _ONLY_WHEN


def test_each_query_of_the_runbook_can_be_run(prometheus: PrometheusServer) -> None:
    """Prometheus can parse each query that the runbook tells people to type."""
    lines = [line for block in blocks(RUNBOOK, "promql") for line in block.text.splitlines()]
    assert lines
    for line in lines:
        prometheus.query(line)


def test_no_rule_fails(prometheus: PrometheusServer) -> None:
    """Prometheus has evaluated every rule on what a real worker exposes, without an error."""
    found = prometheus.rules()
    assert len(found) == len(rules())
    assert [rule for rule in found if rule["health"] != "ok" or rule.get("lastError")] == []


def test_no_alert_fires_on_a_healthy_pipeline(prometheus: PrometheusServer) -> None:
    """No alert is about to fire while two workers process events, a few of them invalid."""
    assert prometheus.alerts() == []
    assert prometheus.value('count(present_over_time(ALERTS{alertstate="firing"}[1h]))') is None
