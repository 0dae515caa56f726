"""A short form of `make chaos`: a few faults on one node, and two of the seeded bugs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from pipeline.errors import LocalKafkaError
from tests.brokers import no_broker
from tests.system.chaos.__main__ import run_seeded_bug
from tests.system.chaos.cluster import Cluster
from tests.system.chaos.engine import run
from tests.system.chaos.scenario import Scenario

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

FAULTS = ("kill during commit", "seek lost", "network cut", "log cut")
"""Faults without a kill of the broker: a single one then meets a bug of Kafka's own."""

_HARD_RESETS: Final = "hard resets"
"""Not demanded here: so short a run may have no lost seek and no commit without an answer."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One node behind a proxy."""
    made = Cluster(tmp_path_factory.mktemp("chaos"), 1, print)
    try:
        made.start()
    except LocalKafkaError as error:
        no_broker(str(error))
    yield made
    made.stop()


@pytest.fixture
def seed() -> int:
    """A random seed, which is printed so that a failure can be repeated."""
    drawn = random.SystemRandom().randrange(2**32)
    print(f"seed {drawn}")  # noqa: T201  see above
    return drawn


def test_no_event_is_lost_or_duplicated(cluster: Cluster, tmp_path: Path, seed: int) -> None:
    """Every event has exactly one outcome although the workers meet all of these faults."""
    scenario = Scenario(seed, FAULTS, pause_s=(0.5, 1.5), rate=1000)
    result = run(cluster, tmp_path, scenario, print)
    assert not result.failures()
    assert not [line for line in result.uncovered if _HARD_RESETS not in line]
    assert set(result.fired) >= set(FAULTS)


@pytest.mark.parametrize("seeded_bug", ["offsets_outside", "read_uncommitted"])
def test_a_seeded_bug_is_detected(
    cluster: Cluster, tmp_path: Path, seeded_bug: str, seed: int
) -> None:
    """A run of workers that have a bug on purpose does not pass."""
    assert run_seeded_bug(cluster, tmp_path, seeded_bug, seed, print).detected
