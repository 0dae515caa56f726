"""The schemas as they lie in `schemas/`, and a validator that takes numbers as they are."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator, TypeChecker
from jsonschema.validators import extend

from pipeline.core.contract import CONTRACT_VERSION
from schemas.source.document import NAMES

FOLDER: Final = Path(__file__).parents[3] / "schemas"
EXAMPLES: Final = FOLDER / "examples"


def load(text: str | bytes) -> Any:
    """Decode JSON; numbers keep their value, as int or Decimal."""
    return json.loads(text, parse_float=Decimal)


def _is_integer(_checker: TypeChecker, value: Any) -> bool:
    """To JSON Schema 1.0 is an integer; the package says so of floats alone."""
    if isinstance(value, Decimal):
        return value == value.to_integral_value()
    return isinstance(value, int) and not isinstance(value, bool)


_Exact: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)

TEXTS: Final = {name: (FOLDER / CONTRACT_VERSION / f"{name}.json").read_bytes() for name in NAMES}


@cache
def _exact(name: str, version: str = CONTRACT_VERSION) -> Draft202012Validator:
    return _Exact(load((FOLDER / version / f"{name}.json").read_bytes()))


_COMMON: Final = {name: Draft202012Validator(json.loads(text)) for name, text in TEXTS.items()}


def accepts(name: str, document: Any) -> bool:
    """Whether the published schema accepts a document that `load` has read."""
    return _exact(name).is_valid(document)


def accepts_with_floats(name: str, text: bytes) -> bool:
    """The same in common use: schema and document read with numbers as floats."""
    return _COMMON[name].is_valid(json.loads(text))


def faults(name: str, value: bytes | None, version: str = CONTRACT_VERSION) -> list[str]:
    """What a published schema has against an output; empty when it accepts it."""
    return [
        f"{error.json_path}: {error.message}"
        for error in _exact(name, version).iter_errors(load(value or b""))
    ]
