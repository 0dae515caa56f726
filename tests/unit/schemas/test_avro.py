"""The Avro schemas say the same as the JSON Schemas, in types that tables are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from pipeline.avro.published import published, versions
from pipeline.core.enriched_event import OUR_FIELDS
from pipeline.core.money import LIMIT
from pipeline.core.record import Role
from tests.unit.schemas.published import load

ROLES: Final = (Role.ENRICHED, Role.IDENTIFY)
COLUMNS: Final = ("revenue", "currency", "value")
SCHEMAS: Final[dict[Role, Any]] = {role: load(published(role)) for role in ROLES}


def _records(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and value.get("type") == "record":
        yield value
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _records(part)


def _names(record: dict[str, Any]) -> list[str]:
    return [field["name"] for field in record["fields"]]


def test_enriched_events_have_our_fields_in_their_order() -> None:
    """The columns of amounts precede `properties`, and unknown fields are one more field."""
    names = _names(SCHEMAS[Role.ENRICHED])
    assert tuple(name for name in names if name not in {*COLUMNS, "extra"}) == OUR_FIELDS
    first = names.index("properties")
    assert tuple(names[first - 3 : first]) == COLUMNS
    assert names[-2:] == ["extra", "enrichment"]


def test_identify_messages_have_the_same_fields() -> None:
    """An identify message has the fields of an event that it has in JSON, of the same types."""
    types = {field["name"]: field["type"] for field in SCHEMAS[Role.ENRICHED]["fields"]}
    of_identify = {field["name"]: field["type"] for field in SCHEMAS[Role.IDENTIFY]["fields"]}
    left_out = {"event", "properties", "enrichment"}
    assert list(of_identify) == [name for name in OUR_FIELDS if name not in left_out]
    assert of_identify.pop("traits") == "string"
    assert of_identify == {name: types[name] for name in of_identify}


@pytest.mark.parametrize("role", ROLES)
def test_every_record_and_field_is_documented(role: Role) -> None:
    """Catalogues and generated classes show these texts."""
    for record in _records(SCHEMAS[role]):
        assert record["doc"], record["name"]
        for field in record["fields"]:
            assert field["doc"].endswith("."), field["name"]


@pytest.mark.parametrize("role", ROLES)
def test_whatever_may_be_absent_has_a_default(role: Role) -> None:
    """A field can then be removed, or added, without a reader that fails."""
    for record in _records(SCHEMAS[role]):
        for field in record["fields"]:
            if isinstance(field["type"], list):
                assert field["type"][0] == "null", field["name"]
                assert field["default"] is None, field["name"]


def test_amounts_fit_into_their_column() -> None:
    """The column holds every amount that the rules accept, at nine decimals."""
    (_, amount) = next(
        field["type"] for field in SCHEMAS[Role.ENRICHED]["fields"] if field["name"] == "revenue"
    )
    assert amount["logicalType"] == "decimal"
    assert 10 ** (amount["precision"] - amount["scale"]) == LIMIT


def test_names_are_never_versioned() -> None:
    """A reader resolves records by their full name, which therefore stays."""
    names = {role: f"{SCHEMAS[role]['namespace']}.{SCHEMAS[role]['name']}" for role in ROLES}
    assert names == {
        Role.ENRICHED: "track_pipeline.EnrichedTrackEvent",
        Role.IDENTIFY: "track_pipeline.IdentifyMessage",
    }


@pytest.mark.parametrize("role", ROLES)
def test_version_one_had_no_avro_form(role: Role) -> None:
    """Avro starts with version 2 of the contract."""
    assert versions(role)[0] == "2"
