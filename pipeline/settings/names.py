"""Names of the settings in the three forms that users write, and the values that each allows.

A setting has a dotted name (`batch.max_records`), an environment variable
(`TRACK_BATCH__MAX_RECORDS`) and, if it is a common one, a flag. All of this is read from the model,
so that messages, the table of settings and the model can't disagree.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Iterator
from enum import Enum
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
    "--other-topic": "topics.other",
    "--schema-registry-url": "schema_registry.url",
    "--http-port": "http.port",
    "--log-format": "log.format",
    "--log-level": "log.level",
}
"""Settings that also have a flag."""

TOPIC_PATTERN: Final = r"^(?:\.{0,2}[A-Za-z0-9_-][A-Za-z0-9._-]*|\.{3}[A-Za-z0-9._-]*)$"
LONGEST_TOPIC: Final = 249
NAME_PATTERN: Final = r"^[!-~](?:[ -~]*[!-~])?$"
"""Matches names that Kafka and its client accept everywhere. Others would only fail at the first
commit."""
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


class FieldKind(Enum):
    """Kinds of values, which decide how a source may write them."""

    TABLE = "table"
    """Client properties: names and values."""
    LIST = "list"
    BOOLEAN = "boolean"
    SCALAR = "scalar"
    """Text or a number, possibly unset."""


class Leaf(NamedTuple):
    """One setting: a leaf of the tree of groups in the model."""

    name: str
    """Dotted name."""
    field: FieldInfo

    @property
    def path(self) -> tuple[str, ...]:
        """Parts of the dotted name."""
        return tuple(self.name.split("."))

    @property
    def variable(self) -> str:
        """Environment variable of the setting."""
        return variable_of(self.name)

    @property
    def kind(self) -> FieldKind:
        """Kind of the values of the setting."""
        return kind_of(self.field)

    @property
    def is_map(self) -> bool:
        """Whether the setting holds client properties by their own dotted names."""
        return self.kind is FieldKind.TABLE

    @property
    def is_plain(self) -> bool:
        """Whether a variable holds the value as text; for other settings it holds JSON."""
        return self.kind in {FieldKind.BOOLEAN, FieldKind.SCALAR}

    @property
    def default(self) -> Any:  # noqa: ANN401  any setting's
        """Value of the setting when no source sets it."""
        return self.field.get_default(call_default_factory=True, validated_data={})


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[Leaf]:
    """All settings of a model, including those in nested groups."""
    for name, field in model.model_fields.items():
        group = group_of(field)
        if group is None:
            yield Leaf(prefix + name, field)
        else:
            yield from leaves(group, f"{prefix}{name}.")


def kind_of(field: FieldInfo) -> FieldKind:
    """Kind of the values of a field that is not a group."""
    origin = typing.get_origin(field.annotation)
    if origin is dict:
        return FieldKind.TABLE
    if origin in {list, tuple, frozenset}:
        return FieldKind.LIST
    return FieldKind.BOOLEAN if field.annotation is bool else FieldKind.SCALAR


def group_of(field: FieldInfo) -> type[BaseModel] | None:
    """Model of a field that is a group of settings; None for other fields."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def item_of(field: FieldInfo) -> type[BaseModel] | None:
    """Model of the items of a field that is a list of groups; None for other fields."""
    kinds = [kind for kind in typing.get_args(field.annotation) if isinstance(kind, type)]
    return next((kind for kind in kinds if issubclass(kind, BaseModel)), None)


def variable_of(name: str) -> str:
    """Environment variable of a dotted name."""
    return PREFIX + name.upper().replace(".", "__")


def flag_of(name: str) -> str:
    """Flag of a dotted name; the name itself when it has no flag."""
    return next((flag for flag, setting in FLAGS.items() if setting == name), name)


def nearest(name: str, valid: Iterable[str]) -> str:
    """`; did you mean X?` for the closest valid name, or else a short list of all valid names."""
    names = list(valid)
    folded = {candidate.casefold(): candidate for candidate in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {folded[close[0]]}?"
    few = 12
    return f"; valid: {', '.join(names)}" if len(names) <= few else ""


def is_topic(name: str) -> bool:
    """Whether Kafka accepts the name for a topic."""
    return len(name) <= LONGEST_TOPIC and re.fullmatch(TOPIC_PATTERN, name) is not None


def allowed(field: FieldInfo) -> str:
    """Description of the values that a setting accepts."""
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
