"""Workers that write Avro, on a real broker, with a real Schema Registry and a small one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import fastavro
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from pipeline.avro.published import fingerprint, published
from pipeline.core.headers import VALUE_SCHEMA_ID
from pipeline.core.record import Role
from pipeline.demo.local_kafka.ports import free_port
from pipeline.errors import ExitCode
from tests.brokers import RECENT, Sent, Stored, produce, read_topic
from tests.fake_registry import Answer, FakeRegistry, fake_registry
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate
from tests.registries import LocalRegistry

pytestmark = pytest.mark.kafka

IDENTIFY: Final = '[{"event": "Signed Up"}]'
AVRO: Final = {"output__format": "avro", "schema_registry__auto_register": "true"}
OTHER_RECORD: Final = (
    '{"type": "record", "name": "EnrichedTrackEvent", "namespace": "track_pipeline", '
    '"fields": [{"name": "event", "type": "string"}]}'
)


def _event(number: int, name: str = "Order Completed") -> Sent:
    event = {
        "type": "track",
        "event": name,
        "messageId": f"m-{number}",
        "userId": f"u-{number}",
        "timestamp": "2026-11-20T12:00:00.250Z",
        "properties": {"revenue": f"{number}.1234567895", "currency": "eur", "nested": [1, {}]},
        "context": {"traits": {"email": "a@example.com"}},
    }
    return Sent(json.dumps(event).encode(), b"k", (), RECENT + number, number % 3)


def _decoded(url: str, topic: str, records: list[Stored]) -> list[dict[str, Any]]:
    """Decode values as any consumer with Confluent's client does.

    With its default strategy the client asks for associations of topics, which Apicurio does not
    know and has once not answered at all; and its default is to wait for ever.
    """
    with SchemaRegistryClient({"url": url, "timeout": 10}) as client:
        deserializer = AvroDeserializer(
            client, conf={"subject.name.strategy": topic_subject_name_strategy}
        )
        return [
            deserializer(
                each.value or b"",
                SerializationContext(topic, MessageField.VALUE, list(each.headers)),
            )
            for each in records
        ]


def _assert_orders(found: list[dict[str, Any]], numbers: range) -> None:
    """Compare decoded events with what the contract makes of `_event`."""
    by_id = {each["messageId"]: each for each in found}
    assert sorted(by_id) == sorted(f"m-{number}" for number in numbers)
    for number in numbers:
        event = by_id[f"m-{number}"]
        assert event["event"] == "Order Completed"
        assert event["userId"] == f"u-{number}"
        assert event["timestamp"].isoformat() == "2026-11-20T12:00:00.250000+00:00"
        assert event["revenue"] == Decimal(f"{number}.123456790")
        assert event["currency"] == "EUR"
        properties = json.loads(event["properties"], parse_float=Decimal)
        assert properties["revenue"] == Decimal(f"{number}.1234567895")
        assert properties["nested"] == [1, {}]


def _variables(url: str, framing: str) -> dict[str, str]:
    return {
        "TRACK_OUTPUT__FORMAT": "avro",
        "TRACK_OUTPUT__FRAMING": framing,
        "TRACK_SCHEMA_REGISTRY__URL": url,
        "TRACK_STARTUP_TIMEOUT_S": str(PATIENCE_S),
        "TRACK_IDENTIFY": IDENTIFY if framing == "prefix" else "[]",
    }


def _assert_audit_is_clean(pipeline: Pipeline, url: str, framing: str) -> None:
    """An audit finds each output as it must be, and compares all of them in full."""
    ran = pipeline.run("audit", "--json", env=_variables(url, framing))
    assert ran.code == ExitCode.OK, ran
    assert json.loads(ran.out)["excluded"] == {}


def _schema_headers(record: Stored) -> list[bytes | None]:
    return [value for name, value in record.headers if name == VALUE_SCHEMA_ID]


def test_outputs_of_several_workers_are_read_by_confluents_deserializer(
    pipeline: Pipeline, registry: LocalRegistry
) -> None:
    """Workers that start at once register the same version; every output names its schema's id."""
    forged = Sent(_event(99).value, b"k", ((VALUE_SCHEMA_ID, b"forged"),), RECENT, 0)
    sent = [*map(_event, range(30)), _event(50, "Signed Up"), forged]
    produce(pipeline.servers, pipeline.names.raw, sent)
    worker = pipeline.start("w", workers="2", identify=IDENTIFY, **registry.settings, **AVRO)
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    enriched = read_topic(pipeline.servers, pipeline.names.enriched)
    assert {each.value[0] for each in enriched if each.value} == {0}
    assert [_schema_headers(each) for each in enriched] == [[]] * 32
    found = _decoded(registry.url, pipeline.names.enriched, enriched)
    _assert_orders([each for each in found if each["messageId"] not in {"m-50", "m-99"}], range(30))
    identify = read_topic(pipeline.servers, pipeline.names.identify)
    (person,) = _decoded(registry.url, pipeline.names.identify, identify)
    assert person["userId"] == "u-50"
    assert json.loads(person["traits"]) == {"email": "a@example.com"}
    client = registry.client()
    assert client.versions(f"{pipeline.names.enriched}-value") == [1]
    _assert_audit_is_clean(pipeline, registry.url, "prefix")
    compare = ("replay", "--dry-run", "--compare", pipeline.names.enriched)
    ran = pipeline.run(*compare, env=_variables(registry.url, "prefix"))
    assert (ran.code, b"Nothing differs" in ran.out) == (ExitCode.OK, True), ran


@pytest.fixture
def small_registry() -> Iterator[FakeRegistry]:
    """A registry that knows GUIDs."""
    with fake_registry() as server:
        yield server


def test_running_worker_never_asks_the_registry(
    pipeline: Pipeline, small_registry: FakeRegistry
) -> None:
    """With framing by header: exactly one header with the GUID, while the registry only fails."""
    produce(pipeline.servers, pipeline.names.raw, map(_event, range(10)))
    worker = pipeline.start(
        schema_registry__url=small_registry.url, output__framing="header", **AVRO
    )
    pipeline.wait_until_done()
    small_registry.fail(Answer(500))
    del small_registry.asked[:]
    forged = [(VALUE_SCHEMA_ID, b"\x01" + bytes(16)), (VALUE_SCHEMA_ID, b"\x00")]
    more = [_event(number)._replace(headers=forged) for number in range(10, 20)]
    produce(pipeline.servers, pipeline.names.raw, more)
    pipeline.wait_until_done()
    assert small_registry.asked == []
    assert terminate(worker) == 0
    small_registry.fail()
    enriched = read_topic(pipeline.servers, pipeline.names.enriched)
    (header,) = {tuple(_schema_headers(each)) for each in enriched}
    assert len(header) == 1
    _assert_audit_is_clean(pipeline, small_registry.url, "header")
    _assert_orders(_decoded(small_registry.url, pipeline.names.enriched, enriched), range(20))


def test_single_object_encoding_needs_no_registry(pipeline: Pipeline) -> None:
    """Avro's own library reads the value behind the fingerprint of the published schema."""
    produce(pipeline.servers, pipeline.names.raw, map(_event, range(10)))
    worker = pipeline.start(output__format="avro")
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    text = published(Role.ENRICHED)
    schema = fastavro.parse_schema(json.loads(text))
    found: list[Any] = []
    for each in read_topic(pipeline.servers, pipeline.names.enriched):
        value = each.value or b""
        assert value[:10] == b"\xc3\x01" + fingerprint(text)
        found.append(fastavro.schemaless_reader(io.BytesIO(value[10:]), schema, None))
    _assert_orders(found, range(10))


def test_operator_registers_what_a_worker_needs(
    pipeline: Pipeline, registry: LocalRegistry
) -> None:
    """A worker without its schema names the command; check says so before and after."""
    env = {"TRACK_OUTPUT__FORMAT": "avro", **registry.variables}
    subject = f"{pipeline.names.enriched}-value"
    worker = pipeline.start(output__format="avro", **registry.settings)
    assert worker.wait(PATIENCE_S) == ExitCode.KAFKA
    last = pipeline.text().splitlines()[-1]
    assert f"does not have the schema of {pipeline.names.enriched} in subject {subject}" in last
    assert "register it with `track-pipeline schemas register`" in last
    assert "HTTP Request" not in pipeline.text()
    assert pipeline.run("check", env=env).code == ExitCode.KAFKA
    assert pipeline.run("schemas", "check", env=env).code == ExitCode.DIFFERENCE
    done = pipeline.run("schemas", "register", "--compatibility", "FULL_TRANSITIVE", env=env)
    assert done.code == ExitCode.OK, done.err
    report = json.loads(pipeline.run("schemas", "check", "--json", env=env).out)
    (schema,) = report["schemas"]
    assert report["knows_guids"] is False
    assert (schema["subject"], schema["version"]) == (subject, 1)
    assert schema["compatibility"] == "FULL_TRANSITIVE"
    checked = pipeline.run("check", env=env)
    assert f"ok  {registry.url}: a Schema Registry that knows no GUIDs" in checked.out.decode()
    assert (
        f"ok  {subject}: version 1, id {schema['id']}, compatibility FULL" in checked.out.decode()
    )
    assert checked.code == ExitCode.OK
    shown = pipeline.run("schemas", "show", "--id", str(schema["id"]), env=env)
    assert json.loads(shown.out) == json.loads(published(Role.ENRICHED))
    by_header = pipeline.run("check", env=env | {"TRACK_OUTPUT__FRAMING": "header"})
    assert by_header.code == ExitCode.KAFKA
    assert "header needs the schemas' GUIDs, which this registry does not have" in by_header.err


def test_incompatible_schema_is_explained_in_words(
    pipeline: Pipeline, registry: LocalRegistry
) -> None:
    """The registry only says no; we say which field hinders whom, and register nothing."""
    subject = f"{pipeline.names.enriched}-value"
    client = registry.client()
    client.register(subject, OTHER_RECORD)
    assert client.compatibility(subject) == "BACKWARD"  # the registry's: it has none of its own
    worker = pipeline.start(**registry.settings, **AVRO)
    assert worker.wait(PATIENCE_S) == ExitCode.KAFKA
    last = pipeline.text().splitlines()[-1]
    assert f"is not compatible with subject {subject}" in last
    assert "version 1: with the new schema, type: " in last
    assert client.versions(subject) == [1]


def test_worker_waits_for_a_registry_that_starts_later(pipeline: Pipeline) -> None:
    """The worker says at once what it waits for, and when it is over; then it works."""
    produce(pipeline.servers, pipeline.names.raw, map(_event, range(3)))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    worker = pipeline.start(schema_registry__url=url, **AVRO)
    waits = f"the Schema Registry at {url} can't be reached: Connection refused"
    pipeline.wait_for(lambda: waits in pipeline.text(), "the notice")
    with fake_registry(port=port):
        pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert f"the Schema Registry at {url} answers now" in pipeline.text()
    assert len(read_topic(pipeline.servers, pipeline.names.enriched)) == 3


def test_worker_gives_up_a_registry_that_never_answers(pipeline: Pipeline) -> None:
    """After startup_timeout_s the worker ends with the sentence; no record was touched."""
    produce(pipeline.servers, pipeline.names.raw, map(_event, range(3)))
    url = f"http://127.0.0.1:{free_port()}"
    worker = pipeline.start(schema_registry__url=url, startup_timeout_s="2", **AVRO)
    assert worker.wait(PATIENCE_S) == ExitCode.KAFKA
    assert f"{url} can't be reached" in pipeline.text().splitlines()[-1]
    assert pipeline.committed() == 0
    assert pipeline.found() == {}
