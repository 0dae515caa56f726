"""The money that dead letters hold back: revenue by currency, and how many can't be read."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.decode import decode
from pipeline.core.headers import DlqHeader
from pipeline.core.money import BadAmount, is_set, read_amount, read_currency
from pipeline.core.policy import Policy
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.dlq.dead_letter import TRACK, DeadLetter
from pipeline.reconcile.revenue import DayCurrency, RevenueReader, Sums, exact_amount, without_days

_DEEPEST: Final = 512
_KEPT: Final = 8192
_NOTHING: Final = msgspec.Raw(b"")
_UNDECODABLE: Final = frozenset(
    reason.encode() for reason in (Reason.INVALID_JSON, Reason.INVALID_UTF8, Reason.TOO_DEEP)
)
_NO_EVENT: Final = Reason.NOT_AN_OBJECT.encode()
_WHY: Final = (DlqHeader.REASON.value, DlqHeader.REASONS.value, DlqHeader.STAGE.value)
"""What `DeadLetter.why` has."""
_CRASH: Final = Stage.CRASH.encode()
_NOT_DECODED: Final = frozenset({Stage.DECODE.encode(), _CRASH})
_POINTS: Final = b'{"%s"' % DlqHeader.POINTER.encode()
"""How the value of a letter begins that only says where the raw record is."""


class _Properties(msgspec.Struct):
    revenue: msgspec.Raw = _NOTHING
    currency: msgspec.Raw = _NOTHING


class _Item(msgspec.Struct):
    properties: _Properties | None = None


class _Event(_Item):
    """Only what money needs: the rest is skipped, which is several times as fast."""

    event: msgspec.Raw = _NOTHING
    batch: list[_Item] | None = None

    def items(self) -> Sequence[_Item]:
        """The event, or those of a batch envelope."""
        if self.batch is None or (self.event is not _NOTHING and bytes(self.event) != b"null"):
            return (self,)
        return self.batch


_read_event = msgspec.json.Decoder(_Event).decode


class HeldMoney:
    """Adds up the revenue of letters, as the contract under given settings would read it.

    A letter whose value can't be read counts as one revenue that can't be: it may hold one.
    """

    def __init__(self, settings: ContractSettings) -> None:
        self.letters = 0
        """That have a revenue, or may have one that can't be read."""
        self.sums = Sums()
        """By currency; their days are empty."""
        self._amounts = 0
        self._purse = RevenueReader(Processor(settings, Identity(app="desk")))
        policy = Policy.from_settings(settings)
        # The same prices and currencies come again and again.
        self._amount = lru_cache(_KEPT)(_amount)
        self._place = lru_cache(_KEPT)(lambda currency: _place(currency, policy))

    @property
    def unreadable(self) -> int:
        """Revenues that are there and can't be read, or events that can't be."""
        return self.sums.unreadable

    def add(self, letter: DeadLetter) -> None:
        """Count a letter's money."""
        value = letter.record.value
        if not value:
            return
        reason, _, stage = letter.why or letter.raws(_WHY)
        if letter.dialect != TRACK or stage in _NOT_DECODED or value.startswith(_POINTS):
            # What has killed a process is not decoded in this one.
            if reason in _UNDECODABLE or stage == _CRASH or letter.is_pointer:
                self._count_unreadable()
            elif reason != _NO_EVENT:
                self._add_slowly(letter, value)
        elif b"revenue" in value or (b"\\" in value and b"\\u" in value):
            self._add(letter, value)

    def take(self, letters: int, sums: Sums) -> None:
        """Count in what was added up elsewhere: its `letters` and `sums`."""
        self.letters += letters
        self.sums.unreadable += sums.unreadable
        for place, amount in sums.amounts.items():
            self.sums.count(place, amount)

    def _add(self, letter: DeadLetter, value: bytes) -> None:
        """Of a value that the worker has decoded."""
        try:
            event = _read_event(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._add_slowly(letter, value)
            return
        before = self.unreadable, self._amounts
        for item in event.items():
            if item.properties is not None and item.properties.revenue is not _NOTHING:
                self._add_revenue(item.properties)
        self.letters += before != (self.unreadable, self._amounts)

    def _add_revenue(self, properties: _Properties) -> None:
        amount = self._amount(bytes(properties.revenue))
        if amount is None:
            return
        place = self._place(bytes(properties.currency))
        if type(amount) is Decimal and place is not None:
            self._amounts += 1
            self.sums.count(place, amount)
        else:
            self.sums.unreadable += 1

    def _count_unreadable(self) -> None:
        self.letters += 1
        self.sums.unreadable += 1

    def _add_slowly(self, letter: DeadLetter, value: bytes) -> None:
        """As the audit reads it, without the days."""
        cash = self._purse.of_dead_letter(value, letter.source_timestamp)
        if cash is None:
            return
        self.letters += 1
        self.sums.add(without_days(cash))

    def amounts(self) -> dict[str, str]:
        """Currency → exact sum, all digits; in the order of the currencies."""
        sums = {place.currency: amount for place, amount in self.sums.amounts.items()}
        return {currency: exact_amount(sums[currency]) for currency in sorted(sums)}

    def plain(self) -> dict[str, Any]:
        """As JSON values; amounts are text, so that nothing rounds them."""
        return {
            "held_back": self.amounts(),
            "unreadable": self.unreadable,
            "letters": self.letters,
        }

    def sentence(self) -> str:
        """As a sentence; empty when there is no money at all."""
        amounts = ", ".join(f"{_grouped(text)} {code}" for code, text in self.amounts().items())
        unreadable = f"{self.unreadable:,} that can't be read" if self.unreadable else ""
        parts = " and ".join(filter(None, (amounts, unreadable)))
        return f"revenue held back: {parts}" if parts else ""


def _amount(revenue: bytes) -> Decimal | BadAmount | None:
    """A revenue as it was sent, JSON; None when it is not set."""
    sent = decode(revenue, _DEEPEST)
    if not is_set(sent):
        return None
    amount = read_amount(sent)
    return amount if type(amount) is BadAmount else Decimal(amount.number)


def _place(currency: bytes, policy: Policy) -> DayCurrency | None:
    """Where an amount in this currency belongs, as the contract reads it; None when it can't be."""
    sent = decode(currency, _DEEPEST) if currency else None
    code = read_currency(sent, policy.codes) if is_set(sent) else policy.default_currency
    return None if code is None else DayCurrency("", code)


def _grouped(amount: str) -> str:
    """Thousands with commas."""
    whole, _, places = amount.partition(".")
    return f"{int(whole):,}.{places}" if int(whole) else amount
