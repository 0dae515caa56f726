"""Unknown schemas: asked for again for a moment that all of them share."""

from __future__ import annotations

from pipeline.registry.unknown_schemas import FORGET_AFTER_S, PERIOD_S, WAIT_S, UnknownSchemas


class _Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.unknown = UnknownSchemas(clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def test_a_flood_of_unknown_schemas_waits_no_longer_than_one() -> None:
    """Two thousand schemas that nobody knows cost one wait in a period, and one in the next."""
    time = _Time()
    for _ in range(1000):
        list(time.unknown.pauses())
    assert time.now == WAIT_S
    time.sleep(PERIOD_S)
    for _ in range(1000):
        list(time.unknown.pauses())
    assert time.now == 2 * WAIT_S + PERIOD_S


def test_pauses_grow_and_end() -> None:
    """The first pause is short, since most ids are only a moment late."""
    time = _Time()
    moments = [time.now for _ in time.unknown.pauses()]
    assert moments == [0.25, 0.75, 1.75, 3.0]


def test_an_unknown_schema_is_asked_for_again_later() -> None:
    """What was unknown may be registered by now."""
    time = _Time()
    time.unknown.add(7)
    assert 7 in time.unknown
    assert 8 not in time.unknown
    time.sleep(FORGET_AFTER_S)
    assert 7 not in time.unknown


def test_memory_of_unknown_schemas_is_bounded() -> None:
    """A sender who makes up ids does not fill the memory; at worst one is asked for again."""
    time = _Time()
    for number in range(30_001):
        time.unknown.add(number)
    assert 30_000 in time.unknown
    assert sum(number in time.unknown for number in range(30_001)) <= 10_000
