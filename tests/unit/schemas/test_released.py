"""A released version of the schemas never changes: readers of its records rely on it."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from pipeline.core.contract import CONTRACT_VERSION
from schemas import publish as module
from schemas.publish import SUMS, ReleasedSchemaError, publish, release, released
from tests.unit.schemas.published import FOLDER

CHANGELOG: Final = (FOLDER.parent / "CHANGELOG.md").read_text("utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the published schemas."""
    for version in FOLDER.glob("[0-9]*"):
        shutil.copytree(version, tmp_path / version.name)
    shutil.copy(FOLDER / SUMS, tmp_path)
    return tmp_path


def _sums(folder: Path) -> dict[str, str]:
    return {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("[0-9]*/*")
    }


def _change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Change a rule, as far as the schemas are concerned."""
    made = module.documents() | {"raw.json": b"{}\n"}
    monkeypatch.setattr(module, "documents", lambda: made)


def _released_contracts(changelog: str) -> set[str]:
    """Contract versions that the changelog describes below the heading of a release."""
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    final = "".join(section for section in sections if not section.startswith("[Unreleased]"))
    return set(re.findall(r"^### Contract version (\d+)", final, re.MULTILINE))


def test_released_schemas_never_change() -> None:
    """A version that was released stays as it was, file by file; the current one may not be."""
    current, sums = f"{CONTRACT_VERSION}/", released()
    found = _sums(FOLDER)
    is_released = any(path.startswith(current) for path in sums)
    final = {path: each for path, each in found.items() if is_released or current not in path}
    assert final == sums


def test_contract_of_a_release_is_final() -> None:
    """When the changelog gets the heading of a release, `make schemas ARGS=--release` is due."""
    versions = {path.partition("/")[0] for path in released()}
    assert _released_contracts(CHANGELOG) <= versions
    after = CHANGELOG.replace("## [Unreleased]", "## [0.1.0] - 2027-01-01")
    assert CONTRACT_VERSION in _released_contracts(after)


def test_version_in_the_making_is_written_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as a version is not released, its schemas follow the rules."""
    _change(monkeypatch)
    publish(folder)
    assert (folder / CONTRACT_VERSION / "raw.json").read_bytes() == b"{}\n"


def test_released_version_is_not_written_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed rule needs a raised version; nothing is written before."""
    release(folder)
    assert released(folder) == _sums(folder)
    publish(folder)
    _change(monkeypatch)
    before = _sums(folder)
    with pytest.raises(ReleasedSchemaError, match=r"schemas/2/raw.json .* raise CONTRACT_VERSION"):
        publish(folder)
    assert _sums(folder) == before


def test_raised_version_gets_files_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schemas of a new version lie beside the old ones, which stay."""
    release(folder)
    before = _sums(folder)
    _change(monkeypatch)
    monkeypatch.setattr(module, "CONTRACT_VERSION", "99")
    release(folder)
    after = _sums(folder)
    assert {path: each for path, each in after.items() if not path.startswith("99/")} == before
    assert released(folder) == after
