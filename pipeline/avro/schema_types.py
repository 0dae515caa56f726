"""Types of one Avro schema, as they are compared with those of another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipeline.avro.published import parsed

AvroType = Any
"""A type in a parsed schema: a name, a list (a union) or an object."""
RECORDS: Final = frozenset({"record", "error"})
_TIMES: Final = ("timestamp-millis", "timestamp-micros", "timestamp-nanos")
_MEANINGS: Final = frozenset(
    {"decimal", "big-decimal", "date", "time-millis", "time-micros", "duration", *_TIMES}
    | {f"local-{name}" for name in _TIMES}
)
"""Logical types without which a number, or bytes, would mean something else."""


class SchemaTypes:
    """The types of one schema: its root, and those that it names.

    `name` is what an error calls the schema. Raises SchemaFileError when the text is none.
    """

    def __init__(self, text: str, name: str = "the schema") -> None:
        self.root: Final[AvroType] = parsed(text, name)
        self._named: Final = {each["name"]: each for each in _definitions(self.root)}

    def resolved(self, kind: AvroType) -> AvroType:
        """A type as a list (a union) or as an object that has all that is known about it."""
        if isinstance(kind, list):
            return kind
        name = kind["type"] if isinstance(kind, dict) else kind
        if name in self._named:
            return self._named[name]
        return kind if isinstance(kind, dict) else {"type": kind}

    def branches(self, kind: AvroType) -> list[AvroType]:
        """The types of a union; of anything else, itself."""
        whole = self.resolved(kind)
        return [self.resolved(each) for each in whole] if isinstance(whole, list) else [whole]

    def described(self, kind: AvroType) -> str:
        """A type in words, such as `null or decimal(38, 9)`."""
        whole = self.resolved(kind)
        if isinstance(whole, list):
            return " or ".join(map(self.described, whole))
        match whole["type"]:
            case "array":
                base = f"array of {self._grouped(whole['items'])}"
            case "map":
                base = f"map of {self._grouped(whole['values'])}"
            case "fixed":
                base = f"fixed {whole['name']} of {whole['size']} bytes"
            case _:
                base = " ".join([whole["type"], *filter(None, [whole.get("name")])])
        meaning = logical_type(whole) or whole.get("logicalType")
        return f"{base} ({meaning})" if meaning else base

    def _grouped(self, kind: AvroType) -> str:
        text = self.described(kind)
        return f"({text})" if isinstance(self.resolved(kind), list) else text


def logical_type(kind: Mapping[str, Any]) -> str:
    """What gives a number or bytes their meaning, such as `decimal(38, 9)`; empty when nothing."""
    name = kind.get("logicalType")
    if not isinstance(name, str) or name not in _MEANINGS:
        return ""
    if name != "decimal":
        return name
    return f"decimal({kind['precision']}, {kind.get('scale', 0)})" if "precision" in kind else ""


def _definitions(kind: AvroType) -> Iterator[dict[str, Any]]:
    """Every record, enum and fixed that is defined in a type."""
    if isinstance(kind, list):
        for each in kind:
            yield from _definitions(each)
    elif isinstance(kind, dict):
        if "name" in kind:
            yield kind
        for field in kind.get("fields", ()):
            yield from _definitions(field["type"])
        yield from _definitions(kind.get("items"))
        yield from _definitions(kind.get("values"))
