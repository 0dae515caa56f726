"""Every version of the Avro schemas reads, and is read by, every other one."""

from __future__ import annotations

import hashlib
import io
from itertools import permutations, product
from typing import Any, Final

import fastavro
import pytest
from fastavro.read import SchemaResolutionError

from pipeline.avro.difference import incompatibilities
from pipeline.avro.encoder import event_writer
from pipeline.avro.published import AVRO_FILES, published, versions
from pipeline.core.contract import CONTRACT_VERSION, ContractSettings
from pipeline.core.formats import Formats, OutputForm
from pipeline.core.process import Processor
from pipeline.core.record import Role
from tests.support import IDENTITY, NOW, raw
from tests.unit.avro.encoding import written_by_fastavro
from tests.unit.avro.golden import (
    FOLDER,
    IDENTIFY_RULES,
    file_of,
    golden_records,
    made,
    schema_of,
    sent,
)
from tests.unit.avro.next_versions import COMPATIBLE, INCOMPATIBLE, OTHER_MEANING, NextVersion

EARLIER: Final[dict[str, str]] = {}
"""SHA-256 of the golden records of each earlier version, by path."""
ALL: Final = [(role, version) for role in AVRO_FILES for version in versions(role)]
PAIRS: Final = [
    (role, *pair) for role in AVRO_FILES for pair in product(versions(role), versions(role))
]
MADE_UP: Final = {**COMPATIBLE, **INCOMPATIBLE, **OTHER_MEANING}


def _read(data: bytes, writer: str, reader: str) -> dict[str, Any]:
    source = io.BytesIO(data)
    row = fastavro.schemaless_reader(source, schema_of(writer), schema_of(reader))
    assert source.tell() == len(data)
    assert isinstance(row, dict)
    return row


@pytest.mark.parametrize("role", AVRO_FILES)
def test_all_versions_are_fully_transitively_compatible(role: Role) -> None:
    """What a registry checks at the level FULL_TRANSITIVE, and the meaning of each value."""
    texts = [published(role, version) for version in versions(role)]
    for reader, writer in permutations(texts, 2):
        assert incompatibilities(reader, writer) == []


@pytest.mark.parametrize(("role", "version"), ALL)
def test_every_version_has_golden_records(role: Role, version: str) -> None:
    """A version that is published without them would be tested by nothing later."""
    records = golden_records(role, version)
    assert len({record.example for record in records}) == len(records) > 0


@pytest.mark.parametrize("role", AVRO_FILES)
def test_golden_records_are_what_is_written_now(role: Role) -> None:
    """`python -m tests.unit.avro.golden` writes them anew, as long as the version is current."""
    assert golden_records(role, CONTRACT_VERSION) == list(made(role))


@pytest.mark.parametrize("role", AVRO_FILES)
def test_worker_writes_the_golden_records(role: Role) -> None:
    """The encoder writes for each example what fastavro has written."""
    forms = [OutputForm(event_writer(published(each), b"")) for each in AVRO_FILES]
    settings = ContractSettings.model_validate({"identify": IDENTIFY_RULES})
    enriched, identify = forms
    processor = Processor(settings, IDENTITY, Formats(enriched=enriched, identify=identify))
    for record in golden_records(role, CONTRACT_VERSION):
        outputs = processor.process(raw(sent(record.example)), NOW)
        written = [each.value for each in outputs if each.role is role]
        assert written == [record.data], record.example


def test_golden_records_of_earlier_versions_never_change() -> None:
    """Topics hold what was written then, whatever is written today."""
    paths = {f"{path.parent.name}/{path.name}": path for path in FOLDER.glob("*/*")}
    known = {f"{version}/{file_of(role, version).name}" for role, version in ALL}
    assert set(paths) == known
    earlier = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in paths.items()
        if not name.startswith(f"{CONTRACT_VERSION}/")
    }
    assert earlier == EARLIER


@pytest.mark.parametrize(("role", "reader", "writer"), PAIRS)
def test_golden_records_are_read_by_every_version(role: Role, reader: str, writer: str) -> None:
    """Older and newer readers get the same values, and defaults for what was not written."""
    old, new = published(role, writer), published(role, reader)
    defaults = {field["name"]: field.get("default") for field in schema_of(new)["fields"]}
    for record in golden_records(role, writer):
        row, as_written = _read(record.data, old, new), _read(record.data, old, old)
        assert set(row) == set(defaults)
        for name, default in defaults.items():
            assert row[name] == as_written.get(name, default), (record.example, name)


@pytest.mark.parametrize("name", COMPATIBLE)
def test_golden_records_are_read_across_a_compatible_change(name: str) -> None:
    """A next version reads what this one has written, and this one what the next one writes."""
    here, there = published(Role.ENRICHED), COMPATIBLE[name].text
    for record in golden_records(Role.ENRICHED, CONTRACT_VERSION):
        row, as_written = _read(record.data, here, there), _read(record.data, here, here)
        back = _read(written_by_fastavro(schema_of(there), row), there, here)
        kept = row.keys() & back.keys()
        assert {field: back[field] for field in kept} == {
            field: as_written[field] for field in kept
        }


@pytest.mark.parametrize("name", MADE_UP)
def test_what_a_next_version_breaks_is_named(name: str) -> None:
    """The check of all versions finds every change that a reader could not take."""
    version: NextVersion = MADE_UP[name]
    here, there = published(Role.ENRICHED), version.text
    assert incompatibilities(there, here) == list(filter(None, [version.new_reader]))
    assert incompatibilities(here, there) == list(filter(None, [version.old_reader]))
    assert (name in COMPATIBLE) == (not version.new_reader and not version.old_reader)


@pytest.mark.parametrize("name", [name for name in INCOMPATIBLE if INCOMPATIBLE[name].new_reader])
def test_golden_records_are_not_read_across_a_break(name: str) -> None:
    """The library, too, finds that a record does not fit the changed schema."""
    here, there = published(Role.ENRICHED), INCOMPATIBLE[name].text
    rows = (
        _read(each.data, here, there) for each in golden_records(Role.ENRICHED, CONTRACT_VERSION)
    )
    with pytest.raises(SchemaResolutionError):
        list(rows)
