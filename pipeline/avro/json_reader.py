"""Turns Avro's binary encoding into JSON text, with readers that are made once for a schema.

A record becomes an object with its fields in order, a union the plain value of its branch. No value
in between is made, so every digit stays, and bytes from anyone are read within bounds: what is
announced must be there, and what a schema makes of few bytes is counted.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pipeline.avro.container_readers import (
    array_reader,
    map_reader,
    optional_reader,
    record_reader,
    recursive_reader,
    union_reader,
)
from pipeline.avro.decoding import (
    FAULTS,
    DecodingFault,
    DepthFault,
    JsonText,
    ReadValue,
    located,
)
from pipeline.avro.published import AvroSchema
from pipeline.avro.scalar_readers import (
    TIMES,
    UUID_SIZE,
    decimal_reader,
    enum_reader,
    fixed_reader,
    read_boolean,
    read_bytes,
    read_double,
    read_fixed_uuid,
    read_float,
    read_int,
    read_long,
    read_null,
    read_string,
)

_PRIMITIVES: Final[dict[str, ReadValue]] = {
    "null": read_null,
    "boolean": read_boolean,
    "int": read_int,
    "long": read_long,
    "float": read_float,
    "double": read_double,
    "string": read_string,
    "bytes": read_bytes,
}
_MAX_FRAMES: Final = 250
"""Nested calls that a schema may take without recursion."""
_MAX_RECURSIVE_FRAMES: Final = 500
"""Nested calls that recursion may add: together three quarters of what Python allows at all."""
_MAX_SCALE: Final = 1_000
_OPTIONAL: Final = 2
"""Branches of a union with null; that of any two is read the same way."""


_Description = dict[str, Any]
"""A type that is more than a name."""


class UnreadableSchemaError(Exception):
    """A schema whose records can't be read as JSON; the text is a clause that says why."""


class JsonReader:
    """Reads values of one schema as JSON text."""

    def __init__(self, schema: AvroSchema, names: dict[str, Any], max_text: int) -> None:
        """Make the readers of a schema that fastavro has parsed, with all of its named types.

        Raises UnreadableSchemaError.
        """
        compiled = _Compiler(names).compile(schema)
        if compiled.frames > _MAX_FRAMES:
            raise UnreadableSchemaError(f"it nests types deeper than {_MAX_FRAMES} levels")
        self._read = compiled.read
        self._max_text = max_text
        self._recursions = _MAX_RECURSIVE_FRAMES // compiled.frames

    def read(self, data: bytes, at: int) -> bytes:
        """Read the value that begins at a position and has all bytes to the end.

        Raises DecodingFault.
        """
        text = JsonText(self._max_text, self._recursions)
        try:
            end = self._read(data, at, text)
        except FAULTS as error:
            raise located(error, at, "") from None
        except RecursionError:
            raise DepthFault from None
        if end != len(data):
            raise DecodingFault(f"{len(data) - end} bytes follow its end at byte {end}")
        return text.whole()


class _Compiled(NamedTuple):
    read: ReadValue
    frames: int
    """Number of nested calls that reading a value takes, without those of recursion."""
    is_empty: bool = False
    """Whether a value has no bytes."""


class _Compiler:
    """Makes readers of types, each named type once."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._compiled: dict[str, _Compiled] = {}
        self._open: dict[str, list[ReadValue]] = {}
        """Named types that are being compiled, with a place for their reader."""

    def compile(self, schema: AvroSchema) -> _Compiled:
        """Make the reader of a type."""
        if isinstance(schema, list):
            return self._union(schema)
        if isinstance(schema, dict):
            return self._described(schema)
        if schema in _PRIMITIVES:
            return _Compiled(_PRIMITIVES[schema], 1, schema == "null")
        return self._named(schema, self._names[schema])

    def _described(self, schema: _Description) -> _Compiled:
        kind = schema["type"]
        if kind == "array":
            return self._array(schema["items"])
        if kind == "map":
            return self._map(schema["values"])
        if kind in _PRIMITIVES:
            return _Compiled(_scalar(kind, schema), 1, kind == "null")
        return self._named(schema["name"], schema)

    def _named(self, name: str, schema: _Description) -> _Compiled:
        if name in self._compiled:
            return self._compiled[name]
        if name in self._open:
            return _Compiled(recursive_reader(self._open[name]), 1)
        self._open[name] = place = []
        compiled = self._definition(schema)
        place.append(compiled.read)
        del self._open[name]
        self._compiled[name] = compiled
        return compiled

    def _definition(self, schema: _Description) -> _Compiled:
        kind = schema["type"]
        if kind == "enum":
            return _Compiled(enum_reader(schema["symbols"]), 1)
        if kind == "fixed":
            size = schema["size"]
            if type(size) is not int or size < 0:
                raise UnreadableSchemaError(f"a fixed has the size {size!r}")
            return _Compiled(_fixed(size, schema), 1, size == 0)
        fields = [(field["name"], self.compile(field["type"])) for field in schema["fields"]]
        return _Compiled(
            record_reader([(name, field.read) for name, field in fields]),
            1 + max((field.frames for _name, field in fields), default=0),
            all(field.is_empty for _name, field in fields),
        )

    def _array(self, items: AvroSchema) -> _Compiled:
        item = self.compile(items)
        if item.is_empty:
            raise UnreadableSchemaError("items of an array have no bytes, so any number fits")
        return _Compiled(array_reader(item.read), 1 + item.frames)

    def _map(self, values: AvroSchema) -> _Compiled:
        value = self.compile(values)
        return _Compiled(map_reader(value.read), 1 + value.frames)

    def _union(self, branches: list[AvroSchema]) -> _Compiled:
        compiled = [self.compile(branch) for branch in branches]
        readers = [branch.read for branch in compiled]
        read = optional_reader(readers) if len(readers) == _OPTIONAL else union_reader(readers)
        return _Compiled(read, 1 + max((branch.frames for branch in compiled), default=0))


def _scalar(kind: str, schema: _Description) -> ReadValue:
    logical = schema.get("logicalType")
    if kind == "bytes" and logical == "decimal":
        return _decimal(schema, None) or read_bytes
    if isinstance(logical, str):
        return TIMES.get((kind, logical)) or _PRIMITIVES[kind]
    return _PRIMITIVES[kind]


def _fixed(size: int, schema: _Description) -> ReadValue:
    logical = schema.get("logicalType")
    if logical == "decimal":
        return _decimal(schema, size) or fixed_reader(size)
    if logical == "uuid" and size == UUID_SIZE:
        return read_fixed_uuid
    return fixed_reader(size)


def _decimal(schema: _Description, size: int | None) -> ReadValue | None:
    """Reader of a decimal; None when its logical type is not valid, which Avro ignores then."""
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if type(precision) is not int or type(scale) is not int or not 0 <= scale <= precision:
        return None
    if scale > _MAX_SCALE:
        raise UnreadableSchemaError(f"a decimal has a scale of {scale}, over {_MAX_SCALE}")
    return decimal_reader(scale, size)
