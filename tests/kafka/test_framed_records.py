"""Framed raw records on a real broker, with schemas of a real Schema Registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from pipeline.avro.framing import guid_header, prefix_of_fingerprint, prefix_of_id
from pipeline.avro.published import fingerprint
from pipeline.core.headers import VALUE_SCHEMA_ID, DlqHeader, TrackHeader
from tests.brokers import RECENT, Sent, Stored, produce, read_topic
from tests.fake_registry import Answer, fake_registry
from tests.hostile import EVENT as PLAIN
from tests.kafka.worker_process import Pipeline, terminate
from tests.registries import LocalRegistry
from tests.unit.avro.schemas_of_records import BATCH, EVENT, GUID, body, record_of

pytestmark = pytest.mark.kafka
DRAFT: Final = "http://json-schema.org/draft-07/schema#"
UNKNOWN_ID: Final = 2**31 - 1
FLOOD: Final = 300
PROPERTIES: Final[dict[str, Any]] = {"revenue": None, "currency": None, "tags": []}


def _event(name: str) -> dict[str, Any]:
    return {"event": name, "userId": "u1", "properties": PROPERTIES}


def _send(pipeline: Pipeline, *records: tuple[bytes, Any]) -> None:
    sent = [
        Sent(value, b"u1", headers, RECENT + number, 0)
        for number, (value, headers) in enumerate(records)
    ]
    produce(pipeline.servers, pipeline.names.raw, sent)


def _register(registry: LocalRegistry, subject: str, schema: Any, **more: Any) -> int:
    document = {"schema": json.dumps(schema), **more}
    url = f"{registry.url}/subjects/{subject}/versions"
    answer = httpx2.post(url, json=document, trust_env=False)
    answer.raise_for_status()
    return int(answer.json()["id"])


def _by_source(pipeline: Pipeline, topic: str) -> dict[str, Stored]:
    """The records of an output topic by the offset (and item) of their raw record."""
    found = {}
    for each in read_topic(pipeline.servers, topic, "read_committed"):
        headers = dict(each.headers)
        source = headers.get(TrackHeader.SOURCE) or headers[DlqHeader.SOURCE] or b""
        found[source.decode().split("/", 2)[2]] = each
    return found


def _names(records: dict[str, Stored]) -> dict[str, str]:
    return {source: json.loads(each.value or b"")["event"] for source, each in records.items()}


def _registered_ids(registry: LocalRegistry, raw: str) -> dict[str, int]:
    """Ids of schemas of an event, a batch call, an event with a reference, and a JSON Schema."""
    money = {**record_of(amount="double"), "name": "com.acme.Money"}
    order = {**record_of(event="string", userId="string", properties="com.acme.Money")}
    _register(registry, f"{raw}-money", money)
    reference = {"name": "com.acme.Money", "subject": f"{raw}-money", "version": 1}
    document = {"$schema": DRAFT, "type": "object"}
    return {
        "event": _register(registry, f"{raw}-event", EVENT),
        "batch": _register(registry, f"{raw}-batch", BATCH),
        "order": _register(registry, f"{raw}-order", order, references=[reference]),
        "json": _register(registry, f"{raw}-json", document, schemaType="JSON"),
    }


def _assert_tools_read(pipeline: Pipeline, registry: LocalRegistry, schemas: Path) -> None:
    """An audit adds up, and a dead letter whose schema is unknown is shown with its framing."""
    variables = {
        "TRACK_INPUT__FORMAT": "auto",
        "TRACK_INPUT__SCHEMAS": str(schemas),
        **registry.variables,
    }
    ran = pipeline.run("audit", "--revenue", "--json", env=variables)
    assert ran.code == 0, ran
    # Of what the registry does not know, only the bytes are compared.
    assert json.loads(ran.out)["excluded"] == {"set_aside": 2}
    shown = pipeline.run("dlq", "show", f"{pipeline.names.raw}/0/6", env=variables).out.decode()
    assert f"prefix, schema id {UNKNOWN_ID}" in shown
    assert "same reason: schema_unknown" in shown


def test_every_framing_is_read_with_a_real_registry(
    pipeline: Pipeline, registry: LocalRegistry, tmp_path: Path
) -> None:
    """Each event has its outcome, whatever its framing; dead letters can be read again."""
    raw = pipeline.names.raw
    single = {**EVENT, "name": "Single"}
    (tmp_path / "single.avsc").write_text(json.dumps(single))
    ids = _registered_ids(registry, raw)
    call = body(BATCH, {"batch": [_event("2/0"), _event(" "), _event("2/2")]})
    records: list[tuple[bytes, Any]] = [
        (prefix_of_id(ids["event"]) + body(EVENT, _event("0")), ()),
        (prefix_of_fingerprint(fingerprint(json.dumps(single))) + body(EVENT, _event("1")), ()),
        (prefix_of_id(ids["batch"]) + call, ()),
        (prefix_of_id(ids["json"]) + PLAIN, ()),
        (PLAIN, ()),
        (prefix_of_id(ids["order"]) + b"\x02\x35\x04u1" + bytes(8), ()),
        (prefix_of_id(UNKNOWN_ID) + b"x", ()),
        (prefix_of_id(ids["event"]) + b"x", ()),
        (body(EVENT, _event("8")), (guid_header(GUID),)),
    ]
    _send(pipeline, *records)
    worker = pipeline.start(input__format="auto", input__schemas=str(tmp_path), **registry.settings)
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    rejected = _by_source(pipeline, pipeline.names.dead_letter)
    assert {source: dict(each.headers)[DlqHeader.REASON] for source, each in rejected.items()} == {
        "2/1": b"event_blank",
        "6": b"schema_unknown",
        "7": b"invalid_avro",
        "8": b"schema_unknown",
    }
    assert [rejected[n].value for n in "678"] == [records[int(n)][0] for n in "678"]
    assert dict(rejected["8"].headers)[VALUE_SCHEMA_ID] == guid_header(GUID)[1]
    enriched = _names(_by_source(pipeline, pipeline.names.enriched))
    plain = {"3": "Order Completed", "4": "Order Completed"}
    assert enriched == {n: n for n in ("0", "1", "2/0", "2/2", "5")} | plain
    _assert_tools_read(pipeline, registry, tmp_path)


def test_a_worker_waits_for_a_registry_that_is_down(pipeline: Pipeline) -> None:
    """The worker says what it waits for, rejects nothing, and goes on by itself."""
    with fake_registry() as server:
        number = server.register(f"{pipeline.names.raw}-value", {"schema": json.dumps(EVENT)})
        worker = pipeline.start(input__format="avro", schema_registry__url=server.url)
        pipeline.wait_for(lambda: bool(pipeline.lines("assigned")), "the assignment")
        server.fail(Answer(503))
        _send(pipeline, (prefix_of_id(number) + body(EVENT, _event("0")), ()))
        pipeline.wait_for(lambda: "503" in pipeline.text(), "what it waits for")
        server.fail()
        pipeline.wait_until_done()
        assert terminate(worker) == 0
    assert _names(_by_source(pipeline, pipeline.names.enriched)) == {"0": "0"}
    assert not _by_source(pipeline, pipeline.names.dead_letter)


def test_a_flood_of_unknown_schemas_does_not_cost_the_partitions(pipeline: Pipeline) -> None:
    """Looking them up takes longer than a consumer may go without reading; it reads in between."""
    with fake_registry() as server:
        server.delay_s = 0.05
        worker = pipeline.start(
            input__format="avro",
            schema_registry__url=server.url,
            schema_registry__timeout_s="1",
            kafka_max_poll_interval_ms="6000",
            kafka_session_timeout_ms="6000",
        )
        pipeline.wait_for(lambda: bool(pipeline.lines("assigned")), "the assignment")
        _send(pipeline, *((prefix_of_id(1000 + number) + b"\0", ()) for number in range(FLOOD)))
        pipeline.wait_until_done()
        assert terminate(worker) == 0
    resets = [line["resets"] for line in pipeline.lines("statistics")]
    assert set(resets) == {0}, pipeline.text()[-3000:]
    rejected = _by_source(pipeline, pipeline.names.dead_letter).values()
    reasons = [dict(each.headers)[DlqHeader.REASON] for each in rejected]
    assert reasons == [b"schema_unknown"] * FLOOD
