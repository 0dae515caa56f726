"""Published Avro schemas are found by output, version and fingerprint, or their lack is said."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from fastavro.schema import parse_schema

from pipeline.avro import published as module
from pipeline.avro.published import (
    by_fingerprint,
    fingerprint,
    parsed,
    published,
    published_schemas,
    schema_folder,
    versions,
)
from pipeline.core.contract import CONTRACT_VERSION
from pipeline.core.record import Role
from pipeline.errors import SchemaFileError

FINGERPRINTS: Final = {
    '"null"': "8a8f25cce724dd63",
    '"int"': "8f5c393f1ad57572",
    '"string"': "c70345637248018f",
}
"""Those of Avro's specification, which it prints as numbers, as little-endian bytes."""

NO_SCHEMAS: Final = {
    "{": "x.avsc is no JSON: Expecting",
    '"foo"': "x.avsc has a type that nothing defines: foo",
    "{}": "x.avsc is no Avro schema: 'type' is missing",
    "5": "x.avsc is no Avro schema: a part of it is of the wrong kind",
    '{"type": "record", "name": "a", "fields": 5}': "a part of it is of the wrong kind",
    '{"type": "record"}': 'x.avsc is no Avro schema: "name" is a required field',
    '{"type": "fixed", "name": "a"}': "'size' is missing",
    '{"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}': "decimal scale",
    "9" * 5000: "x.avsc is no Avro schema",
    "[" * 5000: "x.avsc is no Avro schema",
}


@pytest.mark.parametrize("role", [Role.ENRICHED, Role.IDENTIFY])
def test_current_schema_is_published(role: Role) -> None:
    """Each output with an Avro form has a schema of the current version, the last of all."""
    assert versions(role)[-1] == CONTRACT_VERSION
    assert published(role) == published(role, CONTRACT_VERSION)
    assert isinstance(parsed(published(role)), dict)


def test_versions_are_ordered_as_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 10 is newer than version 9."""
    for version in ("10", "9", CONTRACT_VERSION):
        (tmp_path / version).mkdir()
        (tmp_path / version / "track-enriched.avsc").write_text('"null"')
    monkeypatch.setattr(module, "_PLACES", (tmp_path / "absent", tmp_path))
    assert versions(Role.ENRICHED) == (CONTRACT_VERSION, "9", "10")
    assert versions(Role.IDENTIFY) == ()


def test_schemas_that_are_not_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation without its schemas says where it looked."""
    monkeypatch.setattr(module, "_PLACES", (tmp_path,))
    with pytest.raises(SchemaFileError, match="are not installed") as caught:
        schema_folder()
    assert str(tmp_path) in str(caught.value)


def test_schema_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was damaged after the installation is one sentence."""
    folder = tmp_path / CONTRACT_VERSION
    folder.mkdir()
    (folder / "track-enriched.avsc").write_bytes(b"\xff")
    monkeypatch.setattr(module, "_PLACES", (tmp_path,))
    published.cache_clear()
    with pytest.raises(SchemaFileError, match=r"track-enriched.avsc can't be read"):
        published(Role.ENRICHED)


def test_unknown_version_names_those_there_are() -> None:
    """Whoever asks for a version that never was sees which there are."""
    with pytest.raises(SchemaFileError, match=r"version 99 has no track-enriched.avsc .*: 2"):
        published(Role.ENRICHED, "99")


def test_dead_letters_have_no_avro_form() -> None:
    """A dead letter is the raw record, whatever form it has."""
    with pytest.raises(SchemaFileError, match="no Avro form"):
        published(Role.DEAD_LETTER)


@pytest.mark.parametrize("schema", FINGERPRINTS)
def test_fingerprints_are_those_of_the_specification(schema: str) -> None:
    """The bytes are those that follow C3 01 in single-object encoding."""
    assert fingerprint(schema).hex() == FINGERPRINTS[schema]


def test_published_schemas_are_found_by_fingerprint() -> None:
    """A record in single-object encoding names its schema by nothing else."""
    for schema in published_schemas():
        found = by_fingerprint(fingerprint(schema.text))
        assert found is not None
        assert found.role is schema.role
        assert fingerprint(found.text) == fingerprint(schema.text)
    assert by_fingerprint(bytes(8)) is None


def test_parsed_schema_is_what_fastavro_reads() -> None:
    """Parsing it once more changes nothing."""
    schema = parsed(published(Role.ENRICHED))
    assert parse_schema(schema) == schema


@pytest.mark.parametrize("text", NO_SCHEMAS)
def test_text_that_is_no_schema_is_one_sentence(text: str) -> None:
    """Whatever is wrong with a schema, the error names it and says what."""
    with pytest.raises(SchemaFileError) as caught:
        parsed(text, "x.avsc")
    assert NO_SCHEMAS[text] in str(caught.value)
    assert "\n" not in str(caught.value)
