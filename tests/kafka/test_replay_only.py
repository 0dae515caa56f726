"""Correction runs on a real broker: only what differs is written, and marked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.core.headers import TrackHeader
from pipeline.errors import ExitCode
from tests.brokers import RECENT, Sent, Stored, produce, read_topic
from tests.fake_topics import event
from tests.kafka.worker_process import Pipeline, terminate
from tests.unit.cli.program import Ran

pytestmark = pytest.mark.kafka
_RULES = {"TRACK_DEFAULT_CURRENCY": "EUR", "TRACK_CURRENCY__EXTRA_CODES": '["XBT"]'}
_CONTEXT = {"TRACK_RULES__CONTEXT_FIELD_TYPE": "reject"}


@pytest.fixture
def worked(pipeline: Pipeline) -> Pipeline:
    """A pipeline whose worker has done its work: 20 events each that a change touches or not."""
    values = [
        event(1),
        event(2, properties={"revenue": 5}),
        event(3, properties={"revenue": 7, "currency": "XBT"}),
        event(4).replace(b"}", b', "context": {"network": "wifi"}}'),
    ]
    sent = [Sent(values[n % 4], b"u%d" % (n % 7), (), RECENT + n, n % 3) for n in range(80)]
    produce(pipeline.servers, pipeline.names.raw, sent)
    worker = pipeline.start()
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    return pipeline


def _replay(pipeline: Pipeline, *flags: str, **more: str) -> Ran:
    ran = pipeline.run("replay", *flags, env={**_RULES, **more})
    assert "Traceback" not in ran.err
    return ran


def _replaced(records: list[Stored]) -> list[str]:
    return [(dict(each.headers).get(TrackHeader.REPLACES) or b"").decode() for each in records]


def test_corrections_go_into_the_live_topic(worked: Pipeline, tmp_path: Path) -> None:
    """Changed and newly valid events come behind the others, with what each replaces."""
    live = worked.names.enriched
    before = read_topic(worked.servers, live)
    file = tmp_path / "invalid.ndjson"
    flags = ("--only", "changed,newly-valid", "--into-live", "--newly-invalid", str(file))
    ran = _replay(worked, *flags, "--execute", "--json", **_CONTEXT)
    assert ran.code == ExitCode.OK, ran.err
    assert "It differs: 20 changed, 20 newly-valid, 20 newly-invalid (of 80 events)." in ran.err
    assert json.loads(ran.out)["verification"]["ok"]
    written = [each for each in read_topic(worked.servers, live) if each not in before]
    assert len(written) == 40
    places = {f"{live}/{each.partition}/{each.offset}": each for each in before}
    replaced = [places[place] for place in _replaced(written) if place in places]
    assert len(replaced) == 20
    assert all(b'"currency":"USD"' in (each.value or b"") for each in replaced)
    replaced_dead_letters = [place for place in _replaced(written) if place not in places]
    assert len(replaced_dead_letters) == 20
    assert all(place.startswith(f"{worked.names.dead_letter}/") for place in replaced_dead_letters)
    assert len(file.read_text().splitlines()) == 20
    # What is left is what nothing was written of.
    ran = _replay(worked, "--dry-run", "--json", "--compare", live, **_CONTEXT)
    events = json.loads(ran.out)["comparison"]["events"]
    assert {kind: number for kind, number in events.items() if number} == {
        "identical": 60,
        "newly-invalid": 20,
    }


def test_several_workers_share_one_comparison(worked: Pipeline) -> None:
    """Each process of a replay asks the same file; the output is a topic of its own."""
    flags = ("--only", "changed", "--execute", "--workers", "2", "--json")
    document = json.loads(_finished(worked, *flags))
    assert document["verification"]["enriched"] == 20
    written = read_topic(worked.servers, document["outputs"]["enriched"])
    assert len(written) == 20
    assert all(place.startswith(f"{worked.names.enriched}/") for place in _replaced(written))


def test_resume_corrects_nothing_twice(worked: Pipeline) -> None:
    """The comparison is made anew; what was corrected before the kill is not corrected again."""
    live = worked.names.enriched
    before = len(read_topic(worked.servers, live))
    flags = ("--only", "changed,newly-valid", "--into-live", "--execute", "--rate", "15")
    process = worked.start_command("replay", *flags, env=_RULES)
    worked.wait_for(lambda: len(read_topic(worked.servers, live)) > before, "the first correction")
    process.kill()
    process.wait()
    (said,) = [line for line in worked.text("command-1").splitlines() if line.endswith(" begins")]
    # It may have left a transaction open, whose end is not waited for here.
    assert len(read_topic(worked.servers, live, to_open=True)) < before + 40
    ran = _replay(worked, "--resume", said.split()[1], "--rate", "1000")
    assert ran.code == ExitCode.OK, ran.err
    written = [place for place in _replaced(read_topic(worked.servers, live)) if place]
    assert len(written) == len(set(written)) == 40


def test_archived_records_are_corrected(worked: Pipeline, tmp_path: Path) -> None:
    """Corrections come from files, in any order; what is archived twice is corrected once."""
    raw = read_topic(worked.servers, worked.names.raw)
    lines = [_archived(worked.names.raw, each) for each in (*raw[50:], *raw[:60])]
    file = tmp_path / "archive.ndjson"
    file.write_bytes(b"\n".join([*lines, event(2, properties={"revenue": 5})]))
    before = read_topic(worked.servers, worked.names.enriched)
    flags = ("--only", "changed,newly-valid", "--from-file", str(file), "--execute", "--json")
    ran = _replay(worked, *flags)
    assert ran.code == ExitCode.OK, ran.err
    assert "It differs: 20 changed, 20 newly-valid (of 80 events)." in ran.err
    document = json.loads(ran.out)
    assert (document["verification"]["ok"], document["verification"]["enriched"]) == (True, 40)
    replaced = _replaced(read_topic(worked.servers, document["outputs"]["enriched"]))
    assert len(set(replaced)) == 40
    assert read_topic(worked.servers, worked.names.enriched) == before


def test_redriven_events_keep_their_repairs(worked: Pipeline) -> None:
    """What a redrive has repaired is counted in the plan, and not written back unrepaired."""
    live = worked.names.enriched
    assert worked.run("topics", "create", "--ledger").code == 0
    repair = ("--reason", "currency_invalid", "--set", "/properties/currency=SEK")
    assert worked.run("dlq", "redrive", *repair, "--execute").code == ExitCode.OK
    before = read_topic(worked.servers, live)
    assert sum(b'"SEK"' in (each.value or b"") for each in before) == 20
    flags = ("--only", "changed,newly-valid", "--into-live")
    said = _replay(worked, *flags).out.decode()
    assert "It differs: 20 changed (of 80 events). 20 redriven events differ" in said
    assert read_topic(worked.servers, live) == before
    assert _replay(worked, *flags, "--execute").code == ExitCode.OK
    assert sum(b'"XBT"' in (each.value or b"") for each in read_topic(worked.servers, live)) == 0
    # With the rules as they were there is no difference to be seen.
    ran = worked.run("replay", "--dry-run", "--json", "--compare", live)
    events = json.loads(ran.out)["comparison"]["events"]
    assert {kind: number for kind, number in events.items() if number} == {
        "identical": 40,
        "changed": 20,
        "redriven": 20,
    }
    asked_for = _replay(worked, "--only", "redriven", "--into-live", "--execute")
    assert asked_for.code == ExitCode.OK
    assert sum(b'"XBT"' in (each.value or b"") for each in read_topic(worked.servers, live)) == 20


def _archived(topic: str, record: Stored) -> bytes:
    return json.dumps(
        {
            "topic": topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": (record.key or b"").decode(),
            "value": (record.value or b"").decode(),
        }
    ).encode()


def _finished(pipeline: Pipeline, *flags: str) -> str:
    """What a replay in a process of its own has said on standard output."""
    process = pipeline.start_command("replay", *flags, env=_RULES)
    assert process.wait(60) == ExitCode.OK, pipeline.text("command-1")
    lines = pipeline.text("command-1").splitlines()
    return next(line for line in lines if line.startswith('{"id"'))


def test_plan_counts_corrections(worked: Pipeline) -> None:
    """The plan says how many corrections would be written, and nothing is."""
    document = json.loads(_replay(worked, "--only", "changed", "--json").out)
    assert document["only"] == ["changed"]
    assert document["comparison"]["events"]["changed"] == 20
    assert document["would_write"] == {"changed": 20}
    said = _replay(worked, "--only", "changed,newly-valid,missing").out.decode()
    assert "It differs: 20 changed, 20 newly-valid (of 80 events)." in said
    assert "40 enriched events would be written (20 changed, 0 missing, 20 newly-valid)" in said
    assert document["compared"]["enriched"] == worked.names.enriched
    assert worked.progress().total == 80
