"""Compares two contract versions, or two files of schemas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.avro.published import schema_folder
from pipeline.errors import SchemaFileError
from pipeline.evolution.avro_changes import avro_difference
from pipeline.evolution.change import Compatibility, SchemaDifference
from pipeline.evolution.json_changes import json_difference

_Compare = Callable[[str, str, str, str], SchemaDifference]
_COMPARE: Final[dict[str, _Compare]] = {".avsc": avro_difference, ".json": json_difference}
"""How files are compared, by suffix."""


class SchemaComparison(NamedTuple):
    """What differs between two contract versions, or two files."""

    old: str
    new: str
    differences: tuple[SchemaDifference, ...]
    """One for each schema that both have."""
    added: tuple[str, ...] = ()
    """Names of the schemas that only the new version has."""
    removed: tuple[str, ...] = ()
    """Names of the schemas that only the old version has."""

    @property
    def is_compatible(self) -> bool:
        """Whether readers of either version read all data of the other."""
        kept = all(each.compatibility is Compatibility.FULL for each in self.differences)
        return kept and not self.removed

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "old": self.old,
            "new": self.new,
            "compatible": self.is_compatible,
            "schemas": [each.to_dict() for each in self.differences],
            "added": list(self.added),
            "removed": list(self.removed),
        }


def compare_schemas(old: str, new: str) -> SchemaComparison:
    """Compare two contract versions (`1`), folders, or files (`*.avsc`, `*.json`).

    A version that is compared with a file is its file of the same name.

    Raises:
        SchemaFileError: There is no such version or file, or a file is no schema.
    """
    before, after = _files(old), _files(new)
    if len(before) == len(after) == 1:  # two files, whatever their names
        (former,), (later,) = before.values(), after.values()
        return SchemaComparison(old, new, (_difference(former, later),))
    for named, others, whole in ((before, after, new), (after, before, old)):
        if len(named) == 1 and not named.keys() & others.keys():
            raise SchemaFileError(
                f"{whole} has no {', '.join(named)}: it has {', '.join(sorted(others))}"
            )
    names = before.keys() & after.keys()
    is_whole = len(before) > 1 and len(after) > 1
    return SchemaComparison(
        old,
        new,
        tuple(_difference(before[name], after[name]) for name in sorted(names)),
        added=tuple(sorted(after.keys() - names)) if is_whole else (),
        removed=tuple(sorted(before.keys() - names)) if is_whole else (),
    )


def _files(named: str) -> dict[str, Path]:
    """The files of a version, or the file of a path, by name."""
    path = Path(named)
    if named.isdecimal():
        folder = schema_folder()
        if not (folder / named).is_dir():
            known = sorted((each.name for each in folder.glob("[0-9]*")), key=int)
            raise SchemaFileError(
                f"there is no contract version {named}: there are {', '.join(known)}"
            )
        path = folder / named
    if path.is_dir():
        found = {each.name: each for each in path.iterdir() if each.suffix in _COMPARE}
        if not found:
            raise SchemaFileError(f"{named} has no schemas (*.avsc, *.json)")
        return found
    if path.suffix not in _COMPARE:
        raise SchemaFileError(
            f"{named} is neither a contract version nor a file of a schema (*.avsc, *.json)"
        )
    return {path.name: path}


def _difference(old: Path, new: Path) -> SchemaDifference:
    if old.suffix != new.suffix:
        raise SchemaFileError(f"{old} and {new} are of two kinds: one is Avro, one JSON Schema")
    return _COMPARE[old.suffix](_text(old), _text(new), new.name, old.name)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise SchemaFileError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SchemaFileError(f"{path} is not UTF-8 text: {error}") from error
