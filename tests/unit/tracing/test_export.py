"""What is sent to a collector, and that nothing waits for one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pipeline import __version__
from pipeline.settings.model import Settings, load_settings
from pipeline.tracing.export import batch_tracing
from tests.collector import Collector, collecting


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A running collector."""
    with collecting() as running:
        yield running


def _settings(endpoint: str, **more: object) -> Settings:
    return load_settings(
        None,
        {
            "tracing.endpoint": endpoint,
            "instance_id": "w1",
            "group": "g",
            "shutdown_grace_s": 1,
            **more,
        },
        {},
    )


def _lost_after(settings: Settings, spans: int) -> list[tuple[int, str]]:
    """What is reported after so many empty batches."""
    lost: list[tuple[int, str]] = []
    with batch_tracing(settings, lambda count, cause: lost.append((count, cause))) as tracer:
        for _ in range(spans):
            tracer.start().failed((), {}, None)
    return lost


def test_last_spans_are_sent_before_the_end(collector: Collector) -> None:
    """With the names of this worker, of its program and of its topic."""
    settings = _settings(collector.endpoint, shutdown_grace_s=25)
    assert _lost_after(settings, 3) == []
    assert len(collector.spans) == 3
    received = collector.spans[0]
    resource = received.resource
    assert (resource["service.name"], resource["service.version"]) == (
        "track-pipeline",
        __version__,
    )
    assert resource["service.instance.id"] == "track.g.w1"
    assert received.attributes["messaging.consumer.group.name"] == "g"
    assert received.attributes["track.contract"] == settings.contract()
    assert received.attributes["error.type"] == "_OTHER"


def test_standard_variables_are_honoured(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of the deployment take precedence over those of this program."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "events")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod")
    _lost_after(_settings(collector.endpoint, shutdown_grace_s=25), 1)
    (received,) = collector.spans
    assert received.resource["service.name"] == "events"
    assert received.resource["deployment.environment.name"] == "prod"
    assert received.resource["service.version"] == __version__


def test_collector_that_never_answers_delays_nothing() -> None:
    """More spans than the queue holds: the rest is dropped, and the end does not wait for it."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        lost = _lost_after(_settings(endpoint), 1000)
    assert sum(count for count, _ in lost) == 1000
    assert len(lost) == 2
    assert lost[0][1] == "the collector is too slow"


def test_collector_that_rejects_spans_is_named_with_its_answer(collector: Collector) -> None:
    """The cause is the collector's own answer, as to a wrong path."""
    collector.status = 404
    lost = _lost_after(_settings(collector.endpoint, shutdown_grace_s=25), 2)
    ((count, cause),) = lost
    assert count == 2
    assert "code: 404, reason: Not Found" in cause


def test_no_batch_is_traced_at_a_ratio_of_zero(collector: Collector) -> None:
    """The ratio is of batches, whatever their records' senders have decided."""
    settings = _settings(collector.endpoint, **{"tracing.sample_ratio": 0})
    assert _lost_after(settings, 5) == []
    assert collector.spans == []
