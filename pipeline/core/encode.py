"""The enriched event → bytes. Every number is written with the digits that it was read with."""

from __future__ import annotations

from typing import Final

import msgspec

encode_json: Final = msgspec.json.Encoder(decimal_format="number").encode
"""Compact UTF-8 JSON; keys in the order of the object."""

encode_sorted: Final = msgspec.json.Encoder(decimal_format="number", order="sorted").encode
"""The same with sorted keys, to compare values."""
