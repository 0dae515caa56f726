"""Currency codes of ISO 4217, current and withdrawn, from a maintained library."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from iso_4217 import Currency

NO_CURRENCIES: Final = frozenset({"XXX", "XTS"})
"""Codes of the standard for transactions without a currency, and for tests."""

ISO_4217: Final[frozenset[str]] = frozenset(Currency.__members__) - NO_CURRENCIES
"""All codes of ISO 4217. Withdrawn ones are included, so that old data can be replayed."""


def withdrawn(code: str, ms: int) -> bool:
    """Whether a code was withdrawn before this time (epoch milliseconds)."""
    since = _WITHDRAWN_SINCE.get(code)
    return since is not None and ms >= since


def _withdrawn_since(currency: Currency) -> int:
    """Epoch milliseconds of the first moment after the month or year that the standard names."""
    end = max(entry.time.end for entry in currency.withdrew_entities)
    year, month = (end.year, end.month + 1) if end.month else (end.year + 1, 1)
    if month > _DECEMBER:
        year, month = year + 1, 1
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000


_DECEMBER: Final = 12
_WITHDRAWN_SINCE: Final = {
    currency.name: _withdrawn_since(currency)
    for currency in Currency
    if not currency.entities and currency.withdrew_entities
}
"""Codes that no country uses any more."""
