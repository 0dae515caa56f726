"""Names of the settings, in the three forms that users write, and which values each allows.

A setting has a dotted name (`batch.max_records`), an environment variable
(`TRACK_BATCH__MAX_RECORDS`) and, the common ones, a flag. All is read from the model itself, so
that messages, the settings table and the model can't disagree.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Any, Final, Literal, NamedTuple, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo

PREFIX: Final = "TRACK_"

FLAGS: Final = {
    "--bootstrap-servers": "kafka.bootstrap.servers",
    "--group": "group",
    "--instance-id": "instance_id",
    "--workers": "workers",
    "--raw-topic": "topics.raw",
    "--enriched-topic": "topics.enriched",
    "--dead-letter-topic": "topics.dead_letter",
    "--identify-topic": "topics.identify",
    "--log-format": "log.format",
    "--log-level": "log.level",
}
"""The settings that also have a flag."""

TOPIC_PATTERN: Final = r"^(?:\.{0,2}[A-Za-z0-9_-][A-Za-z0-9._-]*|\.{3}[A-Za-z0-9._-]*)$"
LONGEST_TOPIC: Final = 249
NAME_PATTERN: Final = r"^[!-~](?:[ -~]*[!-~])?$"
"""What Kafka, or its client, can carry everywhere: else it is found out at the first commit."""
_PATTERNS: Final = {
    TOPIC_PATTERN: "1 to 249 of the characters A-Z a-z 0-9 . _ -, but not . or ..",
    NAME_PATTERN: "printable ASCII without outer spaces",
    "^[A-Z]{3}$": "three capital letters such as EUR",
}
_PLAIN_TYPES: Final[dict[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


class Leaf(NamedTuple):
    """One setting: the end of a path through the groups of the model."""

    name: str
    """Dotted."""
    field: FieldInfo

    @property
    def path(self) -> tuple[str, ...]:
        """The name's parts."""
        return tuple(self.name.split("."))

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return variable_of(self.name)

    @property
    def is_map(self) -> bool:
        """Whether it holds properties of the Kafka client, by their own dotted names."""
        return typing.get_origin(self.field.annotation) is dict

    @property
    def is_plain(self) -> bool:
        """Whether its text is its value; others are JSON in environment variables."""
        return typing.get_origin(self.field.annotation) not in {dict, list, tuple, frozenset}

    @property
    def default(self) -> Any:  # noqa: ANN401  as various as the settings
        """The value when nobody sets it."""
        return self.field.get_default(call_default_factory=True, validated_data={})


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[Leaf]:
    """Every setting of a model, groups followed to their ends."""
    for name, field in model.model_fields.items():
        group = group_of(field)
        if group is None:
            yield Leaf(prefix + name, field)
        else:
            yield from leaves(group, f"{prefix}{name}.")


def group_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a group of settings."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def item_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of each item of a field that is a list of groups."""
    kinds = [kind for kind in typing.get_args(field.annotation) if isinstance(kind, type)]
    return next((kind for kind in kinds if issubclass(kind, BaseModel)), None)


def variable_of(name: str) -> str:
    """The environment variable of a dotted name."""
    return PREFIX + name.upper().replace(".", "__")


def flag_of(name: str) -> str:
    """The flag of a dotted name; the name itself when it has none."""
    return next((flag for flag, setting in FLAGS.items() if setting == name), name)


def nearest(name: str, valid: Iterable[str]) -> str:
    """`; did you mean X?` for the closest valid name, else the valid names when they are few."""
    names = list(valid)
    folded = {candidate.casefold(): candidate for candidate in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {folded[close[0]]}?"
    few = 12
    return f"; valid: {', '.join(names)}" if len(names) <= few else ""


def is_topic(name: str) -> bool:
    """Whether Kafka takes a name for a topic."""
    return len(name) <= LONGEST_TOPIC and re.fullmatch(TOPIC_PATTERN, name) is not None


def allowed(field: FieldInfo) -> str:
    """Which values a setting takes, for a person."""
    return _allowed_by(field.annotation, field.metadata)


def _allowed_by(kind: Any, metadata: Iterable[Any]) -> str:  # noqa: ANN401  any type expression
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _allowed_by(arguments[0], arguments[1:])
    if origin in {Union, UnionType}:
        return _allowed_by(next(kind for kind in arguments if kind is not NoneType), metadata)
    if origin is Literal:
        return _one_of([str(argument) for argument in arguments])
    if origin is dict:
        return "a table of text, numbers, true or false"
    return _PLAIN_TYPES[kind] + _range(metadata) if origin is None else _list_of(arguments[0])


def _list_of(item: Any) -> str:  # noqa: ANN401  any type expression
    if isinstance(item, type) and issubclass(item, BaseModel):
        return f"a list of tables with {', '.join(item.model_fields)}"
    return f"a list, each {_allowed_by(item, ())}"


def _one_of(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _range(metadata: Iterable[Any]) -> str:
    low = high = None
    for constraint in metadata:
        pattern = getattr(constraint, "pattern", None)
        if pattern in _PATTERNS:
            return f": {_PATTERNS[pattern]}"
        if getattr(constraint, "min_length", None):
            return ", not empty"
        low = getattr(constraint, "ge", low)
        high = getattr(constraint, "le", high)
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return "" if low is None else f" of at least {low}"
