"""Whether data of one Avro schema can be read with another one, and if not, why, in words.

These are the resolution rules of Avro's specification. They are stricter than a Schema Registry in
one way: where the logical type differs (the scale of a decimal, seconds for milliseconds), a
registry sees the same bytes, but a reader would take them for another value.
"""

from __future__ import annotations

from typing import Any, Final

from pipeline.avro.schema_types import RECORDS, AvroType, SchemaTypes, logical_type

_PROMOTIONS: Final = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
"""Types that a reader may have instead of the writer's."""
_NAMED: Final = RECORDS | {"enum", "fixed"}


def incompatibilities(reader: str, writer: str) -> list[str]:
    """Reasons why a reader with one schema can't read what another schema has written.

    Both are the texts of Avro schemas. The list is empty when everything can be read. A reason
    starts with the field, such as `enrichment.warnings[]`: `[]` is an item of an array, `{}` a
    value of a map.

    Raises:
        SchemaFileError: One of the texts is no Avro schema.
    """
    resolution = _Resolution(
        SchemaTypes(reader, "the reader's schema"), SchemaTypes(writer, "the writer's schema")
    )
    return resolution.problems("", resolution.reader.root, resolution.writer.root)


class _Resolution:
    """Compares the types of a reader with those of a writer."""

    def __init__(self, reader: SchemaTypes, writer: SchemaTypes) -> None:
        self.reader: Final = reader
        self.writer: Final = writer
        self._compared: Final[set[tuple[str, str]]] = set()
        """Names of records that are compared already, or right now: a record may hold itself."""

    def problems(self, path: str, reader: AvroType, writer: AvroType) -> list[str]:
        """What of the writer's type the reader's can't take; each branch of a union counts."""
        expected = self.reader.branches(reader)
        return [
            problem
            for branch in self.writer.branches(writer)
            for problem in self._of_branch(path, expected, branch)
        ]

    def _of_branch(self, path: str, expected: list[AvroType], written: AvroType) -> list[str]:
        """The problems of one written type, which any of the expected ones may take."""
        found = [self._of_types(path, each, written) for each in expected]
        if not all(found):
            return []
        alike = [
            problems
            for each, problems in zip(expected, found, strict=True)
            if _is_alike(each, written)
        ]
        return alike[0] if alike else [self._mismatch(path, expected, written)]

    def _mismatch(self, path: str, expected: list[AvroType], written: AvroType) -> str:
        wanted = self.reader.described(expected if len(expected) > 1 else expected[0])
        return _at(path, f"written as {self.writer.described(written)}, read as {wanted}")

    def _of_types(self, path: str, reader: AvroType, writer: AvroType) -> list[str]:
        kind = writer["type"]
        fits = reader["type"] in _PROMOTIONS.get(kind, ()) or _is_alike(reader, writer)
        facts = ((logical_type(each), each.get("size")) for each in (reader, writer))
        if not fits or len(set(facts)) > 1:
            return [self._mismatch(path, [reader], writer)]
        match kind:
            case "array":
                return self.problems(f"{path}[]", reader["items"], writer["items"])
            case "map":
                return self.problems(f"{path}{{}}", reader["values"], writer["values"])
            case "enum":
                return _unknown_symbols(path, reader, writer)
            case "record" | "error":
                return self._of_records(path, reader, writer)
        return []

    def _of_records(self, path: str, reader: AvroType, writer: AvroType) -> list[str]:
        names = (reader["name"], writer["name"])
        if names in self._compared:
            return []
        self._compared.add(names)
        written = {field["name"]: field for field in writer["fields"]}
        return [
            problem
            for field in reader["fields"]
            for problem in self._of_field(f"{path}.{field['name']}", field, written)
        ]

    def _of_field(
        self, path: str, field: dict[str, Any], written: dict[str, dict[str, Any]]
    ) -> list[str]:
        names = (field["name"], *field.get("aliases", ()))
        for name in names:
            if name in written:
                return self.problems(path, field["type"], written[name]["type"])
        if "default" in field:
            return []
        return [_at(path, "not written, and the reader has no default for it")]


def _unknown_symbols(path: str, reader: AvroType, writer: AvroType) -> list[str]:
    unknown = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
    if not unknown or "default" in reader:
        return []
    return [_at(path, f"the reader does not know the symbols {', '.join(unknown)}")]


def _is_alike(reader: AvroType, writer: AvroType) -> bool:
    """Whether both are of one kind, and, if it has a name, the reader's has or had the writer's."""
    if reader["type"] != writer["type"] or reader["type"] not in _NAMED:
        return bool(reader["type"] == writer["type"])
    names = (reader["name"], *reader.get("aliases", ()))
    return _short(writer["name"]) in map(_short, names)


def _short(name: str) -> str:
    """A name without its namespace, which does not count in resolution."""
    return name.rpartition(".")[2]


def _at(path: str, problem: str) -> str:
    return f"{path.removeprefix('.') or 'the whole value'}: {problem}"
