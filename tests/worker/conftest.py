"""The worker's contract tests run on the in-memory broker and on a real one."""

from __future__ import annotations

import pytest

from tests.worker.brokers import KafkaRig, MemoryRig, Rig


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def rig(request: pytest.FixtureRequest) -> Rig:
    """A broker, empty."""
    if request.param == "memory":
        return MemoryRig()
    servers = request.getfixturevalue("bootstrap_servers")
    return KafkaRig(servers, request.getfixturevalue("topic_name"))
