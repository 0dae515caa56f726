"""Replays on a real broker: what is planned, what is written, and what is refused."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.core.headers import TrackHeader
from pipeline.core.timestamps import format_time
from pipeline.errors import ExitCode
from pipeline.ports import TopicSpec
from pipeline.topics import NO_TIME_LIMIT
from tests.brokers import (
    RECENT,
    Sent,
    delete_records,
    delete_topics,
    produce,
    produce_in_transaction,
    read_topic,
    set_topic_config,
)
from tests.fake_topics import event
from tests.kafka.replay_process import begun, forget_offsets, wait_for_records
from tests.kafka.worker_process import PATIENCE_S, Pipeline
from tests.unit.cli.program import Ran, run_process

pytestmark = pytest.mark.kafka

MINUTE: Final = 60_000


def _event(name: str) -> bytes:
    return json.dumps({"event": name, "userId": "u", "messageId": name, "type": "track"}).encode()


def _send(pipeline: Pipeline, times: Mapping[str, int], *, committed: bool = True) -> None:
    """Events by name with these Kafka timestamps, into partition 0, in one transaction."""
    records = [
        Sent(_event(name), b"k", timestamp=time, partition=0) for name, time in times.items()
    ]
    produce_in_transaction(pipeline.servers, pipeline.names.raw, records, committed=committed)


def _executed(
    pipeline: Pipeline, *options: str, number: int = 1, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A replay in a process of its own, as the command of this number; what it said in the end."""
    process = pipeline.start_command("replay", "--json", *options, env=env)
    name = f"command-{number}"
    assert process.wait(PATIENCE_S) == ExitCode.OK, pipeline.text(name)
    said = [line for line in pipeline.text(name).splitlines() if line.startswith('{"id"')]
    return dict(json.loads(said[-1]))


def _names(pipeline: Pipeline, topic: str) -> list[str]:
    """The events of a topic, in order."""
    records = read_topic(pipeline.servers, topic, "read_committed")
    return [json.loads(each.value or b"")["event"] for each in records]


def _plan(pipeline: Pipeline, *options: str) -> Ran:
    return pipeline.run("replay", *options)


def test_own_time_of_each_record_decides(pipeline: Pipeline) -> None:
    """Each record's own time decides; aborted records and markers are no reason to wait."""
    start, end = RECENT, RECENT + 10 * MINUTE
    _send(pipeline, {"old": start - MINUTE, "first": start + 1, "early": start - 2 * MINUTE})
    _send(pipeline, {"aborted": start + 2}, committed=False)
    _send(pipeline, {"second": start + 3, "new": end, "late": end - 1, "newest": end + 9 * MINUTE})
    _send(pipeline, {"aborted, too": start + 2}, committed=False)
    window = ("--from", format_time(start), "--to", format_time(end), "--slack", "5m")
    said = _executed(pipeline, "--execute", *window)
    assert _names(pipeline, said["outputs"]["enriched"]) == ["first", "second", "late"]
    assert (said["records"], said["finished"], said["verification"]["ok"]) == (3, True, True)
    # `old` is before the first offset, `newest` behind the slack: neither is read.
    assert said["left_out"] == 2


def test_batch_of_many_outputs_takes_several_transactions(pipeline: Pipeline) -> None:
    """Records of a batch whose outputs fill a transaction follow in the next, and count once."""
    envelope = b'{"batch":[' + b",".join([_event("e")] * 4) + b"]}"
    records = [Sent(envelope, b"k", timestamp=RECENT + n, partition=0) for n in range(7)]
    produce(pipeline.servers, pipeline.names.raw, records)
    window = ("--from", format_time(RECENT + 1), "--to", format_time(RECENT + 6))
    few = {"TRACK_BATCH__MAX_OUTPUTS": "7"}
    said = _executed(pipeline, "--execute", *window, "--slack", "5m", env=few)
    assert (said["records"], said["enriched"], said["verification"]["ok"]) == (5, 20, True)
    enriched = read_topic(pipeline.servers, said["outputs"]["enriched"])
    sources = [dict(each.headers)[TrackHeader.SOURCE] for each in enriched]
    raw = pipeline.names.raw
    assert sources == [f"{raw}/0/{n}/{item}".encode() for n in range(1, 6) for item in range(4)]
    # Three transactions of two records, two records and one: each leaves a marker.
    assert enriched[-1].offset == 20 - 1 + 2


def test_range_whose_last_offsets_have_no_record_ends(pipeline: Pipeline) -> None:
    """A range whose last offsets have no record ends all the same."""
    _send(pipeline, {"one": RECENT, "two": RECENT + 1})
    _send(pipeline, {"gone": RECENT + 2}, committed=False)
    said = _executed(pipeline, "--execute", "--from", "0:1", "--to", "0:4")
    assert _names(pipeline, said["outputs"]["enriched"]) == ["two"]
    assert [part["position"] for part in said["partitions"]] == [4]


def test_invalid_times_are_unknown(pipeline: Pipeline, tmp_path: Path) -> None:
    """The plan does not know the times of a producer that gives Kafka microseconds."""
    raw, microseconds = pipeline.names.raw, RECENT * 1000
    limit = "message.timestamp.after.max.ms"
    set_topic_config(pipeline.servers, raw, limit, NO_TIME_LIMIT)
    _send(pipeline, {"one": microseconds, "two": RECENT, "three": microseconds})
    ran = _plan(pipeline)
    assert ran.code == ExitCode.OK, ran.err
    assert ran.out.decode().splitlines()[2].split("\t")[-2:] == ["", ""]
    (part, *_) = json.loads(_plan(pipeline, "--json").out)["partitions"]
    assert (part["first"], part["last"]) == (None, None)
    assert _plan(pipeline, "--dry-run").code == ExitCode.OK
    said = _executed(pipeline, "--execute")
    assert (said["enriched"], said["verification"]["ok"]) == (3, True)
    place = {"topic": "old", "partition": 0, "offset": 1, "timestamp": microseconds}
    file = tmp_path / "archive.ndjson"
    file.write_text(json.dumps(place | {"value": {"event": "E", "userId": "u"}}))
    ran = _plan(pipeline, "--from-file", str(file))
    assert "received from - to -" in ran.out.decode()
    document = json.loads(_plan(pipeline, "--json", "--from-file", str(file)).out)
    assert (document["archive"]["first"], document["archive"]["last"]) == (None, None)


def test_plan_writes_nothing(pipeline: Pipeline) -> None:
    """Without --execute there are no topics, no offsets and no plan after it."""
    _send(pipeline, {"one": RECENT})
    ran = _plan(pipeline, "--json")
    assert ran.code == ExitCode.OK, ran.err
    plan = json.loads(ran.out)
    assert [part["offsets"] for part in plan["partitions"]] == [2, 0, 0]
    assert plan["partitions"][1]["empty_because"] == f"{pipeline.names.raw} has no records here"
    assert not pipeline.admin.topics(plan["outputs"].values())
    assert plan["id"] not in pipeline.run("replay", "list").out.decode()
    assert pipeline.admin.committed(plan["group"], pipeline.names.raw) == {}


def test_live_group_and_topics_are_not_touched(pipeline: Pipeline) -> None:
    """The live worker's offsets and outputs are the same afterwards."""
    _send(pipeline, {"one": RECENT, "two": RECENT + 1})
    pipeline.start()
    pipeline.wait_until_done()
    before = pipeline.admin.committed(pipeline.names.raw, pipeline.names.raw), pipeline.found()
    said = _executed(pipeline, "--execute")
    after = pipeline.admin.committed(pipeline.names.raw, pipeline.names.raw), pipeline.found()
    assert after == before
    copies = read_topic(pipeline.servers, said["outputs"]["enriched"], "read_committed")
    assert {dict(each.headers)[TrackHeader.REPLAY] for each in copies} == {said["id"].encode()}


def test_id_is_enough_to_resume(pipeline: Pipeline, tmp_path: Path) -> None:
    """A replay goes on under the settings of its plan, also where none of them are given."""
    sales = [event(n, properties={"revenue": n}) for n in range(200)]
    produce(pipeline.servers, pipeline.names.raw, [Sent(sale) for sale in sales])
    config = tmp_path / "pipeline.toml"
    config.write_text('default_currency = "EUR"\n[dead_letter]\nconnect_headers = true\n')
    options = ("--config", str(config), "--workers", "2", "--rate", "100")
    process, id_ = begun(pipeline, *options)
    wait_for_records(pipeline, id_, 20)
    process.kill()
    process.wait()
    only_kafka = {"TRACK_KAFKA_BOOTSTRAP_SERVERS": pipeline.servers}
    ran = run_process(
        "replay", "--resume", id_, "--rate", "1000", env=only_kafka, timeout_s=PATIENCE_S
    )
    assert ran.code == ExitCode.OK, ran.err
    assert 'settings of its plan: default_currency = "EUR"' in ran.err
    written = read_topic(pipeline.servers, f"{pipeline.names.enriched}.replay.{id_}")
    assert len(written) == 200
    assert all(b'"currency":"EUR"' in (each.value or b"") for each in written)


def test_resume_under_other_rules_must_be_forced(pipeline: Pipeline) -> None:
    """A resume under other settings does not start unless it is forced; another id is unknown."""
    _send(pipeline, {"one": RECENT})
    said = _executed(pipeline, "--execute")
    other = {"TRACK_DEFAULT_CURRENCY": "EUR", "TRACK_CURRENCY__EXTRA_CODES": '["XBT"]'}
    refused = pipeline.run("replay", "--resume", said["id"], env=other)
    assert refused.code == ExitCode.KAFKA
    differing = (
        'default_currency is "USD" in its plan, not "EUR" (TRACK_DEFAULT_CURRENCY); '
        'currency.extra_codes is [] in its plan, not ["XBT"] (TRACK_CURRENCY__EXTRA_CODES)'
    )
    assert differing in refused.err
    unknown = pipeline.run("replay", "--resume", "nothing")
    assert (unknown.code, "no replay has the id nothing" in unknown.err) == (ExitCode.USAGE, True)
    forced = pipeline.start_command("replay", "--resume", said["id"], "--force", env=other)
    assert forced.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-2")


def test_lost_offsets_are_rebuilt_from_outputs(pipeline: Pipeline) -> None:
    """After the offsets are lost nothing is written a second time."""
    _send(pipeline, {str(n): RECENT + n for n in range(50)})
    first = _executed(pipeline, "--execute", "--max", "20")
    forget_offsets(pipeline, first["id"])
    resumed = _executed(pipeline, "--resume", first["id"], number=2)
    counts = Counter(_names(pipeline, first["outputs"]["enriched"]))
    assert counts == Counter(str(n) for n in range(first["enriched"]))
    assert resumed["verification"]["ok"]


def test_limit_is_divided_among_workers(pipeline: Pipeline) -> None:
    """Each worker has its share of --max, so that there are never more records."""
    counts = {0: 30, 1: 2, 2: 0}
    sent = [Sent(event(n), partition=at) for at, count in counts.items() for n in range(count)]
    produce(pipeline.servers, pipeline.names.raw, sent)
    said = _executed(pipeline, "--execute", "--max", "11", "--workers", "2")
    assert (said["records"], said["finished"], said["verification"]["ok"]) == (6 + 2, True, True)


def test_duplicated_output_is_found(pipeline: Pipeline) -> None:
    """A copy of one output, by whomever, makes the verification fail: exit code 1."""
    _send(pipeline, {"one": RECENT, "two": RECENT + 1})
    said = _executed(pipeline, "--execute")
    topic = said["outputs"]["enriched"]
    copy = read_topic(pipeline.servers, topic, "read_committed")[0]
    again = Sent(copy.value, copy.key, copy.headers, partition=0)
    produce(pipeline.servers, topic, [again])
    process = pipeline.start_command("replay", "--resume", said["id"])
    assert process.wait(PATIENCE_S) == ExitCode.DIFFERENCE
    assert "1 outputs are duplicates" in pipeline.text("command-2")


def test_too_many_invalid_events_stop_it(pipeline: Pipeline) -> None:
    """Above the ratio it stops with 6, and writes nothing of the batch."""
    produce(pipeline.servers, pipeline.names.raw, [Sent(b"{}", partition=0)] * 600)
    process = pipeline.start_command("replay", "--execute", "--max-invalid-ratio", "0.2")
    assert process.wait(PATIENCE_S) == ExitCode.BREAKER
    assert "600 of 600 events would be rejected" in pipeline.text("command-1")


def test_ratio_counts_at_the_end_of_few_events(pipeline: Pipeline) -> None:
    """At the end the share counts of any number; a resume with another ratio goes on."""
    good, bad = [Sent(event(n), partition=0) for n in range(4)], [Sent(b"{}", partition=0)] * 6
    produce(pipeline.servers, pipeline.names.raw, [*good, *bad])
    process, id_ = begun(pipeline)
    assert process.wait(PATIENCE_S) == ExitCode.BREAKER
    assert "6 of 10 events would be rejected (60.0%)" in pipeline.text("command-1")
    assert json.loads(pipeline.run("replay", "status", id_, "--json").out)["records"] == 0
    ended = _executed(pipeline, "--resume", id_, "--max-invalid-ratio", "0.6", number=2)
    assert (ended["enriched"], ended["dead_letters"]) == (4, 6)


def test_ratio_counts_all_workers_together(pipeline: Pipeline) -> None:
    """A worker that has rejected all of its few events stops nothing: the share of all counts."""
    good, bad = [Sent(event(n), partition=0) for n in range(9)], [Sent(b"{}", partition=1)] * 6
    produce(pipeline.servers, pipeline.names.raw, [*good, *bad])
    said = _executed(pipeline, "--execute", "--workers", "2")
    assert (said["enriched"], said["dead_letters"]) == (9, 6)
    strict = ("--execute", "--workers", "2", "--max-invalid-ratio", "0.3")
    process = pipeline.start_command("replay", *strict)
    assert process.wait(PATIENCE_S) == ExitCode.BREAKER
    assert "6 of 15 events were rejected (40.0%)" in pipeline.text("command-2")


def test_breaker_stops_it_and_remembers(pipeline: Pipeline) -> None:
    """A replay stops with 6 when many more events are invalid than before, also when resumed."""
    good, bad = [Sent(event(n), partition=0) for n in range(1000)], [Sent(b"{}", partition=0)] * 900
    produce(pipeline.servers, pipeline.names.raw, [*good, *bad])
    small = {"TRACK_BATCH__MAX_RECORDS": "250"}
    lenient = ("--max-invalid-ratio", "1")
    process = pipeline.start_command("replay", "--execute", "--breaker", *lenient, env=small)
    assert process.wait(PATIENCE_S) == ExitCode.BREAKER
    said = pipeline.text("command-1")
    assert "250 of the last 750 events would be rejected (33.3%, usual in this replay" in said
    id_ = said.split("--resume ")[1].split("`")[0]
    again = pipeline.start_command("replay", "--resume", id_, env=small)
    assert again.wait(PATIENCE_S) == ExitCode.BREAKER
    assert json.loads(pipeline.run("replay", "status", id_, "--json").out)["enriched"] == len(good)
    ended = _executed(pipeline, "--resume", id_, "--no-breaker", number=3)
    assert (ended["enriched"], ended["dead_letters"], ended["verification"]["ok"]) == (
        1000,
        900,
        True,
    )


def test_redriven_copies_are_written_once(pipeline: Pipeline) -> None:
    """A dead letter that was sent to the raw topic again is in it twice, and written once."""
    sent = [Sent(event(n), b"k", (), RECENT + n, n % 3) for n in range(60)]
    produce(pipeline.servers, pipeline.names.raw, sent)
    origins = [f"{pipeline.names.raw}/0/{offset}".encode() for offset in range(10)]
    again = [
        Sent(event(70), b"k", [(TrackHeader.ORIGIN, each)], RECENT + 99, 1) for each in origins
    ]
    produce(pipeline.servers, pipeline.names.raw, again)
    believed = {"TRACK_ACCEPT_ORIGIN_HEADERS": "true"}
    for number, workers in enumerate(("1", "2"), 1):
        flags = ("--execute", "--json", "--workers", workers)
        process = pipeline.start_command("replay", *flags, env=believed)
        assert process.wait(PATIENCE_S) == ExitCode.OK, pipeline.text(f"command-{number}")
        text = pipeline.text(f"command-{number}")
        said = json.loads(next(line for line in text.splitlines() if line.startswith('{"id"')))
        assert (said["enriched"], said["dropped"]) == (60, {"copied": 10})
        assert "10 records are copies" in text
        copies = read_topic(pipeline.servers, said["outputs"]["enriched"])
        assert len({dict(each.headers)[TrackHeader.SOURCE] for each in copies}) == len(copies)
    doubled = Sent(copies[0].value, copies[0].key, copies[0].headers, partition=0)
    produce(pipeline.servers, said["outputs"]["enriched"], [doubled])
    process = pipeline.start_command("replay", "--resume", said["id"], env=believed)
    assert process.wait(PATIENCE_S) == ExitCode.DIFFERENCE
    assert "1 outputs are duplicates" in pipeline.text("command-3")


def test_resume_looks_for_copies_in_what_is_left(pipeline: Pipeline) -> None:
    """A resume looks for copies in what retention has left: what is done needs no record."""
    sent = [Sent(event(n), b"k", (), RECENT + n, 0) for n in range(20)]
    produce(pipeline.servers, pipeline.names.raw, sent)
    believed = {"TRACK_ACCEPT_ORIGIN_HEADERS": "true"}
    first = pipeline.start_command("replay", "--execute", "--max", "10", env=believed)
    assert first.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-1")
    id_ = pipeline.text("command-1").split(" begins")[0].split()[-1]
    delete_records(pipeline.servers, pipeline.names.raw, partition=0, before=10)
    again = pipeline.start_command("replay", "--resume", id_, env=believed)
    assert again.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-2")


def test_selected_events_go_to_the_live_topic_on_request(pipeline: Pipeline) -> None:
    """Only selected events are written, with a mark, and into the live topic on request."""
    _send(pipeline, {"one": RECENT, "two": RECENT + 1, "three": RECENT + 2})
    said = _executed(pipeline, "--execute", "--into-live", "--event", "two", "--event", "three")
    assert _names(pipeline, pipeline.names.enriched) == ["two", "three"]
    assert (said["records"], said["left_out"]) == (2, 1)
    assert "its readers see these events again" in pipeline.text("command-1")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--from", "2999-01-01"), "is in the future"),
        (("--from", "2020-01-02", "--to", "2020-01-01"), "--from must be earlier than --to"),
        (("--from", "9:0"), "has no partition 9"),
        (("--from", "0:99999999"), "there is no offset 99999999"),
        (("--from", "yesterday"), "is not a valid start or end"),
    ],
)
def test_wrong_bounds_are_named(
    module_pipeline: Pipeline, options: tuple[str, ...], sentence: str
) -> None:
    """A start or an end that is not valid is named in a sentence."""
    ran = module_pipeline.run("replay", *options)
    assert ran.code in {ExitCode.USAGE, ExitCode.DATA_LOSS}
    assert sentence in " ".join(ran.err.split())


def test_topic_that_was_created_anew_is_not_resumed(pipeline: Pipeline) -> None:
    """Offsets of a topic that is gone mean nothing in the new one."""
    _send(pipeline, {"one": RECENT})
    said = _executed(pipeline, "--execute")
    delete_topics(pipeline.servers, [pipeline.names.raw])
    pipeline.create_topics()
    ran = pipeline.run("replay", "--resume", said["id"])
    assert ran.code == ExitCode.KAFKA
    assert "was deleted and created anew" in ran.err


def test_record_that_the_broker_refuses_is_dead_lettered(pipeline: Pipeline) -> None:
    """One record is dead-lettered alone, though the producer is spent each time it is tried."""
    small = pipeline.names.enriched + ".small"
    random_text = secrets.token_hex(5000)  # it can't be compressed
    config = {"max.message.bytes": "3000"}
    pipeline.admin.create([TopicSpec(small, 3, 1, config)])
    names = [random_text if n == 30 else str(n) for n in range(60)]
    _send(pipeline, {name: RECENT + n for n, name in enumerate(names)})
    said = _executed(pipeline, "--execute", "--output", small)
    written = _names(pipeline, small)
    delete_topics(pipeline.servers, [small])
    assert written == [name for name in names if len(name) < 10]
    assert said["reasons"] == {"enriched_too_large": 1}
    assert said["verification"]["ok"]
