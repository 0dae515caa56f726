"""The plan of `topics create` and `topics fix`, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pipeline.cli.formats import duration
from pipeline.cli.output import print_indented, print_json, print_line
from pipeline.ports import TopicFacts, TopicSpec
from pipeline.topic_changes import Difference, differences
from pipeline.topics import NO_TIME_LIMIT

_INDENT: Final = 10
_FOR_EVER: Final = "-1"
_BY_BROKER: Final = "the broker's default replication"
_STYLES: Final = {"create": "green", "alter": "yellow", "differs": "yellow", "keep": "dim"}


def print_plan(
    plan: Sequence[TopicSpec], facts: Mapping[str, TopicFacts], *, alters: bool, as_json: bool
) -> None:
    """Print what each topic is, or would be, and how existing ones differ from the plan."""
    rows = [_Row(spec, facts.get(spec.name), alters=alters) for spec in plan]
    if as_json:
        print_json([row.to_dict() for row in rows])
        return
    for row in rows:
        row.print()
    effects = (each.effect for row in rows for each in row.differences if alters and each.effect)
    for effect in dict.fromkeys(effects):
        print_line(f"note: {effect}", "yellow")


class _Row:
    """One topic of the plan."""

    def __init__(self, spec: TopicSpec, topic: TopicFacts | None, *, alters: bool) -> None:
        self._spec, self._topic, self._alters = spec, topic, alters
        self.differences = [] if topic is None else differences(spec, topic)

    @property
    def _action(self) -> str:
        if self._topic is None:
            return "create"
        if self._alters and any(not each.obstacle for each in self.differences):
            return "alter"
        return "differs" if self.differences else "keep"

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values; an existing topic has its real ones."""
        spec, topic = self._spec, self._topic
        config = spec.config if topic is None else _named(topic.config, spec.config)
        return {
            "action": self._action,
            "name": spec.name,
            "partitions": spec.partitions if topic is None else topic.partitions,
            "replication": spec.replication if topic is None else topic.replication,
            "config": dict(config),
            "differences": [_plain(each) for each in self.differences],
        }

    def print(self) -> None:
        """Print a line for the topic, and one for each setting that matters."""
        spec, topic = self._spec, self._topic
        partitions, replication = spec.partitions, spec.replication
        if topic is not None:
            partitions, replication = topic.partitions, topic.replication
        copies = f"replication {replication}" if replication > 0 else _BY_BROKER
        same = ", as planned" if topic is not None and not self.differences else ""
        action = self._action
        print_line(
            f"{action:<7}  {spec.name}: {_count(partitions)}, {copies}{same}", _STYLES[action]
        )
        if topic is None:
            for name, value in sorted(spec.config.items()):
                print_indented(f"{name}={_shown(name, value)}", columns=_INDENT)
        for each in self.differences:
            print_indented(self._sentence(each), columns=_INDENT)

    def _sentence(self, each: Difference) -> str:
        actual, planned = _shown(each.setting, each.actual), _shown(each.setting, each.planned)
        if each.obstacle:
            hint = f": can't be altered here; {each.obstacle}" if self._alters else ""
            return f"{each.setting} is {actual}, planned {planned}{hint}"
        if not self._alters:
            return f"{each.setting} is {actual}, planned {planned}"
        return f"{each.setting}: {actual} -> {planned}"


def _named(config: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: config[name] for name in names if name in config}


def _plain(each: Difference) -> dict[str, Any]:
    return {
        "setting": each.setting,
        "actual": each.actual,
        "planned": each.planned,
        "effect": each.effect or None,
        "obstacle": each.obstacle or None,
    }


def _count(partitions: int) -> str:
    return "1 partition" if partitions == 1 else f"{partitions} partitions"


def _shown(name: str, value: str) -> str:
    """Format a value as the broker has it, followed by its meaning."""
    if not name.endswith(".ms"):
        return value
    if value in {_FOR_EVER, NO_TIME_LIMIT}:
        return f"{value} (no limit)"
    return f"{value} ({duration(int(value))})"
