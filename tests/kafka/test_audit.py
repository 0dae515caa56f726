"""`track-pipeline audit` checks on a real broker what real workers wrote."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from pipeline.core.headers import TrackHeader
from pipeline.core.time_window import ALL_TIME, Window
from pipeline.core.timestamps import DAY
from pipeline.errors import ExitCode
from pipeline.reconcile.audit import AuditRequest, AuditResult, audit
from pipeline.settings.model import Settings, load_settings
from tests.brokers import (
    RECENT,
    Sent,
    Stored,
    create_topics,
    delete_records,
    open_transaction,
    produce,
    produce_in_transaction,
    read_topic,
    unique,
    wait_for_markers,
)
from tests.fake_topics import event
from tests.kafka.worker_process import Pipeline, terminate
from tests.unit.cli.program import Ran
from tests.unit.cli.program import run as run_program

pytestmark = pytest.mark.kafka
BATCH: Final = b'{"batch": [{"event": "E", "userId": "u"}, {"event": "F", "userId": "u"}, 3]}'
SALE: Final = event(properties={"revenue": "19.99", "currency": "EUR"})


def _mixed(count: int) -> list[Sent]:
    """Return good events with and without revenue, batches, and events to reject."""
    values = [event(1), SALE, BATCH, b"{", SALE.replace(b"userId", b"nobody"), None]
    return [
        Sent(values[n % 6], b"u%d" % (n % 7), [("trace", b"%d" % n)], RECENT + n, n % 3)
        for n in range(count)
    ]


def _settings(pipeline: Pipeline, **settings: str) -> Settings:
    return load_settings(None, {}, _variables(pipeline, **settings))


def _variables(pipeline: Pipeline, **settings: str) -> dict[str, str]:
    return {
        "TRACK_KAFKA_BOOTSTRAP_SERVERS": pipeline.servers,
        "TRACK_GROUP": pipeline.names.raw,
        **{f"TRACK_TOPICS__{n.upper()}": t for n, t in pipeline.names._asdict().items()},
        **{f"TRACK_{n.upper()}": value for n, value in settings.items()},
    }


def _audit(pipeline: Pipeline, window: Window = ALL_TIME, **settings: str) -> AuditResult:
    return audit(_settings(pipeline, **settings), AuditRequest(window, revenue=True))


def _command(pipeline: Pipeline, *flags: str, **settings: str) -> Ran:
    ran = run_program("audit", *flags, env=_variables(pipeline, **settings))
    assert "Traceback" not in ran.err
    return ran


def _work(pipeline: Pipeline, sent: Iterable[Sent], **settings: str) -> None:
    """Let a worker process these records."""
    produce(pipeline.servers, pipeline.names.raw, sent)
    worker = pipeline.start(**settings)
    pipeline.wait_until_done()
    assert terminate(worker) == 0


def _again(stored: Stored, **changed: Any) -> Sent:
    """Return a stored record in the form in which it is written."""
    value, key, headers, timestamp, partition, _ = stored._replace(**changed)
    return Sent(value, key, headers, timestamp, partition)


def _rewritten(pipeline: Pipeline, change: Callable[[list[Stored]], list[Stored]]) -> str:
    """Make a new enriched topic with the changed records of the old one, and return its name."""
    name = unique("rewritten")
    create_topics(pipeline.servers, name, partitions=3)
    stored = change(read_topic(pipeline.servers, pipeline.names.enriched))
    produce(pipeline.servers, name, [_again(each) for each in stored])
    return name


@pytest.fixture
def worked(pipeline: Pipeline) -> Pipeline:
    """A pipeline whose worker has done its work and was stopped."""
    _work(pipeline, _mixed(300), batch__max_records="40")
    return pipeline


def test_output_of_a_worker_adds_up(worked: Pipeline) -> None:
    """Events and revenue add up; the command says so as text and as JSON."""
    result = _audit(worked)
    assert result.ok, result.discrepancies
    assert (result.records, result.events, result.enriched) == (300, 400, 200)
    assert result.revenue is not None
    (total,) = result.revenue.to_dict()["totals"]
    sums = [total[name] for name in ("sent", "delivered", "blocked", "difference")]
    assert sums == ["1999.00", "999.50", "999.50", "0.00"]
    shown = _command(worked, "--revenue")
    assert shown.code == ExitCode.OK
    assert "It adds up: each of 400 events has exactly its outcome" in shown.out.decode()
    assert "999.50" in shown.out.decode()
    assert "reading the outputs: 100 %" in shown.err
    document = json.loads(_command(worked, "--json", "--revenue").out)
    assert document["ok"]
    assert document["revenue"]["totals"][0]["difference"] == "0.00"
    # The group was not touched, and no other one was made.
    assert worked.committed() == worked.progress().total


def test_duplicate_is_found(worked: Pipeline) -> None:
    """A copy of an enriched event is named, its revenue is surplus, and the exit code is 1."""
    stored = read_topic(worked.servers, worked.names.enriched)
    sale = next(each for each in stored if b"19.99" in (each.value or b""))
    produce(worked.servers, worked.names.enriched, [_again(sale)])
    ran = _command(worked, "--revenue")
    assert ran.code == ExitCode.DIFFERENCE
    out = ran.out.decode()
    assert dict(sale.headers)[TrackHeader.SOURCE].decode() in out  # type: ignore[union-attr]
    assert "-19.99" in out
    assert "It does not add up: 1 duplicated, revenue that does not balance" in out


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda stored: stored[1:], "missing"),
        (lambda stored: [_with_other_user(stored[0]), *stored[1:]], "mismatched"),
        (lambda stored: [stored[7], *stored[1:7], stored[0], *stored[8:]], "out_of_order"),
    ],
)
def test_single_change_is_found(worked: Pipeline, change: Any, kind: str) -> None:
    """The only change in a rewritten topic is found and named."""
    stored = read_topic(worked.servers, worked.names.enriched)
    source = dict(stored[0].headers)[TrackHeader.SOURCE]
    name = _rewritten(worked, change)
    ran = _command(worked, "--json", "--enriched-topic", name)
    assert ran.code == ExitCode.DIFFERENCE
    document = json.loads(ran.out)
    assert document[kind] >= 1
    assert sum(
        document[other] for other in ("missing", "duplicated", "orphaned", "mismatched")
    ) == (kind != "out_of_order")
    if kind != "out_of_order":
        assert [discrepancy["source"].encode() for discrepancy in document["discrepancies"]] == [
            source
        ]


def _with_other_user(stored: Stored) -> Stored:
    return stored._replace(value=(stored.value or b"").replace(b'"userId":"u"', b'"userId":"v"'))


def test_aborted_outputs_do_not_count(worked: Pipeline) -> None:
    """Copies in an aborted transaction are not read."""
    stored = read_topic(worked.servers, worked.names.enriched)
    _in_transaction(worked, stored[:50]).abort_transaction()
    assert _audit(worked).ok


def test_open_transaction_is_waited_for(worked: Pipeline) -> None:
    """The audit waits for an open transaction before the captured ends."""
    stored = read_topic(worked.servers, worked.names.enriched)
    producer = _in_transaction(worked, stored[:1])
    produce(worked.servers, worked.names.enriched, [_again(stored[1])])  # behind it, committed
    results: list[AuditResult] = []
    thread = threading.Thread(target=lambda: results.append(_audit(worked)))
    thread.start()
    thread.join(1.0)
    assert thread.is_alive()
    producer.commit_transaction(10)
    thread.join(60)
    assert results[0].duplicated == 2


def test_open_transaction_that_nobody_ends(worked: Pipeline) -> None:
    """The audit soon says what it waits for, and in the end that it gave up."""
    stored = read_topic(worked.servers, worked.names.enriched)
    producer = _in_transaction(worked, stored[:1])
    ran = _command(worked, startup_timeout_s="5", transaction_timeout_ms="1000")
    assert ran.code == ExitCode.KAFKA
    words = [line for line in ran.err.splitlines() if "is a transaction still open?" in line]
    assert len(words) == 2
    assert "does not go on" in words[0]
    assert "did not go on for 6 s" in words[1]
    producer.abort_transaction(10)


def _in_transaction(pipeline: Pipeline, copies: Iterable[Stored]) -> Producer:
    """Open a transaction with copies of enriched events."""
    producer = Producer(
        {
            "bootstrap.servers": pipeline.servers,
            "transactional.id": unique("intruder"),
            "log_level": 0,
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for each in copies:
        producer.produce(
            pipeline.names.enriched,
            each.value,
            each.key,
            each.partition,
            timestamp=each.timestamp,
            headers=list(each.headers),
        )
    producer.flush(30)
    return producer


def test_audit_adds_up_while_workers_run(pipeline: Pipeline) -> None:
    """What two workers have committed adds up at any moment."""
    produce(pipeline.servers, pipeline.names.raw, _mixed(6000))
    workers = [pipeline.start(name, batch__max_records="100") for name in ("w1", "w2")]
    pipeline.wait_for(lambda: pipeline.committed() > 0, "the first commit")
    while pipeline.committed() < pipeline.progress().total:
        result = _audit(pipeline)
        assert result.ok, result.discrepancies
        assert result.records
    assert [terminate(worker) for worker in workers] == [0, 0]
    assert _audit(pipeline).records == 6000


def test_partition_counts_may_differ(bare_pipeline: Pipeline) -> None:
    """Raw records of three partitions have outputs in two, by the hash of their keys."""
    names = bare_pipeline.names
    create_topics(bare_pipeline.servers, names.raw, partitions=3)
    room = {"max.message.bytes": "2000000"}
    create_topics(
        bare_pipeline.servers, names.enriched, names.dead_letter, partitions=2, config=room
    )
    _work(bare_pipeline, _mixed(120))
    result = _audit(bare_pipeline)
    assert result.ok, result.discrepancies
    produce(bare_pipeline.servers, names.enriched, [Sent(b"{}", b"k", (), RECENT, 0)])
    assert _audit(bare_pipeline).orphaned == 1


def test_identify_messages_are_audited(pipeline: Pipeline) -> None:
    """Identify messages are audited when rules ask for them."""
    rules: dict[str, Any] = {"identify": '[{"event": "*"}]'}
    value = event(1, context={"traits": {"plan": "pro"}})
    _work(pipeline, [Sent(value, b"u", (), RECENT + n, n % 3) for n in range(9)], **rules)
    result = _audit(pipeline, **rules)
    assert (result.ok, result.identify) == (True, 9)
    stored = read_topic(pipeline.servers, pipeline.names.identify)
    produce(pipeline.servers, pipeline.names.identify, [_again(stored[0])])
    assert _audit(pipeline, **rules).duplicated == 1


def test_other_settings_are_reported(worked: Pipeline) -> None:
    """Under other settings outputs are checked for presence, and the audit says so."""
    ran = _command(worked, default_currency="CHF")
    assert ran.code == ExitCode.OK
    assert "400 outputs under another contract" in ran.out.decode()


def test_window_selects_raw_records(worked: Pipeline) -> None:
    """Outputs of records outside the window are neither missing nor orphaned."""
    result = _audit(worked, Window(RECENT + 60, RECENT + 120))
    assert (result.ok, result.records) == (True, 60), result.discrepancies
    stored = read_topic(worked.servers, worked.names.enriched)
    inside = next(each for each in stored if each.timestamp == RECENT + 60)
    before = next(each for each in stored if each.timestamp < RECENT + 60)
    produce(worked.servers, worked.names.enriched, [_again(before), _again(inside)])
    assert _audit(worked, Window(RECENT + 60, RECENT + 120)).duplicated == 1
    assert _audit(worked, Window(RECENT + 999_999_999)).records == 0
    flags = ("--from", "2h", "--to", "2h")
    assert _command(worked, *flags).code == ExitCode.USAGE
    assert (
        json.loads(_command(worked, "--json", "--from", "-3d", "--to", "latest").out)["records"]
        == 300
    )


def test_window_of_records_older_than_their_transactions(pipeline: Pipeline) -> None:
    """A transaction's marker has the time of the clock, but ends no window of older records."""
    start = RECENT - 3 * DAY
    for first in (0, 2):
        sent = [Sent(event(), b"u", (), start + first + n, 0) for n in range(2)]
        produce_in_transaction(pipeline.servers, pipeline.names.raw, sent)
    _work(pipeline, [Sent(event(), b"u", (), RECENT, 0)])
    result = _audit(pipeline, Window(start, start + 10))
    assert (result.ok, result.records) == (True, 4), result.discrepancies


def test_invisible_offsets_are_not_outstanding(pipeline: Pipeline) -> None:
    """Markers and aborted records at the end are not outstanding, committed records are."""
    servers, raw = pipeline.servers, pipeline.names.raw
    produce_in_transaction(servers, raw, [Sent(event(), b"u", (), RECENT, n) for n in range(3)])
    produce_in_transaction(servers, raw, [Sent(event(), b"u", (), RECENT, 0)], committed=False)
    _work(pipeline, [])
    assert (_audit(pipeline).records, _audit(pipeline).notes) == (3, [])
    killed = unique("group")  # in the moment before it has come to the end
    for number in range(3):
        _commit(pipeline, killed, TopicPartition(raw, number, 1))
    result = _audit(pipeline, group=killed)
    assert (result.ok, result.records, result.notes) == (True, 3, [])
    opened = open_transaction(servers, raw, [Sent(event(), b"u", (), RECENT, 1)], raw)
    result = _audit(pipeline, accept_origin_headers="true", transaction_timeout_ms="900000")
    assert (result.ok, result.records, result.notes) == (True, 3, [])
    opened.commit_transaction(30)
    wait_for_markers(servers, raw)
    assert "has not committed the last 2 offsets" in _audit(pipeline).notes[0]


def test_retention_is_reported(worked: Pipeline) -> None:
    """Deleted raw records are reported, and outputs that expired before them are not missing."""
    delete_records(worked.servers, worked.names.raw, partition=0, before=10)
    delete_records(worked.servers, worked.names.enriched, partition=1, before=7)
    result = _audit(worked)
    assert result.ok, result.discrepancies
    assert result.records == 290
    assert result.excluded["expired"]
    assert "retention has deleted the first raw records" in result.notes[0]


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--raw-topic", "no.such.topic"), ExitCode.KAFKA, "no.such.topic"),
        (("--enriched-topic", "no.such.topic"), ExitCode.KAFKA, "no.such.topic"),
        (("--group", "nobody"), ExitCode.USAGE, "nobody has committed no offsets"),
        (("--from", "yesterday"), ExitCode.USAGE, "'yesterday' is not a valid time"),
        (("--from", "latest"), ExitCode.USAGE, "earliest for no limit"),
        (("--spill-dir", "no/such/folder"), ExitCode.USAGE, "no/such/folder"),
    ],
)
def test_wrong_usage_is_explained(
    pipeline: Pipeline, flags: tuple[str, ...], code: ExitCode, said: str
) -> None:
    """A sentence names what is wrong."""
    ran = _command(pipeline, *flags)
    assert ran.code == code
    assert said in ran.err


def test_recreated_topic_is_recognised(worked: Pipeline) -> None:
    """Committed offsets beyond the end of the raw topic belong to another one."""
    other = unique("other")
    create_topics(worked.servers, other, partitions=3)
    produce(worked.servers, other, _mixed(3))
    group = unique("group")
    _commit(worked, group, TopicPartition(other, 0, 50))
    ran = _command(worked, "--raw-topic", other, "--group", group)
    assert ran.code == ExitCode.DATA_LOSS
    assert "deleted and created again" in ran.err


def _commit(pipeline: Pipeline, group: str, place: TopicPartition) -> None:
    """Commit an offset for a group without members."""
    consumer = Consumer({"bootstrap.servers": pipeline.servers, "group.id": group})
    consumer.commit(offsets=[place], asynchronous=False)
    consumer.close()
