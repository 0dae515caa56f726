"""The money of one raw record's events that were redriven: dead letters first, enriched later."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core.coordinates import NO_ITEM

Cash = str | None
"""Money as `Purse` reads it."""


class RedrivenOf:
    """Enriched events that redrives have sent for one raw record."""

    def __init__(self, rows: Iterable[tuple[int, Cash]]) -> None:
        """Index in a batch (or NO_ITEM) and money of each."""
        self.rest = list(rows)
        """Those that were not taken: there is no dead letter of theirs, or they are there twice."""

    def take(self, item: int) -> list[Cash]:
        """What was sent in place of the dead letter of an item, and was not taken before.

        In place of the dead letter of a whole batch there may be an event for each item.
        """
        taken: dict[int, Cash] = {}
        rest = []
        for row_item, cash in self.rest:
            if item in {row_item, NO_ITEM} and row_item not in taken:
                taken[row_item] = cash
            else:
                rest.append((row_item, cash))
        self.rest = rest
        return list(taken.values())
