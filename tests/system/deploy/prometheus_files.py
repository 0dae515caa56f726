"""The alert rules, their unit tests and the runbook, as values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import yaml

from pipeline.metrics.catalogue import Metric
from tests.system.deploy.files import text

RULES: Final = "deploy/prometheus/rules.yml"
RULES_TEST: Final = "deploy/prometheus/rules_test.yml"
RUNBOOK: Final = "docs/runbook.md"

_NAME: Final = re.compile(r"\b(?:\w+:)?track_pipeline_\w+(?::\w+)*")
_SELECTOR: Final = re.compile(r"(track_pipeline_\w+)\{([^}]*)\}")
_MATCHER: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_ALTERNATIVES: Final = re.compile(r"\(watch_\)\?")
_FROM_PROMETHEUS: Final = frozenset({"job", "instance", "namespace", "le"})
"""Labels that Prometheus adds, and that of a histogram's buckets."""
_PARTS: Final = {
    "histogram": ("_bucket", "_count", "_sum"),
    "counter": ("",),
    "gauge": ("",),
}


class Alert(NamedTuple):
    """One alert with one severity."""

    name: str
    severity: str
    rule: dict[str, Any]


@cache
def rules() -> tuple[dict[str, Any], ...]:
    """All rules, recorded series and alerts."""
    groups = yaml.safe_load(text(RULES))["groups"]
    return tuple(rule for group in groups for rule in group["rules"])


def alerts() -> list[Alert]:
    """The alerts; one with two windows is there twice."""
    return [
        Alert(rule["alert"], rule["labels"]["severity"], rule)
        for rule in rules()
        if "alert" in rule
    ]


def recorded() -> set[str]:
    """Names of the series that rules record."""
    return {rule["record"] for rule in rules() if "record" in rule}


@cache
def cases() -> tuple[dict[str, Any], ...]:
    """The unit tests of the rules."""
    return tuple(yaml.safe_load(text(RULES_TEST))["tests"])


@cache
def exposed() -> dict[str, frozenset[str]]:
    """Series of the catalogue, as Prometheus stores them → their labels."""
    return {
        f"{metric.value.name}{part}": frozenset(metric.value.labels)
        for metric in Metric
        for part in _PARTS[metric.value.type]
    }


def unknown_series(query: str) -> Iterator[str]:
    """Series in a query, or in a sentence, that nothing exposes or records; and their labels."""
    for name in _NAME.findall(_ALTERNATIVES.sub("", query)):
        is_prefix = name.endswith("_")
        if not is_prefix and name not in exposed() and name not in recorded():
            yield name
    for name, matchers in _SELECTOR.findall(query):
        for label in _MATCHER.findall(matchers):
            if label not in exposed().get(name, ()) and label not in _FROM_PROMETHEUS:
                yield f"{name}{{{label}}}"


def runbook_sections() -> dict[str, str]:
    """Heading → section of the runbook, for the sections that are about an alert."""
    parts = re.split(r"(?m)^## ", text(RUNBOOK))[1:]
    sections = (part.split("\n", 1) for part in parts)
    return {name: body for name, body in sections if name.startswith("TrackPipeline")}
