"""Encodes events as JSON. Every number is written with the digits that it was read with."""

from __future__ import annotations

from typing import Final

import msgspec

encode_json: Final = msgspec.json.Encoder(decimal_format="number").encode
"""Encodes a value as compact UTF-8 JSON with keys in the order of the object."""

encode_sorted: Final = msgspec.json.Encoder(decimal_format="number", order="sorted").encode
"""Encodes a value with sorted keys, for comparing values."""
