"""What identifies an alert of rules.yml: an alert with two windows is two of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from tests.system.chaos.alerts.compression import milliseconds
from tests.system.deploy.files import text
from tests.system.deploy.prometheus_files import RULES


class AlertKey(NamedTuple):
    """Name and severity of an alert."""

    name: str
    severity: str

    def __str__(self) -> str:
        return f"{self.name} ({self.severity})"


def shipped_rules() -> dict[str, Any]:
    """Return the content of the rule file that is shipped."""
    rules = yaml.safe_load(text(RULES))
    assert isinstance(rules, dict)
    return rules


def alerts_in(rules: Mapping[str, Any]) -> Iterator[AlertKey]:
    """Yield the alerts of a rule file, in its order."""
    for rule in _alerting(rules):
        yield AlertKey(rule["alert"], rule["labels"]["severity"])


def waits_of(rules: Mapping[str, Any]) -> dict[AlertKey, float]:
    """Alert → seconds for which its condition must hold before it fires (`for`)."""
    waits = (milliseconds(rule.get("for", "0s")) / 1000 for rule in _alerting(rules))
    return dict(zip(alerts_in(rules), waits, strict=True))


def _alerting(rules: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for group in rules["groups"]:
        yield from (rule for rule in group["rules"] if "alert" in rule)
