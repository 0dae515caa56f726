"""What commands do while a registry does not answer."""

from __future__ import annotations

import json
from typing import Final
from uuid import UUID

import pytest

from pipeline.avro.framing import prefix_of_id
from pipeline.avro.published import published
from pipeline.avro.schema_source import WriterSchema
from pipeline.core.record import Role
from pipeline.errors import RegistryUnavailableError
from pipeline.registry.patient_schemas import PatientSchemas
from pipeline.settings.model import Settings, load_settings
from pipeline.wiring import formats, output_reader
from tests.fake_registry import Answer, FakeRegistry
from tests.unit.avro.schemas_of_records import body

EVENT: Final = {
    "type": "record",
    "name": "Event",
    "fields": [{"name": "event", "type": "string"}],
}
FOUND: Final = WriterSchema("avro", '"int"')


class _Source:
    """Gives no answer for so many questions."""

    def __init__(self, failures: int) -> None:
        self.failures, self.asked = failures, 0

    def by_id(self, _schema_id: int) -> WriterSchema | None:
        self.asked += 1
        if self.asked <= self.failures:
            raise RegistryUnavailableError("the registry does not answer")
        return FOUND

    def by_guid(self, _guid: UUID) -> WriterSchema | None:
        return self.by_id(0)


def _settings(server: FakeRegistry) -> Settings:
    flags = {"input.format": "auto", "schema_registry.url": server.url}
    return load_settings(None, flags, {})


@pytest.mark.parametrize("question", ["id", "guid"])
def test_one_lost_request_is_repeated(question: str) -> None:
    """The wait is announced, and so is its end."""
    source, told = _Source(1), list[str]()
    schemas = PatientSchemas(source, "the registry", 30, told.append)
    found = schemas.by_id(7) if question == "id" else schemas.by_guid(UUID(int=7))
    assert (found, source.asked) == (FOUND, 2)
    assert told[0].startswith("the registry does not answer; trying again for another ")
    assert told[1].startswith("the registry answers now, after ")


def test_the_wait_for_a_registry_that_is_down_ends() -> None:
    """What is wrong is raised, with how long the registry was asked."""
    source, told = _Source(1_000_000), list[str]()
    schemas = PatientSchemas(source, "the registry", 2, told.append)
    with pytest.raises(RegistryUnavailableError, match=r"does not answer \(tried for 2 s\)"):
        schemas.by_id(7)
    assert source.asked > 1
    assert told


def test_commands_read_raw_records_when_the_registry_is_back(server: FakeRegistry) -> None:
    """A framed record is read with the schema that was asked for again."""
    number = server.register("raw", {"schema": json.dumps(EVENT)})
    server.fail(Answer(503))
    read = formats(_settings(server), lambda _: server.fail(), writes=False).read
    assert read is not None
    assert read(prefix_of_id(number) + body(EVENT, {"event": "Sale"}), ()) == b'{"event":"Sale"}'


def test_commands_read_outputs_when_the_registry_is_back(server: FakeRegistry) -> None:
    """An output is read with the schema that was asked for again."""
    number = server.register("enriched", {"schema": published(Role.ENRICHED)})
    server.fail(Answer(503))
    reader = output_reader(_settings(server), lambda _: server.fail())
    output = reader.avro(prefix_of_id(number) + b"payload", ())
    assert output is not None
    assert output.payload == b"payload"
