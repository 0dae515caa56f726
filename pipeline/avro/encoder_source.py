"""Generates the Python source of an encoder from an Avro schema.

The source is what one would write by hand for this one schema: a function for each record, which is
one expression without a loop over the fields. A library looks at the schema again for each value.
"""

from __future__ import annotations

import json
import linecache
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import count
from typing import Any, Final, NamedTuple

from pipeline.avro.binary import (
    FIRST_BITS,
    LOW_BITS,
    NEXT_BITS,
    amount_writer,
    first_bytes,
    lengths,
    other_bytes,
    second_bytes,
    write_long,
)
from pipeline.avro.published import parsed
from pipeline.avro.schema_types import AvroType
from pipeline.core.encode import encode_json
from pipeline.core.members import read_value
from pipeline.core.memo import Memo
from pipeline.errors import SchemaFileError

_BACKSLASH: Final = ord("\\")
_KEPT: Final = 256
"""Number of different values that are kept of a field that repeats, and bytes of the longest."""
_LAST_BLOCK: Final = b"\x00"
"""Ends an array or a map."""
_TRUE: Final = b"\x01"
_FALSE: Final = b"\x00"
_BRANCHES: Final = (b"\x00", b"\x02")
"""How a value of a union of two types begins, by the number of its type."""
_NULL: Final = {b"": None, _BRANCHES[0]: _BRANCHES[1], _BRANCHES[1]: _BRANCHES[0]}
"""How null is written, by the branch of the other type."""


class Form(Enum):
    """How a value is given to an encoder."""

    PLAIN = "str, bool, int, Decimal, dict or list"
    JSON = "bytes of JSON text, for a string that holds this text"
    JSON_STRING = "bytes of a JSON string, for a string that holds its characters"
    REPEATED = "like PLAIN, of few different values; hashable"
    REPEATED_OBJECT = "like PLAIN, of few different values; not hashable"


class Operand(NamedTuple):
    """Expression of a value in the code of an encoder, and the form of that value."""

    expression: str
    form: Form = Form.PLAIN


class EncoderSource:
    """Source of functions that encode values of one schema.

    SchemaFileError for an invalid schema, or one with a type that no output needs.
    """

    def __init__(self, schema_text: str) -> None:
        self.schema: Final = _record_schema(schema_text)
        self._types: dict[str, AvroType] = {self.schema["name"]: self.schema}
        self._records: dict[str, str] = {}
        self._numbers = count(1)
        self._text = ""
        self._names: dict[str, Any] = {
            "Memo": Memo,
            "encode_json": encode_json,
            "join": b"".join,
            "long": write_long,
            "other_bytes": other_bytes,
            "read_value": read_value,
            "second_bytes": second_bytes,
        }
        self._writers: Final[dict[str, Callable[[AvroType, Operand, bytes], list[str]]]] = {
            "array": self._array,
            "boolean": _boolean,
            "bytes": self._amount,
            "enum": self._enum,
            "long": self._long,
            "map": self._map,
            "record": self._record,
            "string": self._string,
        }

    def compiled(self, function: str) -> Callable[..., bytes]:
        """One of the functions that were added."""
        name = f"<encoder of {self.schema['name']}>"
        # So that a traceback shows the lines.
        linecache.cache[name] = len(self._text), None, self._text.splitlines(keepends=True), name
        exec(compile(self._text, name, "exec"), self._names)  # noqa: S102  the text above
        compiled: Callable[..., bytes] = self._names[function]
        return compiled

    def add_function(self, arguments: str, items: Sequence[str]) -> str:
        """Add a function that returns these items, joined; returns its name."""
        name = self._new("write")
        lines = "".join(f"        {item},\n" for item in items)
        self._text += f"def {name}({arguments}):\n    return join((\n{lines}    ))\n\n\n"
        return name

    def add_record(self, schema: AvroType) -> str:
        """Add a function that writes a record, given as a dict; returns its name.

        Times are epoch milliseconds. A decimal is rounded half-even to the places of its scale, and
        null, where it may be, when it has too many digits.
        """
        name = schema["name"]
        if name not in self._records:
            self._records[name] = self._new("record")  # known already where a record holds itself
            items = [
                item
                for field in schema["fields"]
                for item in self.items(field["type"], Operand(self._member("value", field)))
            ]
            written = self.add_function("value", items)
            self._text += f"{self._records[name]} = {written}\n\n\n"
        return self._records[name]

    def items(self, schema: AvroType, operand: Operand, branch: bytes = b"") -> list[str]:
        """Expressions for the parts of an encoded value, one after the other."""
        if operand.form in {Form.REPEATED, Form.REPEATED_OBJECT}:
            return [self._remembered(schema, operand)]
        if isinstance(schema, list):
            return [self._union(schema, operand)]
        schema = self._definition(schema)
        name = schema if isinstance(schema, str) else schema["type"]
        if name not in self._writers or (name != "string" and operand.form is not Form.PLAIN):
            raise _unsupported(schema)
        return self._writers[name](schema, operand, branch)

    def _definition(self, schema: AvroType) -> AvroType:
        """What a name stands for; a type that is defined here is known by its name from now on."""
        if isinstance(schema, dict) and "name" in schema:
            self._types[schema["name"]] = schema
        return self._types.get(schema, schema) if isinstance(schema, str) else schema

    def _new(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"

    def _named(self, kind: str, value: object) -> str:
        name = self._new(kind)
        self._names[name] = value
        return name

    def _bound(self, expression: str) -> tuple[str, str]:
        """A name for a value, and the expression that gives it this name."""
        if expression.isidentifier():
            return expression, expression
        name = self._new("v")
        return name, f"({name} := {expression})"

    def _table(self, kind: Callable[[bytes], object], branch: bytes) -> str:
        """Name of a table of bytes that begin with the branch."""
        name = f"{kind.__name__}_{branch.hex()}"
        if name not in self._names:
            self._names[name] = kind(branch)
        return name

    def _member(self, record: str, field: AvroType) -> str:
        name, default = field["name"], field.get("default")
        if default is not None:
            return f"{record}.get({name!r}, {self._named('default', default)})"
        if "default" in field or "null" in field["type"]:
            return f"{record}.get({name!r})"
        return f"{record}[{name!r}]"

    def _remembered(self, schema: AvroType, operand: Operand) -> str:
        write, memo = (
            self.add_function("value", self.items(schema, Operand("value"))),
            self._new("memo"),
        )
        if operand.form is Form.REPEATED:
            self._text += f"{memo} = Memo({write}, {_KEPT})\n\n\n"
            return f"{memo}[{operand.expression}]"
        self._text += f"{memo} = Memo(lambda text: {write}(read_value(text)), {_KEPT})\n\n\n"
        text = self._new("v")
        known = f"len({text} := encode_json({operand.expression})) <= {_KEPT}"
        return f"({memo}[{text}] if {known} else {write}(read_value({text})))"

    def _union(self, schema: list[AvroType], operand: Operand) -> str:
        if len(schema) != len(_BRANCHES) or "null" not in schema:
            raise _unsupported(schema)
        null = schema.index("null")
        name, bound = self._bound(operand.expression)
        items = self.items(schema[1 - null], Operand(name, operand.form), _BRANCHES[1 - null])
        return f"({_BRANCHES[null]!r} if {bound} is None else {' + '.join(items)})"

    def _string(self, _: AvroType, operand: Operand, branch: bytes) -> list[str]:
        text = operand.expression
        if operand.form is Form.PLAIN:
            text = f"{text}.encode()"
        elif operand.form is Form.JSON_STRING:
            sent = self._new("v")
            self._names["unescaped"] = _unescaped
            escapes = f"{_BACKSLASH} in ({sent} := bytes({text}))"
            text = f"(unescaped({sent}) if {escapes} else {sent}[1:-1])"
        name, bound = self._bound(text)
        return [f"{self._table(lengths, branch)}[len({bound})]", name]

    def _long(self, schema: AvroType, operand: Operand, branch: bytes) -> list[str]:
        if _logical(schema) != "timestamp-millis":
            raise _unsupported(schema)
        name, bound = self._bound(operand.expression)
        first = f"{self._table(first_bytes, branch)}[{name} & {(1 << FIRST_BITS) - 1}]"
        second = f"second_bytes[{name} >> {FIRST_BITS} & {(1 << NEXT_BITS) - 1}]"
        usual = f"{first} + {second} + other_bytes[{name} >> {LOW_BITS}]"
        return [f"({usual} if {bound} >= {1 << LOW_BITS} else {branch!r} + long({name}))"]

    def _amount(self, schema: AvroType, operand: Operand, branch: bytes) -> list[str]:
        if _logical(schema) != "decimal":
            raise _unsupported(schema)
        precision, scale = schema["precision"], schema.get("scale", 0)
        write = self._named("amount", amount_writer(precision, scale, branch, _NULL[branch]))
        return [f"{write}({operand.expression})"]

    def _array(self, schema: AvroType, operand: Operand, branch: bytes) -> list[str]:
        name, bound = self._bound(operand.expression)
        each = self._new("v")
        item = " + ".join(self.items(schema["items"], Operand(each)))
        return self._blocks(name, bound, f"{item} for {each} in {name}", branch)

    def _map(self, schema: AvroType, operand: Operand, branch: bytes) -> list[str]:
        name, bound = self._bound(operand.expression)
        key, value = self._new("v"), self._new("v")
        items = self.items("string", Operand(key)) + self.items(schema["values"], Operand(value))
        pairs = f"{' + '.join(items)} for {key}, {value} in {name}.items()"
        return self._blocks(name, bound, pairs, branch)

    def _blocks(self, name: str, bound: str, items: str, branch: bytes) -> list[str]:
        """Expression for all items in one block, or for none."""
        block = f"{self._table(lengths, branch)}[len({name})] + join([{items}]) + {_LAST_BLOCK!r}"
        return [f"({block} if {bound} else {branch + _LAST_BLOCK!r})"]

    def _record(self, schema: AvroType, operand: Operand, branch: bytes) -> list[str]:
        return [*_begin(branch), f"{self.add_record(schema)}({operand.expression})"]

    def _enum(self, schema: AvroType, operand: Operand, branch: bytes) -> list[str]:
        symbols = {each: branch + write_long(at) for at, each in enumerate(schema["symbols"])}
        return [f"{self._named('symbols', symbols)}[{operand.expression}]"]


def _boolean(_: AvroType, operand: Operand, branch: bytes) -> list[str]:
    return [f"({branch + _TRUE!r} if {operand.expression} else {branch + _FALSE!r})"]


def _begin(branch: bytes) -> list[str]:
    return [repr(branch)] if branch else []


def _logical(schema: AvroType) -> str | None:
    return schema.get("logicalType") if isinstance(schema, dict) else None


def _unescaped(text: bytes) -> bytes:
    value: str = read_value(text)
    return value.encode()


def _unsupported(schema: AvroType) -> SchemaFileError:
    return SchemaFileError(f"the encoder can't write values of the Avro type {json.dumps(schema)}")


def _record_schema(text: str) -> dict[str, Any]:
    schema = parsed(text)
    if not isinstance(schema, dict) or schema["type"] != "record":
        raise SchemaFileError("the encoder needs an Avro schema of a record")
    return schema
