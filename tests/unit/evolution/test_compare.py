"""Versions, folders and files of schemas are found and compared, or their lack is said."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from pipeline.errors import SchemaFileError
from pipeline.evolution.change import Compatibility
from pipeline.evolution.compare import compare_schemas
from tests.unit.avro.next_versions import COMPATIBLE, INCOMPATIBLE
from tests.unit.schemas.published import FOLDER

ENRICHED: Final = "track-enriched.avsc"
PUBLISHED: Final = FOLDER / "2" / ENRICHED


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A next version of the published schema, in a folder of its own."""
    path = tmp_path / ENRICHED
    path.write_text(INCOMPATIBLE["field renamed"].text)
    return path


def test_versions_are_compared_schema_by_schema() -> None:
    """Each schema of both versions is compared; those of one alone are named."""
    found = compare_schemas("1", "2")
    names = [each.name for each in found.differences]
    assert names == ["batch.json", "enriched.json", "identify.json", "raw.json"]
    assert found.added == (ENRICHED, "track-identify.avsc")
    assert found.removed == ()
    assert not found.is_compatible


def test_lost_schema_is_not_compatible() -> None:
    """Who read the schemas of a version finds none of them in another one."""
    found = compare_schemas("2", "1")
    assert found.removed == (ENRICHED, "track-identify.avsc")
    assert not found.is_compatible


def test_version_is_compatible_with_itself() -> None:
    """Nothing differs from itself."""
    found = compare_schemas("2", "2")
    assert found.is_compatible
    assert [each.changes for each in found.differences] == [()] * 6


@pytest.mark.parametrize("kind", ["avsc", "json"])
def test_file_that_is_no_schema_is_called_by_its_own_name(kind: str, tmp_path: Path) -> None:
    """Two files may have two names: the sentence has that of the broken one."""
    former, later = tmp_path / f"former.{kind}", tmp_path / f"later.{kind}"
    former.write_text("{")
    later.write_text('{"type": "string"}')
    with pytest.raises(SchemaFileError, match=rf"the old former\.{kind} is no JSON"):
        compare_schemas(str(former), str(later))
    with pytest.raises(SchemaFileError, match=rf"the new former\.{kind} is no JSON"):
        compare_schemas(str(later), str(former))


def test_file_is_compared_with_the_file_of_the_same_name(changed: Path) -> None:
    """A version stands for its file of the same name, on either side."""
    there, back = compare_schemas("2", str(changed)), compare_schemas(str(changed), "2")
    assert [each.name for each in (*there.differences, *back.differences)] == [ENRICHED] * 2
    assert there.differences[0].new_reader == back.differences[0].old_reader
    assert not there.added
    assert not there.removed


def test_two_files_may_have_any_names(tmp_path: Path) -> None:
    """Whoever names two files means these two."""
    other = tmp_path / "other.avsc"
    other.write_text(COMPATIBLE["field added"].text)
    found = compare_schemas(str(PUBLISHED), str(other))
    assert found.differences[0].compatibility is Compatibility.FULL
    assert found.is_compatible


def test_folders_are_compared_as_versions_are(changed: Path) -> None:
    """A folder of schemas may be someone else's."""
    found = compare_schemas(str(FOLDER / "2"), str(changed.parent))
    assert [each.name for each in found.differences] == [ENRICHED]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1", "9", "there is no contract version 9: there are 1, 2"),
        ("1", "nine", "nine is neither a contract version nor a file of a schema"),
        ("1", str(PUBLISHED), "1 has no track-enriched.avsc: it has batch.json, "),
        ("2", "absent.json", "2 has no absent.json"),
        ("absent.avsc", str(PUBLISHED), "cannot read absent.avsc: No such file"),
        (str(FOLDER / "1" / "raw.json"), str(PUBLISHED), "one is Avro, one JSON Schema"),
        (str(FOLDER / "source"), "2", "has no schemas"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(old: str, new: str, message: str) -> None:
    """The error names what was given, and what there is instead."""
    with pytest.raises(SchemaFileError) as caught:
        compare_schemas(old, new)
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff", b"{", b"5", b"[" * 100_000])
@pytest.mark.parametrize("suffix", [".avsc", ".json"])
def test_file_that_is_no_schema_is_one_sentence(
    content: bytes, suffix: str, tmp_path: Path
) -> None:
    """A broken file is named, whatever is in it."""
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(SchemaFileError, match="broken") as caught:
        compare_schemas(str(path), str(path))
    assert "\n" not in str(caught.value)
