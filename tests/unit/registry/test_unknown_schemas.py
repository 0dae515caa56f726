"""Unknown schemas: asked for again for a moment that all of them share."""

from __future__ import annotations

from pipeline.registry.unknown_schemas import FORGET_AFTER_S, PERIOD_S, WAIT_S, UnknownSchemas


class _Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.unknown = UnknownSchemas(clock=lambda: self.now, sleep=self.advance)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def test_a_flood_of_unknown_schemas_waits_no_longer_than_one() -> None:
    """Two thousand schemas that nobody knows cost one wait in a period, and one in the next."""
    clock = _Clock()
    for _ in range(1000):
        list(clock.unknown.pauses())
    assert clock.now == WAIT_S
    clock.advance(PERIOD_S)
    for _ in range(1000):
        list(clock.unknown.pauses())
    assert clock.now == 2 * WAIT_S + PERIOD_S


def test_pauses_grow_and_end() -> None:
    """The first pause is short, since most ids are only a moment late."""
    clock = _Clock()
    moments = [clock.now for _ in clock.unknown.pauses()]
    assert moments == [0.25, 0.75, 1.75, 3.0]


def test_an_unknown_schema_is_asked_for_again_later() -> None:
    """What was unknown may be registered by now."""
    clock = _Clock()
    clock.unknown.add(7)
    assert 7 in clock.unknown
    assert 8 not in clock.unknown
    clock.advance(FORGET_AFTER_S)
    assert 7 not in clock.unknown


def test_memory_of_unknown_schemas_is_bounded() -> None:
    """A sender who makes up ids does not fill the memory; at worst one is asked for again."""
    clock = _Clock()
    for number in range(30_001):
        clock.unknown.add(number)
    assert 30_000 in clock.unknown
    assert sum(number in clock.unknown for number in range(30_001)) <= 10_000
