"""The ISO 4217 codes, current and withdrawn, as a maintained library publishes them."""

from __future__ import annotations

from iso_4217 import Currency

ISO_4217: frozenset[str] = frozenset(Currency.__members__)
"""Withdrawn codes are included, so that old data can be replayed."""
