"""The worker's contract tests run on the in-memory broker and on a real one."""

from __future__ import annotations

import pytest

from tests.unit.worker.brokers import Harness, KafkaHarness, MemoryHarness


@pytest.fixture(
    params=[
        "memory",
        pytest.param("exactly-once", marks=pytest.mark.kafka),
        pytest.param("at-least-once", marks=pytest.mark.kafka),
    ]
)
def harness(request: pytest.FixtureRequest) -> Harness:
    """A broker, empty: in memory, or a real one with this delivery."""
    if request.param == "memory":
        return MemoryHarness()
    servers = request.getfixturevalue("bootstrap_servers")
    return KafkaHarness(servers, request.getfixturevalue("topic_name"), request.param)
