"""Sources of settings: a TOML file, the environment, flags.

Each source is read into assignments (path → value and source) and problems. Nothing raises: a typo
in the file must not hide a wrong variable, so all problems are reported at once.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from pipeline.compiled.choice import VARIABLE as CORE_VARIABLE
from pipeline.core.json_value import JsonValue
from pipeline.settings.client_values import named_by_variable
from pipeline.settings.kubernetes_services import (
    HINT,
    is_named_like_service_variable,
    is_service_variable,
)
from pipeline.settings.names import (
    PREFIX,
    FieldKind,
    Leaf,
    allowed,
    flag_of,
    group_of,
    item_of,
    leaves,
    nearest,
    variable_of,
)

NOT_OURS: Final = "TRACK_TEST_"
"""Prefix of the variables of the tests, which are not settings."""
_BEFORE_SETTINGS: Final = frozenset({CORE_VARIABLE})
"""Variables that are read before there are settings."""
FILE_SUFFIX: Final = "_FILE"
ENDS_IN_FILE: Final = frozenset(
    {
        "sasl.oauthbearer.assertion.file",
        "sasl.oauthbearer.assertion.private.key.file",
        "sasl.oauthbearer.assertion.jwt.template.file",
    }
)
"""librdkafka properties whose own names end like this. Their variables hold the path itself."""
_USUAL_PROPERTIES: Final = (
    "bootstrap.servers",
    "security.protocol",
    "sasl.mechanism",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
)
_POSITION = re.compile(r" \(at (.*)\)$")

NamePath = tuple[str, ...]


class Assigned(NamedTuple):
    """A value and its source."""

    value: Any
    source: str


class Layers:
    """Assignments of all sources; a later source overrides an earlier one, setting by setting."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model
        self._leaves = {leaf.path: leaf for leaf in leaves(model)}
        self._names = {*model.model_fields, *(leaf.name for leaf in self._leaves.values())}
        self.assigned: dict[NamePath, Assigned] = {}
        self.problems: list[str] = []

    def add_file(self, file: Path) -> None:
        """Read a TOML file."""
        try:
            table = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
        except OSError as error:
            self.problems.append(f"{file}: can't be read: {error.strerror or error}")
        except UnicodeDecodeError as error:
            self.problems.append(f"{file}: not TOML: not UTF-8 text at byte {error.start}")
        except tomllib.TOMLDecodeError as error:
            text = str(error)
            where = _POSITION.search(text)
            position = f" at {where[1]}" if where else ""
            self.problems.append(f"{file}: not TOML{position}: {_POSITION.sub('', text)}")
        else:
            self._add_table(table, self._model, (), str(file))

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Read the variables `TRACK_…`; an empty one counts as unset."""
        for variable, text in sorted(environ.items()):
            if not variable.startswith(PREFIX) or variable.startswith(NOT_OURS) or not text:
                continue
            if variable in _BEFORE_SETTINGS or is_service_variable(variable, text):
                continue
            if is_named_like_service_variable(variable):
                self.problems.append(f"{variable}: {HINT}")
                continue
            if self._add_variable(variable, text, variable):
                continue
            plain = variable.removesuffix(FILE_SUFFIX)
            if plain == variable or not self._is_known(plain):
                hint = nearest(variable, self._variables())
                self.problems.append(f"{variable}: no setting has this variable{hint}")
            elif environ.get(plain):
                self.problems.append(f"{variable}: {plain} is set too; set only one of them")
            else:
                self._add_secret_file(variable, plain, text)

    def add_flags(self, flags: Mapping[str, object]) -> None:
        """Read the flags of the command line: dotted name → value, None for one not given."""
        for name, value in flags.items():
            if value is None:
                continue
            path, leaf = self._find(name)
            if leaf is None:
                self._unknown(flag_of(name), name, self._names)
            else:
                self._assign(leaf, path, value, flag_of(name))

    def _find(self, name: str) -> tuple[NamePath, Leaf | None]:
        """Path of a dotted name; for a client property, its table and its own name."""
        first, _, rest = name.partition(".")
        leaf = self._leaves.get((first,))
        if rest and leaf is not None and leaf.is_map:
            return (first, rest), leaf
        path = tuple(name.split("."))
        return path, self._leaves.get(path)

    def _add_table(
        self, table: Mapping[str, Any], model: type[BaseModel], prefix: NamePath, source: str
    ) -> None:
        for key, value in table.items():
            path = (*prefix, key)
            field = model.model_fields.get(key)
            if field is None:
                self._unknown(source, ".".join(path), self._names)
            elif (group := group_of(field)) is None:
                self._assign(self._leaves[path], path, value, source)
            elif isinstance(value, dict):
                self._add_table(value, group, path, source)
            else:
                self._report(source, ".".join(path), "is not a table", "a table of settings")

    def _add_variable(self, variable: str, text: str, source: str) -> bool:
        """Read a variable of a setting, a group or a client property; False when it is none."""
        for leaf in self._leaves.values():
            if variable == leaf.variable:
                self._assign_text(leaf, text, source)
                return True
            if leaf.is_map and variable.startswith(f"{leaf.variable}_"):
                name = named_by_variable(variable.removeprefix(leaf.variable).strip("_").lower())
                if variable.endswith(FILE_SUFFIX) and name not in ENDS_IN_FILE:
                    return False
                self._assign(leaf, (*leaf.path, name), text, source)
                return True
        return self._add_group(variable, text, source)

    def _add_group(self, variable: str, text: str, source: str) -> bool:
        for name, field in self._model.model_fields.items():
            group = group_of(field)
            if group is not None and variable == variable_of(name):
                value = self._json(name, text, source, dict, "a table of settings")
                if isinstance(value, dict):
                    self._add_table(value, group, (name,), source)
                return True
        return False

    def _add_secret_file(self, variable: str, plain: str, file: str) -> None:
        try:
            text = Path(file).read_text("utf-8-sig").rstrip("\r\n")
        except OSError as error:
            self.problems.append(f"{variable}: {file}: can't be read: {error.strerror or error}")
        except UnicodeDecodeError:
            self.problems.append(f"{variable}: {file}: not UTF-8 text")
        else:
            if text:
                self._add_variable(plain, text, f"{variable} ({file})")
            else:
                self.problems.append(f"{variable}: {file}: is empty")

    def _is_known(self, variable: str) -> bool:
        known = self._leaves.values()
        names = {leaf.variable for leaf in known} | set(map(variable_of, self._model.model_fields))
        maps = tuple(f"{leaf.variable}_" for leaf in known if leaf.is_map)
        return variable in names or variable.startswith(maps)

    def _variables(self) -> list[str]:
        names = [leaf.variable for leaf in self._leaves.values()]
        usual = [f"kafka.{name}".replace(".", "_").upper() for name in _USUAL_PROPERTIES]
        return names + [PREFIX + name for name in usual]

    def _assign_text(self, leaf: Leaf, text: str, source: str) -> None:
        if leaf.is_plain:
            self._assign(leaf, leaf.path, text, source)
            return
        kind: type[Any] = dict if leaf.kind is FieldKind.TABLE else list
        value = self._json(leaf.name, text, source, kind, allowed(leaf.field))
        if value is not None:
            self._assign(leaf, leaf.path, value, source)

    def _json(self, name: str, text: str, source: str, kind: type[Any], expected: str) -> JsonValue:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if isinstance(value, kind):
            return value
        self._report(source, name, "is not such a JSON value", f"{expected}, as JSON")
        return None

    def _assign(self, leaf: Leaf, path: NamePath, value: JsonValue, source: str) -> None:
        if leaf.is_map and isinstance(value, dict):
            # In TOML, `bootstrap.servers = …` without quotes is a nested table. Join it again.
            for key, inner in value.items():
                name = (leaf.name, ".".join((*path[1:], key)))
                self._assign(leaf, name, inner, source)
        elif leaf.is_map and len(path) == 1:
            self._report(source, leaf.name, "is not a table", allowed(leaf.field))
        elif isinstance(value, bool) and leaf.kind in {FieldKind.SCALAR, FieldKind.LIST}:
            # pydantic would read true as 1.
            self._report(source, leaf.name, f"{str(value).lower()} is invalid", allowed(leaf.field))
        else:
            self._check_items(leaf, value, source)
            self.assigned[path] = Assigned(value, source)

    def _check_items(self, leaf: Leaf, value: JsonValue, source: str) -> None:
        """Report unknown keys in a list of tables."""
        item = item_of(leaf.field)
        if item is None or not isinstance(value, list):
            return
        for index, table in enumerate(value):
            for key in table if isinstance(table, dict) else ():
                if key not in item.model_fields:
                    place = f"{leaf.name}[{index}]."
                    self._unknown(source, place + key, [place + name for name in item.model_fields])

    def _unknown(self, source: str, name: str, valid: Iterable[str]) -> None:
        self.problems.append(f"{source}: {name}: there is no such setting{nearest(name, valid)}")

    def _report(self, source: str, name: str, wrong: str, expected: str) -> None:
        self.problems.append(f"{source}: {name}: {wrong}; allowed: {expected}")
