"""Documents of each version of the JSON Schemas are still read under the later ones.

JSON has no resolution rules: a reader takes the fields that it knows, and ignores the others. So
"compatible" means that a document which an earlier version wrote is accepted by the later schema,
and that what differs is known, field by field.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from pipeline.core.record import Role
from pipeline.evolution.compare import compare_schemas
from tests.oracle.cores import version_1
from tests.oracle.corpus import Case, files, generated, values
from tests.unit.schemas.published import FOLDER, load

NAMES: Final = {Role.ENRICHED: "enriched", Role.IDENTIFY: "identify"}
NO_CURRENCIES: Final = ("XTS", "XXX")
"""Codes that version 1 accepted beside a revenue, and version 2 does not."""
NEW_READER: Final = {"enriched.json": ("properties.currency",), "identify.json": ()}
"""Fields of documents of version 1 that version 2 may not accept."""
OLD_READER: Final = {
    "enriched.json": ("properties.value", "enrichment.unreadable", "enrichment.warnings[]"),
    "identify.json": (),
}
"""Fields of documents of version 2 that version 1 does not know."""


def _schema(version: str, role: Role) -> Draft202012Validator:
    text = (FOLDER / version / f"{NAMES[role]}.json").read_bytes()
    return Draft202012Validator(load(text))


SCHEMAS: Final = {(version, role): _schema(version, role) for version in "12" for role in NAMES}


def _cases() -> Iterator[Case]:
    """Records under default settings, which are what the schemas assume."""
    for case in chain(values(), files(), generated(15, 100)):
        yield case._replace(settings={"identify": [{"event": "*"}]})


@pytest.fixture(scope="module")
def written() -> list[tuple[Role, Any]]:
    """What version 1 has made of the examples, the table of values and generated events."""
    return [
        (Role(output.role), load(output.value))
        for case in _cases()
        for output in version_1(case)
        if output.role in NAMES
    ]


def test_version_one_wrote_what_its_schemas_say(written: list[tuple[Role, Any]]) -> None:
    """The documents are those of version 1, as far as its schemas can tell."""
    assert len(written) > 500
    assert {role for role, _ in written} == set(NAMES)
    for role, document in written:
        assert SCHEMAS["1", role].is_valid(document), document


def test_documents_of_version_one_are_accepted_by_version_two(
    written: list[tuple[Role, Any]],
) -> None:
    """A reader that follows the schemas of version 2 reads what version 1 has written.

    Apart from two codes of ISO 4217 that stand for no currency.
    """
    for role, document in written:
        currency = document.get("properties", {}).get("currency")
        assert SCHEMAS["2", role].is_valid(document) or currency in NO_CURRENCIES, document


def test_what_differs_between_the_versions_is_known() -> None:
    """The comparison finds for whom version 2 is another one, and nothing else."""
    found = {each.name: each for each in compare_schemas("1", "2").differences}
    for name, fields in NEW_READER.items():
        assert found[name].new_reader == fields
        assert found[name].old_reader == OLD_READER[name]
