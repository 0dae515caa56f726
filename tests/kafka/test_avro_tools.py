"""The tools on a real broker where raw records are framed and outputs are Avro.

All of it is single-object encoding, which needs no Schema Registry.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.avro.framing import prefix_of_fingerprint, prefix_of_id
from pipeline.avro.published import fingerprint
from pipeline.core.headers import TrackHeader
from pipeline.errors import ExitCode
from pipeline.reading import EnrichedTrack, read_output
from pipeline.topics import CreateOptions, ledger_spec
from tests.brokers import RECENT, Sent, Stored, create_topics, produce, read_topic, unique
from tests.kafka.worker_process import Pipeline, terminate
from tests.unit.avro.schemas_of_records import EVENT, body
from tests.unit.cli.program import TIMEOUT_S, command, environment, read_terminal

pytestmark = pytest.mark.kafka
SCHEMA: Final = json.dumps(EVENT)
FRAMING: Final = prefix_of_fingerprint(fingerprint(SCHEMA))
GOOD, BAD = 9, 3


def _framed(number: int, user: str | None) -> bytes:
    properties: dict[str, Any] = {"revenue": Decimal("5.25"), "currency": "EUR", "tags": []}
    return FRAMING + body(EVENT, {"event": f"e{number}", "userId": user, "properties": properties})


def _sent(number: int, user: str | None) -> Sent:
    return Sent(_framed(number, user), b"k%d" % (number % 2), (), RECENT + number, number % 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `input.schemas`."""
    made = tmp_path_factory.mktemp("schemas")
    (made / "track.avsc").write_text(SCHEMA)
    return made


@pytest.fixture(scope="module")
def formats(folder: Path) -> dict[str, str]:
    """The settings of the formats, without those of the pipeline."""
    return {"input__format": "avro", "input__schemas": str(folder), "output__format": "avro"}


@pytest.fixture(scope="module")
def variables(formats: dict[str, str]) -> dict[str, str]:
    """The same as variables."""
    return {f"TRACK_{name.upper()}": value for name, value in formats.items()}


@pytest.fixture(scope="module")
def worked(module_pipeline: Pipeline, formats: dict[str, str]) -> Pipeline:
    """A pipeline whose worker has read good and bad framed records, and was stopped."""
    numbers = range(GOOD + BAD)
    records = [_sent(n, None if n % 4 == 3 else f"u{n}") for n in numbers]
    produce(module_pipeline.servers, module_pipeline.names.raw, records)
    module_pipeline.admin.create(
        [ledger_spec(module_pipeline.names, CreateOptions(3, 1, None, 30.0), None)]
    )
    worker = module_pipeline.start(**formats)
    module_pipeline.wait_until_done()
    assert terminate(worker) == 0
    return module_pipeline


def _enriched(pipeline: Pipeline) -> list[Stored]:
    return read_topic(pipeline.servers, pipeline.names.enriched)


def _values(stored: Iterable[Stored]) -> list[bytes]:
    return sorted(each.value or b"" for each in stored)


def _event(stored: Stored) -> EnrichedTrack:
    event = read_output(stored.value, stored.headers)
    assert isinstance(event, EnrichedTrack)
    return event


def test_audit_of_avro_outputs_is_clean(worked: Pipeline, variables: dict[str, str]) -> None:
    """The outputs are Avro, and are what the rules make of the framed records."""
    ran = worked.run("audit", "--revenue", "--json", env=variables)
    assert ran.code == ExitCode.OK, ran.out + ran.err.encode()
    document = json.loads(ran.out)
    assert document["outcomes"]["enriched"] == GOOD
    assert document["outcomes"]["dead_letters"] == BAD
    (total,) = document["revenue"]["totals"]
    assert (total["sent"], total["delivered"], total["blocked"]) == ("63.00", "47.25", "15.75")
    assert not any((each.value or b"").startswith(b"{") for each in _enriched(worked))


def _lost(stored: list[Stored]) -> list[Stored]:
    return stored[1:]


def _doubled(stored: list[Stored]) -> list[Stored]:
    return [*stored, stored[-1]]


def _changed(stored: list[Stored]) -> list[Stored]:
    value = (stored[0].value or b"").replace(b"5.25", b"7.25")
    assert value != stored[0].value
    return [stored[0]._replace(value=value), *stored[1:]]


@pytest.mark.parametrize(
    ("spoil", "kind"), [(_lost, "missing"), (_doubled, "duplicated"), (_changed, "mismatched")]
)
def test_audit_of_avro_outputs_finds_each_fault(
    worked: Pipeline,
    variables: dict[str, str],
    spoil: Callable[[list[Stored]], list[Stored]],
    kind: str,
) -> None:
    """One event that is lost, doubled or changed is found among the others."""
    name = unique("rewritten")
    create_topics(worked.servers, name, partitions=3)
    again = [
        Sent(value, key, headers, timestamp, partition)
        for value, key, headers, timestamp, partition, _ in spoil(_enriched(worked))
    ]
    produce(worked.servers, name, again)
    ran = worked.run("audit", "--json", "--enriched-topic", name, env=variables)
    assert ran.code == ExitCode.DIFFERENCE
    document = json.loads(ran.out)
    assert document[kind] == 1, document
    if kind == "mismatched":
        (found,) = document["discrepancies"]
        assert "/properties/revenue" in found["detail"]


def test_a_dry_run_compares_avro_with_the_rules(
    worked: Pipeline, variables: dict[str, str]
) -> None:
    """Nothing differs; a filter reads framed events."""
    compare = ("replay", "--dry-run", "--json", "--compare", worked.names.enriched)
    ran = worked.run(*compare, env=variables)
    assert ran.code == ExitCode.OK, ran.out + ran.err.encode()
    assert json.loads(ran.out)["comparison"]["events"]["identical"] == GOOD + BAD
    ran = worked.run(*compare, "--user", "u1", env=variables)
    assert json.loads(ran.out)["comparison"]["events"]["identical"] == 1


def test_a_replay_of_framed_records_writes_avro(
    worked: Pipeline, variables: dict[str, str]
) -> None:
    """The replayed events are those of the worker, byte for byte."""
    ran = worked.run("replay", "--execute", "--json", env=variables)
    assert ran.code == ExitCode.OK, ran.err
    said = json.loads(ran.out)
    assert (said["enriched"], said["verification"]["ok"]) == (GOOD, True)
    replayed = read_topic(worked.servers, said["outputs"]["enriched"])
    assert _values(replayed) == _values(_enriched(worked))


def test_framed_dead_letters_are_shown_decoded(worked: Pipeline, variables: dict[str, str]) -> None:
    """Piped and on a terminal of 80 columns, the JSON and the framing are shown."""
    ran = worked.run("dlq", "show", env=variables)
    assert ran.code == ExitCode.OK, ran.err
    piped = ran.out.decode()
    assert "Avro single object, schema fingerprint" in piped
    assert '"revenue": 5.25,' in piped
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command("dlq", "show"),
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**environment(), **worked.variables, **variables, "COLUMNS": "80", "NO_COLOR": "1"},
    ) as process:
        os.close(theirs)
        shown = read_terminal(ours).replace("\r\n", "\n")
        assert process.wait(TIMEOUT_S) == ExitCode.OK
    assert '"revenue": 5.25,' in shown
    raw = worked.run("dlq", "show", "--raw", "-n", "1", env=variables).out
    assert raw.startswith(FRAMING)
    summary = json.loads(worked.run("dlq", "summary", "--json", env=variables).out.splitlines()[-1])
    assert "15.75" in json.dumps(summary)
    why = json.loads(worked.run("dlq", "why", "--json", env=variables).out)
    assert why["good_events"] == GOOD, why


def test_framed_dead_letters_are_exported_and_redriven(
    worked: Pipeline, variables: dict[str, str], tmp_path: Path
) -> None:
    """Exports hold the bytes; repaired events are enriched as Avro, others stay where they are."""
    before = _enriched(worked)
    exported = worked.run("dlq", "export", "--reveal", env=variables)
    assert exported.code == ExitCode.OK, exported.err
    (tmp_path / "export").write_bytes(exported.out)
    assert len(exported.out.splitlines()) == BAD
    assert all(json.loads(line)["decoded"]["userId"] is None for line in exported.out.splitlines())
    redrive = ("dlq", "redrive", "--json", "--execute")
    ran = worked.run(*redrive, env=variables)
    assert ran.code == ExitCode.DIFFERENCE, ran.err
    assert json.loads(ran.out.splitlines()[0])["send"] == 0
    repair = ("--set", "/userId=repaired", "--everywhere")
    ran = worked.run(*redrive, *repair, env=variables)
    assert ran.code == ExitCode.OK, ran.err
    new = [each for each in _enriched(worked) if dict(each.headers).get(TrackHeader.REDRIVE)]
    assert len(new) == len(_enriched(worked)) - len(before) == BAD
    assert {_event(each).user_id for each in new} == {"repaired"}
    assert {_event(each).revenue for each in new} == {Decimal("5.25")}
    assert worked.run("audit", "--revenue", env=variables).code == ExitCode.OK


def test_redriven_json_is_read_by_the_worker(
    pipeline: Pipeline, formats: dict[str, str], variables: dict[str, str]
) -> None:
    """A repaired event that is sent to the raw topic is plain JSON, which its worker takes."""
    produce(pipeline.servers, pipeline.names.raw, [_sent(0, None)])
    pipeline.admin.create([ledger_spec(pipeline.names, CreateOptions(3, 1, None, 30.0), None)])
    worker = pipeline.start(**formats, accept_origin_headers="true")
    pipeline.wait_until_done()
    accepts = {**variables, "TRACK_ACCEPT_ORIGIN_HEADERS": "true"}
    flags = ("--to", "raw", "--set", "/userId=repaired", "--everywhere", "--execute")
    ran = pipeline.run("dlq", "redrive", "--json", *flags, env=accepts)
    assert ran.code == ExitCode.OK, ran.err
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    again = read_topic(pipeline.servers, pipeline.names.raw)[-1]
    assert (again.value or b"").startswith(b"{")
    (event,) = map(_event, _enriched(pipeline))
    assert event.user_id == "repaired"
    assert event.provenance.source is not None
    assert event.provenance.source.offset == 0


def test_commands_that_only_show_go_on_without_the_registry(pipeline: Pipeline) -> None:
    """What shows values says once that it can't decode them now; what would send them fails."""
    value = prefix_of_id(7) + _framed(0, None)[len(FRAMING) :]
    sent = [Sent(value, b"k", (), RECENT + n, n) for n in range(2)]
    produce(pipeline.servers, pipeline.names.dead_letter, sent)
    down = {
        "TRACK_INPUT__FORMAT": "auto",
        "TRACK_SCHEMA_REGISTRY__URL": "http://127.0.0.1:1",
        "TRACK_SCHEMA_REGISTRY__TIMEOUT_S": "2",
        "TRACK_STARTUP_TIMEOUT_S": "10",
    }
    for shows in (["show", "-n", "2"], ["list"], ["summary"], ["summary", "--by", "event"]):
        ran = pipeline.run("dlq", *shows, env=down)
        assert ran.code == ExitCode.OK, ran.err
        assert ran.err.count("can't be decoded now") == 1, ran.err
        assert "trying again" not in ran.err
    shown = pipeline.run("dlq", "show", env=down).out.decode()
    assert "prefix, schema id 7: the value can't be decoded now" in shown
    assert "not known now" in shown
    ran = pipeline.run("dlq", "check", env=down)
    assert ran.code == ExitCode.KAFKA
    assert "trying again" in ran.err
    assert "http://127.0.0.1:1" in ran.err
    assert "Traceback" not in ran.err
