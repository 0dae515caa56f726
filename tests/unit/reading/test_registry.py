"""Schemas of a registry for consumers, seen from the messages that are read with them."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Final

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from pipeline.avro.framing import prefix_of_id
from pipeline.avro.published import published
from pipeline.core.record import Role
from pipeline.reading import (
    RegistryUnavailableError,
    SettingsError,
    UnreadableOutputError,
    read_output,
    registry_schemas,
)
from pipeline.registry.client import RegistryClient
from pipeline.registry.unknown_schemas import UnknownSchemas
from pipeline.settings.groups import RegistrySettings
from tests.unit.avro.event_schemas import PARSED
from tests.unit.avro.written import written
from tests.unit.reading.messages import output, read_track

EVENT: Final = {"event": "Sale", "userId": "u", "properties": {"revenue": 5}}
NOBODY: Final = "http://127.0.0.1:1"
"""An address of loopback at which nothing listens."""


def test_a_registered_schema_is_found_by_its_id() -> None:
    """Each message names the id that the registry has given to the schema."""
    client = SchemaRegistryClient.new_client({"url": "mock://"})
    schemas = RegistryClient(RegistrySettings(url="http://mock"), client)
    text = published(Role.ENRICHED)
    number = client.register_schema("track.enriched-value", Schema(text, "AVRO"))
    body = written(output(EVENT).value or b"", PARSED[Role.ENRICHED])
    event = read_track(prefix_of_id(number) + body, (), schemas)
    assert (event.event, event.revenue) == ("Sale", Decimal(5))


def test_an_id_that_the_registry_lacks_is_named() -> None:
    """Whoever reads with another environment's registry learns of it."""
    client = SchemaRegistryClient.new_client({"url": "mock://"})
    nothing = UnknownSchemas(sleep=lambda _: None)
    schemas = RegistryClient(RegistrySettings(url="http://mock"), client, nothing)
    with pytest.raises(UnreadableOutputError, match="id 99 is unknown: the Schema Registry does"):
        read_output(prefix_of_id(99) + b"ab", (), schemas)


def test_an_id_that_no_registry_gives_is_not_asked_for() -> None:
    """A registry refuses such a question as if its URL were wrong."""
    with pytest.raises(UnreadableOutputError, match="id 4294967295 is unknown: the Schema Reg"):
        read_output(prefix_of_id(2**32 - 1) + b"ab", (), registry_schemas(NOBODY, timeout_s=1))


def test_a_registry_that_does_not_answer_is_another_error() -> None:
    """The message may be fine: whoever reads it tries again later."""
    schemas = registry_schemas(NOBODY, timeout_s=1)
    with pytest.raises(RegistryUnavailableError, match=NOBODY):
        read_output(prefix_of_id(1) + b"ab", (), schemas)


def test_json_is_read_while_no_registry_answers() -> None:
    """Only a message that names an id of the registry needs it."""
    assert read_track(output(EVENT).value or b"", (), registry_schemas(NOBODY)).event == "Sale"


def test_wrong_options_are_named() -> None:
    """A URL that is none, and a file that is not there."""
    with pytest.raises(SettingsError, match=r"^url: is not a URL such as"):
        registry_schemas("localhost")
    with pytest.raises(SettingsError, match=r"ca_file: missing\.pem: can't be read"):
        registry_schemas(NOBODY, ca_file="missing.pem")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what to install."""
    monkeypatch.delitem(sys.modules, "pipeline.registry.consumer_schemas", raising=False)
    monkeypatch.delitem(sys.modules, "pipeline.registry.client")
    monkeypatch.delitem(sys.modules, "pipeline.registry.connection")
    monkeypatch.setitem(sys.modules, "confluent_kafka.schema_registry", None)
    with pytest.raises(SettingsError, match=r'pip install "track-pipeline\[registry\]"'):
        registry_schemas(NOBODY)
