"""One change of a schema, and all changes between two versions of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Self

from pipeline.core.encode import encode_json


class ChangeKind(StrEnum):
    """What about a schema has changed."""

    ADDED = "added"
    REMOVED = "removed"
    TYPE = "type"
    VALUES = "values"
    REQUIRED = "required"
    DEFAULT = "default"
    NAME = "name"
    ORDER = "order"
    RULE = "rule"
    DESCRIPTION = "description"


class SchemaChange(NamedTuple):
    """A change of one field, in words."""

    field: str
    """Path of the field, such as `enrichment.warnings[]`; empty for the schema as a whole."""
    kind: ChangeKind
    words: str


class Compatibility(StrEnum):
    """Compatibility level of two versions, in the words of a Schema Registry."""

    meaning: str

    def __new__(cls, level: str, meaning: str) -> Self:
        """Keep the meaning beside the level."""
        member = str.__new__(cls, level)
        member._value_ = level
        member.meaning = meaning
        return member

    FULL = "FULL", "readers of either version read the data of both"
    BACKWARD = "BACKWARD", "readers of the new version read old data, but not the other way round"
    FORWARD = "FORWARD", "readers of the old version read new data, but not the other way round"
    NONE = "NONE", "no reader of one version reads all data of the other"


class SchemaDifference(NamedTuple):
    """What differs between two versions of one schema."""

    name: str
    changes: tuple[SchemaChange, ...]
    new_reader: tuple[str, ...]
    """Fields of old data that a reader of the new version can't read, and why if it is not said
    by the change."""
    old_reader: tuple[str, ...]
    """The same of new data for a reader of the old version."""

    @property
    def compatibility(self) -> Compatibility:
        """Highest compatibility level that the two versions have."""
        if self.new_reader:
            return Compatibility.NONE if self.old_reader else Compatibility.FORWARD
        return Compatibility.BACKWARD if self.old_reader else Compatibility.FULL

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "schema": self.name,
            "compatibility": self.compatibility.value,
            "changes": [
                {"field": each.field, "change": each.kind.value, "what": each.words}
                for each in self.changes
            ],
            "newReader": list(self.new_reader),
            "oldReader": list(self.old_reader),
        }


def listed_changes(removed: list[str], added: list[str]) -> str:
    """What is in a list no more, and what is new in it, in words."""
    parts = (("added", added), ("removed", removed))
    return "; ".join(f"{word} {', '.join(names)}" for word, names in parts if names)


def member_text(schema: Mapping[str, Any], key: str) -> str:
    """A value of a schema as JSON, or that there is none."""
    return encode_json(schema[key]).decode() if key in schema else "none"
