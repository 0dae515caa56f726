"""Exact sums that can shrink again: dead letters by reason, and their revenue by currency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from pipeline.core.reasons import Reason
from pipeline.reconcile.revenue import DayCurrency, Sums
from pipeline.reconcile.revenue_reader import UNREADABLE

OTHER_REASON: Final = "other"
"""Stands for all reasons that are not codes of this program. Other programs' reasons may be any
text, which must not become the label of a metric."""
_NAMES: Final = (*(reason.value for reason in Reason), OTHER_REASON)
_NUMBERS: Final = {name: number for number, name in enumerate(_NAMES)}
_OTHER: Final = _NUMBERS[OTHER_REASON]


def reason_number(reason: str) -> int:
    """Number of a reason, which fits into a byte."""
    return _NUMBERS.get(reason, _OTHER)


class Unit(NamedTuple):
    """Unit of whole-numbered amounts: a power of ten of a currency."""

    currency: str
    """`UNREADABLE` for revenue that can't be read, of which only the number is known."""
    exponent: int


Amount = tuple[int, int]
"""Number of a unit in `Units`, and how many of it."""


class Units:
    """The units that occur, each with a number from 1 on. There are few: prices have cents."""

    def __init__(self) -> None:
        self._numbers: dict[Unit, int] = {}
        self._units: list[Unit] = []

    def amounts(self, sums: Sums) -> tuple[Amount, ...]:
        """The sums of one dead letter as whole numbers; nothing is rounded."""
        found = [self._amount(key.currency, amount) for key, amount in sums.amounts.items()]
        if sums.unreadable:
            found.append((self._number(Unit(UNREADABLE, 0)), sums.unreadable))
        return tuple(found)

    def _amount(self, currency: str, amount: Decimal) -> Amount:
        sign, digits, exponent = amount.as_tuple()
        number = int("".join(map(str, digits)))
        # Amounts are finite, so the exponent is a number.
        return self._number(Unit(currency, int(exponent))), -number if sign else number

    def _number(self, unit: Unit) -> int:
        number = self._numbers.get(unit)
        if number is None:
            self._units.append(unit)
            number = self._numbers[unit] = len(self._units)
        return number

    def sums(self, amounts: Mapping[int, int]) -> Sums:
        """Number of each unit, as exact sums by currency."""
        sums = Sums()
        for number, amount in amounts.items():
            currency, exponent = self._units[number - 1]
            if currency == UNREADABLE:
                sums.unreadable += amount
            else:
                exact = Decimal((int(amount < 0), _digits(abs(amount)), exponent))
                sums.count(DayCurrency("", currency), exact)
        return sums


def _digits(number: int) -> tuple[int, ...]:
    return tuple(map(int, str(number)))


@dataclass(slots=True)
class BacklogTotals:
    """Number of dead letters by reason, and their revenue by unit."""

    reasons: Counter[int] = field(default_factory=Counter)
    amounts: Counter[int] = field(default_factory=Counter)

    def change(self, reason: int, amounts: tuple[Amount, ...], by: int) -> None:
        """Add a dead letter (`by` is 1) or remove it (-1)."""
        self.reasons[reason] += by
        for unit, amount in amounts:
            self.amounts[unit] += by * amount

    def by_reason(self) -> dict[str, int]:
        """Reason → number. A reason stays, with 0, when its last dead letter is resolved."""
        return {_NAMES[number]: self.reasons[number] for number in sorted(self.reasons)}
