"""Dry runs on a real broker, over what a real worker wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ExitCode
from tests.brokers import RECENT, Sent, delete_records, produce, read_topic
from tests.fake_topics import event
from tests.kafka.worker_process import Pipeline, terminate
from tests.unit.cli.program import Ran

pytestmark = pytest.mark.kafka
BATCH = b'{"batch": [{"event": "E", "userId": "u"}, {"event": "F", "userId": "u"}, 3]}'


@pytest.fixture(scope="module")
def worked(module_pipeline: Pipeline) -> Pipeline:
    """A pipeline whose worker has done its work."""
    sale = {"revenue": "19.99", "currency": "EUR"}
    values = [
        event(1, properties=sale),
        event(2, properties={**sale, "revenue": "1.234,56"}),
        BATCH,
        event(3, properties={"revenue": 7}),
        None,
    ]
    sent = [Sent(values[n % 5], b"u%d" % (n % 7), (), RECENT + n, n % 3) for n in range(150)]
    produce(module_pipeline.servers, module_pipeline.names.raw, sent)
    worker = module_pipeline.start()
    module_pipeline.wait_until_done()
    assert terminate(worker) == 0
    return module_pipeline


def _dry_run(pipeline: Pipeline, *flags: str, **settings: str) -> Ran:
    variables = {f"TRACK_{name.upper()}": value for name, value in settings.items()}
    ran = pipeline.run("replay", "--dry-run", *flags, env=variables)
    assert "Traceback" not in ran.err
    return ran


def _document(pipeline: Pipeline, *flags: str, **settings: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_dry_run(pipeline, "--json", *flags, **settings).out)
    return document


def test_dry_run_counts_and_writes_nothing(worked: Pipeline) -> None:
    """A dry run counts all that would come of the raw topic, and writes and commits nothing."""
    names = worked.admin.topics(worked.names)
    before = [worked.admin.extents(name) for name in names], worked.committed()
    document = _document(worked)
    assert (document["records"], document["enriched"]) == (150, 120)
    assert document["reasons"] == {"revenue_invalid": 30, "not_an_object": 30, "null_value": 30}
    assert document["comparison"] is None
    shown = _dry_run(worked)
    assert shown.code == ExitCode.OK
    assert "Nothing was written: 150 raw records were read." in shown.out.decode()
    assert before == ([worked.admin.extents(name) for name in names], worked.committed())


def test_same_rules_differ_in_nothing(worked: Pipeline) -> None:
    """What the worker wrote is what the rules make: exit 0."""
    ran = _dry_run(worked, "--compare", worked.names.enriched)
    assert ran.code == ExitCode.OK, ran.out
    assert "Nothing differs: 210 events are as they are in the topics." in ran.out.decode()


def test_changed_rules_and_their_revenue_are_shown(worked: Pipeline) -> None:
    """Changed and newly valid events and their revenue are in tables and documents: exit 1."""
    rules = {"default_currency": "EUR", "rules__revenue_invalid": "warn"}
    ran = _dry_run(worked, "--compare", worked.names.enriched, **rules)
    assert ran.code == ExitCode.DIFFERENCE
    out = ran.out.decode()
    assert '/properties/currency: "USD" → "EUR"' in out
    assert "It differs: 30 changed, 30 newly-valid (of 210 events)." in out
    comparison = _document(worked, "--compare", worked.names.enriched, **rules)["comparison"]
    assert comparison["fields"] == {"/properties/currency": 30}
    amounts = {row["currency"]: row["difference"] for row in comparison["revenue"]["totals"]}
    assert amounts == {"EUR": "210.00", "USD": "-210.00"}
    assert comparison["revenue"]["unreadable"] == {"before": 0, "after": 30}
    assert comparison["samples"][0]["output"].startswith(f"{worked.names.enriched}/")


def test_newly_invalid_events_are_listed_in_a_file(worked: Pipeline, tmp_path: Path) -> None:
    """The file has one line for each, with the place of its output."""
    file = tmp_path / "invalid.ndjson"
    flags = ("--compare", worked.names.enriched, "--newly-invalid", str(file), "--event", "E")
    ran = _dry_run(worked, *flags, limits__max_event_bytes="20")
    assert ran.code == ExitCode.DIFFERENCE
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 30
    assert {line["reason"] for line in lines} == {"event_too_large"}
    assert all(line["output"].startswith(f"{worked.names.enriched}/") for line in lines)


def test_archived_records_are_compared_with_live_topics(worked: Pipeline, tmp_path: Path) -> None:
    """The raw topic in a file, newest first, is paired by the coordinates in its lines."""
    file = tmp_path / "raw.ndjson"
    lines = [
        {
            "topic": worked.names.raw,
            "partition": each.partition,
            "offset": each.offset,
            "timestamp": each.timestamp,
            "key": (each.key or b"").decode(),
            "value": None if each.value is None else each.value.decode(),
        }
        for each in reversed(read_topic(worked.servers, worked.names.raw))
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    flags = ("--from-file", str(file), "--compare", worked.names.enriched)
    assert _dry_run(worked, *flags).code == ExitCode.OK
    events = _document(worked, *flags, default_currency="EUR")["comparison"]["events"]
    assert (events["identical"], events["changed"]) == (180, 30)


def test_only_selected_events_are_compared(worked: Pipeline) -> None:
    """Offsets of one partition, and events of one name, limit a comparison."""
    flags = ("--compare", worked.names.enriched, "--from", "0:0", "--to", "0:40", "--event", "E")
    document = _document(worked, *flags)
    assert document["left_out"] > document["records"] > 0
    events = document["comparison"]["events"]
    assert events["identical"] == document["enriched"] == document["records"]
    assert sum(events.values()) == events["identical"]


def test_other_topics_can_be_compared(worked: Pipeline) -> None:
    """A topic that does not exist is named; without its dead letters a comparison says so."""
    ran = _dry_run(worked, "--compare", "no-such-topic")
    assert ran.code == ExitCode.KAFKA
    assert "topics do not exist: no-such-topic" in ran.err
    document = _document(worked, "--compare", worked.names.identify)
    assert document["comparison"]["events"]["newly-valid"] == 120
    assert "dead letters were not compared" in document["comparison"]["notes"][0]


def test_deleted_outputs_are_not_missing(pipeline: Pipeline) -> None:
    """What retention has deleted from the compared topic is not called missing."""
    sent = [Sent(event(n), b"k", (), RECENT + n, 0) for n in range(20)]
    produce(pipeline.servers, pipeline.names.raw, sent)
    worker = pipeline.start()
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert len(read_topic(pipeline.servers, pipeline.names.enriched)) == 20
    delete_records(pipeline.servers, pipeline.names.enriched, partition=0, before=5)
    comparison = _document(pipeline, "--compare", pipeline.names.enriched)["comparison"]
    assert comparison["same"]
    assert comparison["excluded"]["expired"] == 5
