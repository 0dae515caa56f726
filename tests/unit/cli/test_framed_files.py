"""`transform` and `explain` on framed records, which need no broker and here no registry."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipeline.avro.framing import guid_header, prefix_of_fingerprint
from pipeline.avro.published import fingerprint
from pipeline.core.headers import VALUE_SCHEMA_ID
from pipeline.errors import ExitCode
from tests.unit.avro.schemas_of_records import EVENT, GUID, body
from tests.unit.cli.program import run

EVENT_TEXT = json.dumps(EVENT)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Settings of raw records in single-object encoding."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "track.avsc").write_text(EVENT_TEXT)
    return {"TRACK_INPUT__FORMAT": "avro", "TRACK_INPUT__SCHEMAS": str(tmp_path / "schemas")}


def _framed(user: str | None) -> bytes:
    properties: dict[str, Any] = {"revenue": Decimal("5.00"), "currency": None, "tags": []}
    data = body(EVENT, {"event": "Order", "userId": user, "properties": properties})
    return prefix_of_fingerprint(fingerprint(EVENT_TEXT)) + data


def _archived(value: bytes, offset: int, **members: Any) -> bytes:
    written = {"base64": base64.b64encode(value).decode()}
    plain = {"topic": "track.raw", "partition": 0, "offset": offset, "value": written}
    return json.dumps({**plain, **members}).encode() + b"\n"


def test_archived_framed_records_are_transformed(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Archived records may be framed; plain lines of JSON are events all the same."""
    lines = _archived(_framed("u"), 1) + _archived(_framed(None), 2)
    lines += b'{"event":"A","userId":"u"}\n'
    dead = tmp_path / "dead.ndjson"
    ran = run("transform", "--json", "--dead-letters", dead, stdin=lines, env=environment)
    assert ran.code == ExitCode.OK, ran.err
    first, second = map(json.loads, ran.out.splitlines())
    assert (first["event"], first["properties"]["revenue"], second["event"]) == ("Order", 5.0, "A")
    (rejected,) = map(json.loads, dead.read_bytes().splitlines())
    assert (rejected["source"], rejected["reason"]) == ("track.raw/0/2", "no_user_anon_id")
    assert base64.b64decode(rejected["value"]) == _framed(None)


def test_lines_are_events_where_records_are_json(environment: dict[str, str]) -> None:
    """Without framed raw records, a line is an event whatever members it has."""
    del environment
    ran = run("transform", "--json", stdin=_archived(b"{}", 1))
    assert json.loads(ran.err.splitlines()[0])["dead_letters"] == 1


def test_schemas_that_no_registry_is_set_for(environment: dict[str, str]) -> None:
    """A record that names its schema by a registry's id has a dead letter that says so."""
    line = _archived(b"\0\0\0\0\x07x", 1)
    ran = run("transform", "--json", stdin=line, env=environment)
    assert json.loads(ran.err.splitlines()[0])["reasons"] == {"schema_unknown": 1}


def test_a_registry_that_does_not_answer_ends_the_command(environment: dict[str, str]) -> None:
    """One sentence and exit code 5; the events before it are written."""
    url = {
        "TRACK_SCHEMA_REGISTRY__URL": "http://127.0.0.1:1",
        "TRACK_STARTUP_TIMEOUT_S": "2",
    }
    lines = b'{"event":"A","userId":"u"}\n' + _archived(b"\0\0\0\0\x07x", 1)
    ran = run("transform", stdin=lines, env={**environment, **url})
    assert ran.code == ExitCode.KAFKA
    assert json.loads(ran.out)["event"] == "A"
    assert "(startup_timeout_s)" in ran.err
    assert ran.err.splitlines()[-1].endswith("(tried for 2 s)")
    assert "Traceback" not in ran.err


def test_framed_records_are_explained(environment: dict[str, str]) -> None:
    """The bytes of a record are explained as the JSON that they stand for."""
    ran = run("explain", "--json", stdin=_framed("u"), env=environment)
    assert ran.code == ExitCode.OK, ran.err
    (explained,) = json.loads(ran.out)["events"]
    assert explained["outcome"] == "enriched"
    assert "/properties/currency" in {effect["pointer"] for effect in explained["effects"]}


def test_forwarded_framed_calls_are_written_as_json(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """A file of calls has lines of JSON; binary data has no lines."""
    schema = {
        "type": "record",
        "name": "Page",
        "fields": [{"name": "type", "type": "string"}, {"name": "name", "type": "string"}],
    }
    (tmp_path / "schemas" / "page.avsc").write_text(json.dumps(schema))
    value = prefix_of_fingerprint(fingerprint(json.dumps(schema)))
    value += body(schema, {"type": "page", "name": "Home\n"})
    other, forward = tmp_path / "other.ndjson", {"TRACK_ON_OTHER_TYPE": "forward"}
    settings = {**environment, **forward}
    ran = run("transform", "--other", other, stdin=_archived(value, 1), env=settings)
    assert ran.code == ExitCode.OK, ran.err
    assert json.loads(other.read_bytes()) == {"type": "page", "name": "Home\n"}
    ran = run("explain", "--json", stdin=value, env=settings)
    (explained,) = json.loads(ran.out)["events"]
    assert explained["records"][0]["value"] == {"type": "page", "name": "Home\n"}


def test_a_header_of_an_archived_record_names_its_schema(environment: dict[str, str]) -> None:
    """Headers are read, too; without a registry, their schema is unknown."""
    name, sent = guid_header(GUID)
    assert name == VALUE_SCHEMA_ID
    headers = [[name, {"base64": base64.b64encode(sent).decode()}]]
    line = _archived(b"x", 1, headers=headers)
    ran = run("transform", "--json", stdin=line, env=environment)
    assert json.loads(ran.err.splitlines()[0])["reasons"] == {"schema_unknown": 1}
