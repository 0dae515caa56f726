"""Blocked revenue: sums of the revenue in dead letters, which is not in the enriched topic."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.decoded_value import decoded_value
from pipeline.core.headers import DlqHeader
from pipeline.core.money import BadAmount, is_set, read_amount, read_currency
from pipeline.core.policy import Policy
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.dlq.dead_letter import TRACK, DeadLetter
from pipeline.reconcile.revenue import DayCurrency, Sums, exact_amount
from pipeline.reconcile.revenue_reader import RevenueReader, without_days

_KEPT: Final = 8192
_NOTHING: Final = msgspec.Raw(b"")
_UNDECODABLE: Final = frozenset(
    reason.encode()
    for reason in (Reason.INVALID_JSON, Reason.INVALID_AVRO, Reason.INVALID_UTF8, Reason.TOO_DEEP)
)
_NO_EVENT: Final = Reason.NOT_AN_OBJECT.encode()
_REASON_HEADERS: Final = (DlqHeader.REASON.value, DlqHeader.REASONS.value, DlqHeader.STAGE.value)
"""Headers in `DeadLetter.reason_headers`."""
_CRASH: Final = Stage.CRASH.encode()
_NOT_DECODED: Final = frozenset({Stage.DECODE.encode(), _CRASH})
_POINTER: Final = b'{"%s"' % DlqHeader.POINTER.encode()
"""First bytes of a value that is only a reference to the raw record."""


class _Properties(msgspec.Struct):
    revenue: msgspec.Raw = _NOTHING
    currency: msgspec.Raw = _NOTHING


class _Item(msgspec.Struct):
    properties: _Properties | None = None


class _RevenueEvent(_Item):
    """Members that decide on revenue; skipping all others is several times as fast."""

    event: msgspec.Raw = _NOTHING
    batch: list[_Item] | None = None

    def items(self) -> Sequence[_Item]:
        """The event itself, or the items of a batch envelope."""
        if self.batch is None or (self.event is not _NOTHING and bytes(self.event) != b"null"):
            return (self,)
        return self.batch


_read_event = msgspec.json.Decoder(_RevenueEvent).decode


class BlockedRevenue:
    """Adds up the revenue in dead letters, as the rules under these settings read it.

    A dead letter whose value can't be read counts as one unreadable revenue, since it may hold one.
    """

    def __init__(self, settings: ContractSettings) -> None:
        self.dead_letters = 0
        """Number of dead letters that have a revenue, or may have an unreadable one."""
        self.sums = Sums()
        """Sums by currency; the days of their keys are empty."""
        self._amounts = 0
        self._reader = RevenueReader(Processor(settings, Identity(app="dlq")))
        policy = Policy.from_settings(settings)
        # The same prices and currencies occur again and again.
        self._amount = lru_cache(_KEPT)(_amount)
        self._key = lru_cache(_KEPT)(lambda currency: _sum_key(currency, policy))

    @property
    def unreadable(self) -> int:
        """Number of revenues, or of whole events, that can't be read."""
        return self.sums.unreadable

    def add(self, dead_letter: DeadLetter) -> None:
        """Count the revenue of a dead letter."""
        value = dead_letter.record.value
        if not value:
            return
        headers = dead_letter.reason_headers
        is_ours = headers is not None or dead_letter.header_format == TRACK
        reason, _, stage = headers or dead_letter.raws(_REASON_HEADERS)
        if not is_ours or stage in _NOT_DECODED or value.startswith(_POINTER):
            # What killed a process is not decoded in this one.
            if reason in _UNDECODABLE or stage == _CRASH or dead_letter.is_pointer:
                self._count_unreadable()
            elif reason != _NO_EVENT:
                self._add_slowly(dead_letter)
            return
        text = dead_letter.text
        if text is None:
            self._count_unreadable()
        elif b"revenue" in text or (b"\\" in text and b"\\u" in text):
            self._add(dead_letter, text)

    def take(self) -> Sums:
        """Sums since the last call; counting starts anew."""
        taken, self.sums = self.sums, Sums()
        self.dead_letters = 0
        return taken

    def _add(self, dead_letter: DeadLetter, value: bytes) -> None:
        """Count a value that the worker was able to decode."""
        try:
            event = _read_event(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._add_slowly(dead_letter)
            return
        before = self.unreadable, self._amounts
        for item in event.items():
            if item.properties is not None and item.properties.revenue is not _NOTHING:
                self._add_revenue(item.properties)
        self.dead_letters += before != (self.unreadable, self._amounts)

    def _add_revenue(self, properties: _Properties) -> None:
        amount = self._amount(bytes(properties.revenue))
        if amount is None:
            return
        key = self._key(bytes(properties.currency))
        if type(amount) is Decimal and key is not None:
            self._amounts += 1
            self.sums.count(key, amount)
        else:
            self.sums.unreadable += 1

    def _count_unreadable(self) -> None:
        self.dead_letters += 1
        self.sums.unreadable += 1

    def _add_slowly(self, dead_letter: DeadLetter) -> None:
        """Count a value as the audit reads it, without the days."""
        text = dead_letter.text
        if text is None:
            self._count_unreadable()
            return
        found = self._reader.of_dead_letter(text, dead_letter.source_timestamp)
        if found is None:
            return
        self.dead_letters += 1
        self.sums.add(without_days(found))

    def amounts(self) -> dict[str, str]:
        """Currency → exact sum with all digits, in the order of the currencies."""
        sums = {key.currency: amount for key, amount in self.sums.amounts.items()}
        return {currency: exact_amount(sums[currency]) for currency in sorted(sums)}

    def to_dict(self) -> dict[str, Any]:
        """Sums as JSON values; amounts are text, so nothing rounds them."""
        return {
            "blocked": self.amounts(),
            "unreadable": self.unreadable,
            "dead_letters": self.dead_letters,
        }


def _amount(revenue: bytes) -> Decimal | BadAmount | None:
    """Read a revenue as it was sent, in JSON; None when it is not set."""
    sent = decoded_value(revenue)
    if not is_set(sent):
        return None
    amount = read_amount(sent)
    return amount if type(amount) is BadAmount else Decimal(amount.number)


def _sum_key(currency: bytes, policy: Policy) -> DayCurrency | None:
    """Key of the sums for a currency as the contract reads it; None when it can't be read."""
    sent = decoded_value(currency) if currency else None
    code = read_currency(sent, policy.codes) if is_set(sent) else policy.default_currency
    return None if code is None else DayCurrency("", code)
