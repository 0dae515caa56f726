"""The type of a decoded JSON value."""

from __future__ import annotations

from typing import Any, TypeAlias

JsonValue: TypeAlias = Any
"""Any JSON value: object, array, text, number, boolean or null.

An alias of `Any`: a union would have to be narrowed again at each level of each event.
"""

JsonObject: TypeAlias = dict[str, Any]
"""A decoded JSON object."""
