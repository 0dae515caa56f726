"""Time compression: the shipped rules, with all that they measure in time divided by a factor.

With a factor of 60, an alert that waits for five minutes waits for five seconds. Divided are `for`,
`keep_firing_for`, ranges, offsets, and the thresholds of series in seconds. What is compared, with
which operator, shares, numbers of events and the text of alerts stay as shipped.
"""

from __future__ import annotations

import re
from typing import Any, Final

FACTOR: Final = 60
"""A minute of the rules is a second of the run."""
LEAST_INTERVAL_MS: Final = 1000
"""Shortest interval between two evaluations: the scrape interval, below which nothing is new."""

_UNITS_MS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_WAITS: Final = ("for", "keep_firing_for")
_PART: Final = re.compile(r"(\d+)(ms|[smhdw])")
_IN_EXPRESSION: Final = re.compile(r"(?<=\[)[\dmshdw]+(?=\])|(?<=\boffset )[\dmshdw]+")
_THRESHOLD: Final = re.compile(r"(_seconds[\w:]*[)\s]*[<>]=?\s*)(\d+)\b(?!\.)")
"""A series in seconds, perhaps the end of an aggregation, a comparison, and an integer."""


def milliseconds(duration: str) -> int:
    """Length of a duration of Prometheus, such as 1h30m."""
    parts = _PART.findall(duration)
    assert "".join(map("".join, parts)) == duration, f"{duration} is no duration"
    return sum(int(number) * _UNITS_MS[unit] for number, unit in parts)


def compressed(rules: dict[str, Any], factor: int) -> dict[str, Any]:
    """Return the content of a rule file with its time divided by the factor."""
    return {"groups": [_group(group, factor) for group in rules["groups"]]}


def _group(group: dict[str, Any], factor: int) -> dict[str, Any]:
    interval = max(LEAST_INTERVAL_MS, milliseconds(group["interval"]) // factor)
    rules = [_rule(rule, factor) for rule in group["rules"]]
    return {**group, "interval": f"{interval}ms", "rules": rules}


def _rule(rule: dict[str, Any], factor: int) -> dict[str, Any]:
    made = {**rule, "expr": _expression(rule["expr"], factor)}
    for name in _WAITS:
        if name in rule:
            made[name] = _divided(rule[name], factor)
    return made


def _expression(expression: str, factor: int) -> str:
    ranges = _IN_EXPRESSION.sub(lambda found: _divided(found[0], factor), expression)
    return _THRESHOLD.sub(lambda found: f"{found[1]}{int(found[2]) / factor:g}", ranges)


def _divided(duration: str, factor: int) -> str:
    return f"{milliseconds(duration) // factor}ms"
