"""A short form of `make chaos ARGS=--alerts`: a real fault, and a real Prometheus that notices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from pipeline.errors import LocalKafkaError
from tests.brokers import no_broker
from tests.system.chaos.alerts.alert_key import shipped_rules
from tests.system.chaos.alerts.cases import CASES
from tests.system.chaos.alerts.prometheus import PROGRAM
from tests.system.chaos.alerts.run import AlertRun
from tests.system.chaos.cluster import Cluster
from tests.tools import required_tool

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

_SHORT: Final = "contract"
"""The case whose alert fires and ends soonest: a test has seconds."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """One node."""
    required_tool(PROGRAM)
    made = Cluster(tmp_path / "kafka", 1, print)
    try:
        made.start()
    except LocalKafkaError as error:
        no_broker(str(error))
    yield made
    made.stop()


def test_an_alert_fires_by_a_real_fault_and_ends(cluster: Cluster, tmp_path: Path) -> None:
    """A deployment that would reject everything is noticed, and that it is over too."""
    (case,) = [case for case in CASES if case.label == _SHORT]
    result = AlertRun(cluster, tmp_path / "alerts", shipped_rules(), print).run([case])
    assert result.problems() == []
    assert {outcome.key for outcome in result.outcomes} == case.alerts
