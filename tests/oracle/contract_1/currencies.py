"""Currency codes of ISO 4217, current and withdrawn, from a maintained library."""

from __future__ import annotations

from iso_4217 import Currency

ISO_4217: frozenset[str] = frozenset(Currency.__members__)
"""All codes of ISO 4217. Withdrawn ones are included, so that old data can be replayed."""
