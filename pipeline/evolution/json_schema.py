"""JSON Schemas (draft 2020-12) in a form in which two of them can be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from pipeline.core.encode import encode_json
from pipeline.errors import SchemaFileError

JsonSchema = dict[str, Any]
"""A schema whose references are replaced by what they refer to, without annotations but for the
description."""

DESCRIPTION: Final = "description"
_LOCAL: Final = "#/$defs/"
_ANNOTATIONS: Final = frozenset(
    {"title", "examples", "default", "deprecated", "readOnly", "writeOnly", "format"}
    | {"$defs", "$id", "$schema", "$comment"}
)
_BY_NAME: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
"""Keywords whose members are schemas, by names that are no keywords."""
_VALUES: Final = frozenset({"enum", "const", "required", "dependentRequired"})
"""Keywords that hold values, not schemas."""


def load_json_schema(text: str, name: str) -> JsonSchema:
    """Read a JSON Schema; `name` is what an error calls it.

    Raises:
        SchemaFileError: The text is no JSON Schema.
    """
    try:
        document = json.loads(text, parse_float=Decimal)
        if isinstance(document, dict):
            return _expanded(document, document.get("$defs", {}), ())
    except json.JSONDecodeError as error:
        raise SchemaFileError(f"{name} is no JSON: {error}") from error
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise SchemaFileError(f"{name} is no JSON Schema that can be read ({what})") from error
    raise SchemaFileError(f"{name} is no JSON Schema: it is not an object")


def _expanded(schema: Any, types: Mapping[str, Any], inside: tuple[str, ...]) -> JsonSchema:  # noqa: ANN401  JSON
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    name = schema.get("$ref", "")
    if name.startswith(_LOCAL) and name not in inside:
        own = {key: value for key, value in schema.items() if key != "$ref"}
        target = _expanded(types[name.removeprefix(_LOCAL)], types, (*inside, name))
        return target | _expanded(own, types, inside)
    return {
        key: _expanded_part(key, value, types, inside)
        for key, value in schema.items()
        if key not in _ANNOTATIONS
    }


def _expanded_part(key: str, value: Any, types: Mapping[str, Any], inside: tuple[str, ...]) -> Any:  # noqa: ANN401  JSON
    if key in _BY_NAME:
        return {name: _expanded(each, types, inside) for name, each in value.items()}
    if isinstance(value, dict) and key not in _VALUES:
        return _expanded(value, types, inside)
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return value if key in _VALUES else [_expanded(each, types, inside) for each in value]
    return value


def plain(value: Any) -> Any:  # noqa: ANN401  any part of a schema
    """A part of a schema without descriptions: what it accepts."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: {name: plain(each) for name, each in part.items()} if key in _BY_NAME else plain(part)
        for key, part in value.items()
        if key != DESCRIPTION
    }


def branches(schema: JsonSchema) -> list[JsonSchema]:
    """The schemas of which a value needs only one; of most schemas, itself."""
    if schema.keys() - {DESCRIPTION} != {"anyOf"}:
        return [schema]
    return [each for branch in schema["anyOf"] for each in branches(branch)]


def types_of(schema: JsonSchema) -> set[str] | None:
    """Types that a value may have; None when it may have any."""
    kind = schema.get("type")
    if kind is None:
        return None
    names = {kind} if isinstance(kind, str) else set(kind)
    return names | {"integer"} if "number" in names else names


def values_of(schema: JsonSchema) -> list[str] | None:
    """The only values that are allowed, as JSON; None when there are more."""
    allowed = [schema["const"]] if "const" in schema else schema.get("enum")
    return None if allowed is None else [encode_json(each).decode() for each in allowed]


def described(schema: JsonSchema) -> str:
    """What a schema accepts, in short words."""
    several = branches(schema)
    if several != [schema]:
        return " or ".join(map(described, several))
    values, kind = values_of(schema), schema.get("type")
    if values is not None:
        return values[0] if len(values) == 1 else f"one of {len(values)} values"
    if kind is None:
        return "a value under a rule" if plain(schema) else "any value"
    return kind if isinstance(kind, str) else " or ".join(kind)
