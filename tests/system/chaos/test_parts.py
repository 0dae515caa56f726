"""The suite's own parts: orders, ledger, judge and witness say what is so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pipeline.core.reasons import Reason
from tests.system.chaos.judge import Outcomes, weigh
from tests.system.chaos.load import Entry, Ledger, digest
from tests.system.chaos.operator import internal_partition
from tests.system.chaos.orders import Act, Order, Orders, Point, fired_file, give
from tests.system.chaos.witness import Seen, difference

PLACE = (0, 7)
NULL = Reason.NULL_VALUE.value


@pytest.fixture
def orders_file(tmp_path: Path) -> Path:
    """The file of a slot's orders."""
    return tmp_path / "w1.order"


def test_an_order_is_carried_out_once(orders_file: Path) -> None:
    """It waits for its point and for the passes before it; then it is taken."""
    orders = Orders(orders_file)
    assert not orders.passing(Point.SEEK)
    give(orders_file, Order(Point.SEEK, Act.SKIP, passes=1))
    assert not orders.passing(Point.COLLECTING)
    assert [orders.passing(Point.SEEK) for _ in range(3)] == [False, True, False]
    assert fired_file(orders_file).exists()
    assert not orders_file.exists()


def test_an_order_may_wait_for_another_point(orders_file: Path) -> None:
    """With `after`, its own point counts only from there on."""
    orders = Orders(orders_file)
    give(orders_file, Order(Point.SEEK, Act.SKIP, after=Point.NARROWING))
    assert not orders.passing(Point.SEEK)
    assert not orders.passing(Point.NARROWING)
    assert orders.passing(Point.SEEK)


def test_the_clock_steps(orders_file: Path) -> None:
    """The order that steps the clock says by how much."""
    orders = Orders(orders_file)
    give(orders_file, Order(Point.COLLECTING, Act.STEP_CLOCK, seconds=-60))
    orders.passing(Point.COLLECTING)
    assert orders.clock_step_s == -60


def test_the_ledger_is_read_as_written(tmp_path: Path) -> None:
    """What was intended and what was acknowledged come back from the file."""
    ledger = Ledger(tmp_path / "ledger.txt")
    entry = Entry(2, (NULL, NULL), digest(b"k", None))
    ledger.intend(1, entry)
    ledger.intend(2, Entry(1, (), digest(None, b"")))
    ledger.acknowledge(1, 3, 44)
    ledger.doubt(2, 3, 45)
    ledger.close()
    assert ledger.intended() == {1: entry, 2: Entry(1, (), digest(None, b""))}
    assert ledger.acknowledged() == {(3, 44): 1}
    assert ledger.doubted() == {(3, 45): 2}
    assert digest(None, None) != digest(None, b"")


ENTRY = Entry(3, (NULL,), "")
GOOD = ({"0": 1, "2": 1}, [("1", NULL, "decode")])


@pytest.mark.parametrize(
    ("enriched", "letters", "verdict"),
    [
        (*GOOD, (0, 0, "")),
        ({"0": 1}, GOOD[1], (1, 0, "")),
        (GOOD[0], [], (1, 0, "")),
        ({"0": 2, "2": 1}, GOOD[1], (0, 1, "")),
        (GOOD[0], GOOD[1] * 2, (0, 1, "")),
        ({"0": 1, "1": 1, "2": 1}, [], (0, 0, "(none)")),
        (GOOD[0], [("1", "event_blank", "validate")], (0, 0, "event_blank")),
        ({}, [("", "timestamp_refused", "produce")], (0, 0, "")),
        ({"0": 1}, [("", "timestamp_refused", "produce")], (0, 1, "")),
        ({}, [("", "timestamp_refused", "produce")] * 2, (0, 1, "")),
    ],
)
def test_outcomes_are_weighed(
    enriched: dict[str, int], letters: list[tuple[str, str, str]], verdict: tuple[int, int, str]
) -> None:
    """Lost, doubled and other outcomes of one record are seen, each as what it is."""
    outcomes = Outcomes({PLACE: Counter(enriched)}, {PLACE: letters})
    assert weigh(ENTRY, outcomes, PLACE) == verdict


@pytest.mark.parametrize(
    "there", [[Seen(1, 5)], [Seen(1, 5), Seen(3, 6)], [Seen(1, 5), Seen(2, 7)], []]
)
def test_another_sequence_is_a_difference(there: list[Seen]) -> None:
    """A record that is gone, moved or changed since it was seen is told."""
    seen = [Seen(1, 5), Seen(2, 6)]
    assert difference(seen, there)
    assert difference(seen, list(seen)) is None


def test_the_partition_of_a_coordinator() -> None:
    """Java's String.hashCode, without its sign, by the number of partitions."""
    # Java gives the first the smallest integer, and the second 2112.
    assert internal_partition("polygenelubricants", 50) == 0
    assert internal_partition("Aa", 50) == 2112 % 50
