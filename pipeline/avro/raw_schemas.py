"""Schemas of raw records: parsed, and made into readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pipeline.avro.event_json import EVENT, IDENTIFY
from pipeline.avro.json_reader import JsonReader, UnreadableSchemaError
from pipeline.avro.published import AvroSchema, fingerprint, parsed
from pipeline.avro.schema_source import WriterSchema
from pipeline.core.decode import too_deep
from pipeline.errors import SchemaFileError, SettingsError

_MAX_DEPTH: Final = 256
"""Levels of brackets in the text of a schema; parsing takes several calls for each."""
_MALFORMED: Final = (AttributeError, KeyError, TypeError, ValueError)
"""What a schema leads to that says that fastavro has parsed it, which then does not look at it."""
_OURS: Final = frozenset({f"track_pipeline.{EVENT}", f"track_pipeline.{IDENTIFY}"})


def avro_reader(schema: WriterSchema, name: str, max_text: int) -> JsonReader:
    """Make the reader of an Avro schema, which sentences call by `name`.

    Raises:
        SchemaFileError: Its records can't be read.
    """
    types: dict[str, Any] = {}
    for reference, text in schema.references:
        _parse(text, f"{reference}, to which {name} refers,", types)
    root = _parse(schema.text, name, types)
    if isinstance(root, dict) and root.get("name") in _OURS:
        raise SchemaFileError(output_as_input(name))
    try:
        return JsonReader(root, types, max_text)
    except UnreadableSchemaError as error:
        raise SchemaFileError(f"records of {name} can't be read: {error}") from None
    except RecursionError:
        raise SchemaFileError(f"records of {name} can't be read: it is too deep") from None
    except _MALFORMED as error:
        raise SchemaFileError(
            f"{name} is no Avro schema: a part of it is missing or of the wrong kind ({error})"
        ) from None


def output_as_input(name: str) -> str:
    """Sentence on a record of an output topic that was read as a raw one."""
    return f"{name} is that of an enriched event or identify message, which is no raw event"


def _parse(text: str, name: str, types: dict[str, Any]) -> AvroSchema:
    if too_deep(text.encode(errors="replace"), _MAX_DEPTH):  # a registry may send half a pair
        raise SchemaFileError(f"{name} is nested deeper than {_MAX_DEPTH} levels")
    return parsed(text, name, types)


def read_folder(folder: str, max_text: int) -> dict[bytes, JsonReader]:
    """Readers of all schema files of a folder (*.avsc), by fingerprint.

    Raises:
        SettingsError: Says what is wrong with each file that can't be used.
    """
    files = sorted(Path(folder).glob("*.avsc"))
    problems = [] if files else [f"input.schemas: {folder} is no folder with files *.avsc"]
    found: dict[bytes, _SchemaFile] = {}
    for path in files:
        try:
            file = _SchemaFile(path, max_text)
        except (OSError, UnicodeDecodeError, SchemaFileError) as error:
            problems.append(f"input.schemas: {_sentence(path, error)}")
            continue
        other = found.setdefault(file.fingerprint, file)
        if other.schema != file.schema:
            problems.append(
                f"input.schemas: {other.path} and {path} have the same fingerprint, so a record "
                "does not say which of them it was written with: keep one of them"
            )
    if problems:
        raise SettingsError(problems)
    return {file.fingerprint: file.reader for file in found.values()}


class _SchemaFile:
    """One schema file, read."""

    def __init__(self, path: Path, max_text: int) -> None:
        text = path.read_text("utf-8")
        self.path = path
        self.reader = avro_reader(WriterSchema("avro", text), str(path), max_text)
        self.schema = json.loads(text)
        self.fingerprint = fingerprint(text)


def _sentence(path: Path, error: Exception) -> str:
    return str(error) if isinstance(error, SchemaFileError) else f"{path} can't be read: {error}"
