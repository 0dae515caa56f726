"""The money that dead letters hold back: revenue by currency, and how many can't be read."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from pipeline.audit.money import UNREADABLE, Purse, Sums, plain_amount
from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.deadletter import Header
from pipeline.core.decode import decode
from pipeline.core.money import BadAmount, is_set, read_amount, read_currency
from pipeline.core.policy import Policy
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.deadletters.letter import TRACK, DeadLetter

_DEEPEST: Final = 512
_KEPT: Final = 8192
_NOTHING: Final = msgspec.Raw(b"")
_UNDECODABLE: Final = frozenset({Reason.INVALID_JSON.encode(), Reason.INVALID_UTF8.encode()})
_DECODED: Final = frozenset({Reason.NOT_AN_OBJECT.encode(), Reason.EVENT_TOO_LARGE.encode()})
"""What was decoded before it was refused, though the stage is `decode`."""
_DECODE: Final = Stage.DECODE.encode()
_CRASH: Final = Stage.CRASH.encode()


class _Properties(msgspec.Struct):
    revenue: msgspec.Raw = _NOTHING
    currency: msgspec.Raw = _NOTHING


class _Event(msgspec.Struct):
    """Only what money needs: the rest is skipped, which is several times as fast."""

    properties: _Properties | None = None
    batch: msgspec.Raw = _NOTHING


_read_event = msgspec.json.Decoder(_Event).decode


class HeldMoney:
    """Adds up the revenue of letters, as the contract under given settings would read it.

    A letter whose value can't be read counts as one revenue that can't be: it may hold one.
    """

    def __init__(self, settings: ContractSettings) -> None:
        self.letters = 0
        """That have a revenue, or may have one that can't be read."""
        self._sums = Sums()
        self._purse = Purse(Processor(settings, Identity(app="desk")))
        policy = Policy.of(settings)

        @lru_cache(_KEPT)
        def cash(revenue: bytes, currency: bytes) -> str | None:
            return _cash(revenue, currency, policy)

        self._cash = cash

    @property
    def unreadable(self) -> int:
        """Revenues that are there and can't be read, or events that can't be."""
        return self._sums.unreadable

    def add(self, letter: DeadLetter) -> None:
        """Count a letter's money."""
        value = letter.record.value
        if value is None:
            return
        if letter.dialect != TRACK or letter.is_pointer:
            self._count(self._read_unknown(letter, value))
            return
        stage = letter.raw(Header.STAGE)
        if stage == _CRASH or (stage == _DECODE and letter.raw(Header.REASON) not in _DECODED):
            self._count(self._read_unknown(letter, value))
        elif b"revenue" in value or b"\\u" in value:
            self._count(self._read(letter, value))

    def _count(self, cash: str | None) -> None:
        if cash:
            self.letters += 1
            self._sums.add(cash)

    def _read(self, letter: DeadLetter, value: bytes) -> str | None:
        """Of a value that the worker has decoded."""
        try:
            event = _read_event(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._read_slowly(letter, value)
        if event.batch is not _NOTHING:
            return self._read_slowly(letter, value)
        properties = event.properties
        if properties is None or properties.revenue is _NOTHING:
            return None
        return self._cash(bytes(properties.revenue), bytes(properties.currency))

    def _read_unknown(self, letter: DeadLetter, value: bytes) -> str | None:
        """Of a value that was not decoded, or is somebody else's."""
        # What has killed a process is not decoded in this one.
        unreadable = letter.is_pointer or letter.raw(Header.STAGE) == _CRASH
        if unreadable or letter.raw(Header.REASON) in _UNDECODABLE:
            return UNREADABLE
        return self._read_slowly(letter, value)

    def _read_slowly(self, letter: DeadLetter, value: bytes) -> str | None:
        """As the audit reads it, without the days."""
        cash = self._purse.of_letter(value, letter.source_timestamp)
        if cash is None:
            return None
        entries = cash.split(";")
        return ";".join(e if e == UNREADABLE else e[e.index(" ") :] for e in entries)

    def amounts(self) -> dict[str, str]:
        """Currency → exact sum, all digits; in the order of the currencies."""
        sums = {place.currency: amount for place, amount in self._sums.amounts.items()}
        return {currency: plain_amount(sums[currency]) for currency in sorted(sums)}

    def plain(self) -> dict[str, Any]:
        """As JSON values; amounts are text, so that nothing rounds them."""
        return {
            "held_back": self.amounts(),
            "unreadable": self.unreadable,
            "letters": self.letters,
        }

    def sentence(self) -> str:
        """As a sentence; empty when there is no money at all."""
        parts = [f"{_grouped(text)} {currency}" for currency, text in self.amounts().items()]
        if self.unreadable:
            parts.append(f"and {self.unreadable:,} that can't be read")
        return f"revenue held back: {', '.join(parts)}" if parts else ""


def _cash(revenue: bytes, currency: bytes, policy: Policy) -> str | None:
    """` currency amount`, as `Purse` writes it of an event without a day."""
    sent = decode(revenue, _DEEPEST)
    if not is_set(sent):
        return None
    amount, stated = read_amount(sent), decode(currency, _DEEPEST) if currency else None
    code = read_currency(stated, policy.codes) if is_set(stated) else policy.default_currency
    return UNREADABLE if code is None or type(amount) is BadAmount else f" {code} {amount.number}"


def _grouped(amount: str) -> str:
    """Thousands with commas."""
    whole, _, places = amount.partition(".")
    return f"{int(whole):,}.{places}" if int(whole) else amount
