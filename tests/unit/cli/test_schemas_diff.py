"""`track-pipeline schemas diff`: what changes for a reader, for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from pipeline.cli.schemas.diff import print_comparison
from pipeline.errors import ExitCode
from pipeline.evolution.compare import compare_schemas
from tests.unit.avro.next_versions import COMPATIBLE, INCOMPATIBLE
from tests.unit.cli.program import run
from tests.unit.cli.terminal import as_terminal
from tests.unit.schemas.published import FOLDER

PUBLISHED: Final = FOLDER / "2" / "track-enriched.avsc"
RENAMED: Final = """\
next.avsc: NONE
    no reader of one version reads all data of the other
field      change   what
id         added    string, required: older data can't be read without it
messageId  removed  string, required: newer data can't be read without it
new readers can't read in old data:
    id: not written, and the reader has no default for it
old readers can't read in new data:
    messageId: not written, and the reader has no default for it
"""


@pytest.fixture
def renamed(tmp_path: Path) -> Path:
    """A next version in which a field has another name."""
    path = tmp_path / "next.avsc"
    path.write_text(INCOMPATIBLE["field renamed"].text)
    return path


def test_incompatible_change_is_explained(renamed: Path) -> None:
    """Text for people says what changed and who can't read what; exit 1."""
    ran = run("schemas", "diff", PUBLISHED, renamed)
    assert ran.out.decode() == RENAMED
    assert ran.code == ExitCode.DIFFERENCE


def test_compatible_change_ends_with_zero(tmp_path: Path) -> None:
    """Readers need not do anything: exit 0."""
    path = tmp_path / "next.avsc"
    path.write_text(COMPATIBLE["field added"].text)
    ran = run("schemas", "diff", PUBLISHED, path)
    assert ran.out.decode().splitlines() == [
        "next.avsc: FULL",
        "    readers of either version read the data of both",
        "field    change  what",
        "country  added   null or string, optional: null in older data",
    ]
    assert ran.code == ExitCode.OK


def test_description_alone_is_only_named(tmp_path: Path) -> None:
    """The text names the field; the description itself is in the document for machines."""
    path = tmp_path / "next.avsc"
    path.write_text(COMPATIBLE["description changed"].text)
    lines = run("schemas", "diff", PUBLISHED, path).out.decode().splitlines()
    assert lines[2:] == ["other descriptions:", "    event"]


def test_document_for_machines_says_the_same(renamed: Path) -> None:
    """The JSON document has every change and every problem."""
    ran = run("schemas", "diff", PUBLISHED, renamed, "--json")
    document = json.loads(ran.out)
    (schema,) = document["schemas"]
    assert document["compatible"] is False
    assert schema["compatibility"] == "NONE"
    assert [each["field"] for each in schema["changes"]] == ["id", "messageId"]
    assert schema["newReader"] == ["id: not written, and the reader has no default for it"]
    assert ran.code == ExitCode.DIFFERENCE


def test_versions_fit_into_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that differs between two versions is shown in 80 columns, nothing left out."""
    terminal = as_terminal(monkeypatch, 80)
    print_comparison(compare_schemas("1", "2"))
    lines = terminal.lines()
    assert max(map(len, lines)) <= 80
    assert {"enriched.json: NONE", "identify.json: FULL"} <= set(lines)
    assert "only in NEW: track-enriched.avsc, track-identify.avsc" in lines
    assert not [line for line in lines if "left out" in line]


def test_same_version_changes_nothing() -> None:
    """Every schema is listed, so that it is seen what was compared."""
    ran = run("schemas", "diff", "2", "2")
    assert ran.out.decode().count("nothing changes for a reader") == 6
    assert ran.code == ExitCode.OK


def test_unknown_version_is_one_sentence() -> None:
    """Nothing is compared with what is not there: exit 2."""
    ran = run("schemas", "diff", "1", "9")
    assert ran.err == "track-pipeline: there is no contract version 9: there are 1, 2\n"
    assert ran.code == ExitCode.USAGE


def test_names_in_a_file_cannot_drive_the_terminal(tmp_path: Path) -> None:
    """Whatever a file has for names and texts is escaped."""
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    paths[0].write_text("{}")
    hostile = {"\x1b[2J\u202e\n": {"const": "\x1b[31m"}}
    paths[1].write_text(json.dumps({"properties": hostile}))
    out = run("schemas", "diff", *paths).out.decode()
    assert "\x1b" not in out
    assert "\u202e" not in out
