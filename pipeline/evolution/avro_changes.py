"""What differs between two Avro schemas, for someone who reads data of both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from pipeline.avro.difference import incompatibilities
from pipeline.avro.schema_types import RECORDS, AvroType, SchemaTypes
from pipeline.evolution.change import (
    ChangeKind,
    SchemaChange,
    SchemaDifference,
    listed_changes,
    member_text,
)

_Field = dict[str, Any]
_SAID_ELSEWHERE: Final = frozenset({"name", "namespace", "type", "doc", "default", "fields"})
_COLLECTIONS: Final = frozenset({"array", "map"})
_OF_TYPES: Final = frozenset(
    {"items", "values", "symbols", "size", "logicalType", "precision", "scale"}
)


def avro_difference(old: str, new: str, name: str, old_name: str = "") -> SchemaDifference:
    """Compare the texts of two Avro schemas; `name` is what the result calls them.

    `old_name` is what an error calls the old one when that has another name.

    Raises:
        SchemaFileError: One of the texts is no Avro schema.
    """
    comparison = _AvroComparison(
        SchemaTypes(old, f"the old {old_name or name}"), SchemaTypes(new, f"the new {name}")
    )
    return SchemaDifference(
        name,
        tuple(comparison.of_types("", comparison.old.root, comparison.new.root)),
        tuple(incompatibilities(new, old)),
        tuple(incompatibilities(old, new)),
    )


class _AvroComparison:
    """Compares the types of an old schema with those of a new one."""

    def __init__(self, old: SchemaTypes, new: SchemaTypes) -> None:
        self.old: Final = old
        self.new: Final = new
        self._compared: Final[set[str]] = set()

    def of_types(self, path: str, old: AvroType, new: AvroType) -> Iterator[SchemaChange]:
        """Compare two types, and all that is in them."""
        is_same_kind = self._kinds(self.old, old) == self._kinds(self.new, new)
        if not is_same_kind:
            words = f"{self.old.described(old)} -> {self.new.described(new)}"
            yield SchemaChange(path, ChangeKind.TYPE, words)
        for former in self.old.branches(old):
            later = self._later(former, new)
            # The items of what is said to be another type are said with it.
            if later and (is_same_kind or "name" in former):
                yield from self._of_parts(path, former, later)

    def _kinds(self, schema: SchemaTypes, kind: AvroType) -> list[str]:
        """The types of a union in words, without what is in arrays and maps."""
        branches = schema.branches(kind)
        return [
            each["type"] if each["type"] in _COLLECTIONS else schema.described(each)
            for each in branches
        ]

    def _later(self, former: AvroType, new: AvroType) -> AvroType | None:
        """The type of the new schema that a type of the old one has become."""
        alike = [each for each in self.new.branches(new) if each["type"] == former["type"]]
        return min(alike, key=lambda each: each.get("name") != former.get("name"), default=None)

    def _of_parts(self, path: str, old: AvroType, new: AvroType) -> Iterator[SchemaChange]:
        """Compare what two types of one kind hold."""
        kind = old["type"]
        if kind == "array":
            yield from self.of_types(f"{path}[]", old["items"], new["items"])
        elif kind == "map":
            yield from self.of_types(f"{path}{{}}", old["values"], new["values"])
        elif "name" in old and old["name"] not in self._compared:
            self._compared.add(old["name"])
            yield from _of_definitions(path, old, new)
            if kind in RECORDS:
                yield from self._of_fields(path, old["fields"], new["fields"])

    def _of_fields(self, path: str, old: list[_Field], new: list[_Field]) -> Iterator[SchemaChange]:
        before = {field["name"]: field for field in old}
        former = {field["name"]: _former_name(field, before) for field in new}
        for field in new:
            where, name = f"{path}.{field['name']}".removeprefix("."), former[field["name"]]
            if name is None:
                words = f"{self.new.described(field['type'])}{_default_of(field, 'older data')}"
                yield SchemaChange(where, ChangeKind.ADDED, words)
                continue
            if name != field["name"]:
                yield SchemaChange(where, ChangeKind.NAME, f"was {name}, which is an alias")
            yield from self._of_field(where, before[name], field)
        kept = [name for name in former.values() if name is not None]
        for name, field in before.items():
            if name not in kept:
                where = f"{path}.{name}".removeprefix(".")
                words = f"{self.old.described(field['type'])}{_default_of(field, 'newer data')}"
                yield SchemaChange(where, ChangeKind.REMOVED, words)
        if [name for name in before if name in kept] != kept:
            yield SchemaChange(path, ChangeKind.ORDER, "the fields are in another order")

    def _of_field(self, path: str, old: _Field, new: _Field) -> Iterator[SchemaChange]:
        yield from self.of_types(path, old["type"], new["type"])
        yield from _of_attributes(path, old, new)
        before, after = member_text(old, "default"), member_text(new, "default")
        if before != after:
            yield SchemaChange(path, ChangeKind.DEFAULT, f"{before} -> {after}")


def _of_definitions(path: str, old: AvroType, new: AvroType) -> Iterator[SchemaChange]:
    """Compare two types that have names, but for the fields of records."""
    if old["type"] == "enum" and old["symbols"] != new["symbols"]:
        yield SchemaChange(path, ChangeKind.VALUES, _symbol_changes(old["symbols"], new["symbols"]))
    before, after = member_text(old, "default"), member_text(new, "default")
    if before != after:
        yield SchemaChange(path, ChangeKind.DEFAULT, f"{before} -> {after}")
    yield from _of_attributes(path, old, new)


def _of_attributes(path: str, old: _Field, new: _Field) -> Iterator[SchemaChange]:
    if old.get("doc") != new.get("doc"):
        yield SchemaChange(path, ChangeKind.DESCRIPTION, new.get("doc") or "none any more")
    others = (old.keys() | new.keys()) - _SAID_ELSEWHERE - _OF_TYPES
    for name in sorted(others):
        if not name.startswith("__") and old.get(name) != new.get(name):
            words = f"{name}: {json.dumps(old.get(name))} -> {json.dumps(new.get(name))}"
            yield SchemaChange(
                path, ChangeKind.NAME if name == "aliases" else ChangeKind.RULE, words
            )


def _former_name(field: _Field, before: dict[str, _Field]) -> str | None:
    """Name that a field had before; None when it was not there."""
    names = (field["name"], *field.get("aliases", ()))
    return next((name for name in names if name in before), None)


def _symbol_changes(old: list[str], new: list[str]) -> str:
    removed = [each for each in old if each not in new]
    return listed_changes(removed, [each for each in new if each not in old]) or "in another order"


def _default_of(field: _Field, data: str) -> str:
    """What stands for the field in data that does not have it."""
    if "default" in field:
        return f", optional: {member_text(field, 'default')} in {data}"
    return f", required: {data} can't be read without it"
