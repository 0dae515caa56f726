"""`track-pipeline audit` on a real broker, over what real workers wrote."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from pipeline.cli.audit import run_audit
from pipeline.core.headers import TrackHeader
from pipeline.core.time_window import ALL_TIME, Window
from pipeline.core.timestamps import DAY
from pipeline.errors import ExitCode
from pipeline.reconcile.audit import AuditOptions, AuditResult
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
)
from tests.forged_headers import event
from tests.kafka.worker_process import Pipeline, terminate
from tests.unit.cli.program import Ran
from tests.unit.cli.program import run as run_program

pytestmark = pytest.mark.kafka
BATCH: Final = b'{"batch": [{"event": "E", "userId": "u"}, {"event": "F", "userId": "u"}, 3]}'
SALE: Final = event(properties={"revenue": "19.99", "currency": "EUR"})


def _mixed(count: int) -> list[Sent]:
    """Good events with and without money, batches, and what is refused."""
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
    return run_audit(_settings(pipeline, **settings), window, AuditOptions(money=True))


def _command(pipeline: Pipeline, *flags: str, **settings: str) -> Ran:
    ran = run_program("audit", *flags, env=_variables(pipeline, **settings))
    assert "Traceback" not in ran.err
    return ran


def _work(pipeline: Pipeline, sent: Iterable[Sent], **settings: str) -> None:
    """Let a worker process records to their end."""
    produce(pipeline.servers, pipeline.names.raw, sent)
    worker = pipeline.start(**settings)
    pipeline.wait_until_done()
    assert terminate(worker) == 0


def _again(stored: Stored, **changed: Any) -> Sent:
    """A record as it would be written once more."""
    value, key, headers, timestamp, partition, _ = stored._replace(**changed)
    return Sent(value, key, headers, timestamp, partition)


def _rewritten(pipeline: Pipeline, change: Callable[[list[Stored]], list[Stored]]) -> str:
    """The name of a new enriched topic with the records of the old one, changed."""
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


def test_what_a_worker_wrote(worked: Pipeline) -> None:
    """It adds up, money too; the command says so in a table and in JSON."""
    result = _audit(worked)
    assert result.ok, result.offences
    assert (result.records, result.events, result.enriched) == (300, 400, 200)
    assert result.money is not None
    (total,) = result.money.plain()["totals"]
    sums = [total[name] for name in ("sent", "delivered", "held_back", "difference")]
    assert sums == ["1999.00", "999.50", "999.50", "0.00"]
    shown = _command(worked, "--money")
    assert shown.code == ExitCode.OK
    assert "It adds up: each of 400 events has exactly its outcome" in shown.out.decode()
    assert "999.50" in shown.out.decode()
    assert "reading the outputs: 100 %" in shown.err
    document = json.loads(_command(worked, "--json", "--money").out)
    assert document["ok"]
    assert document["money"]["totals"][0]["difference"] == "0.00"
    # The group was not touched, and no other one was made.
    assert worked.committed() == worked.progress().total


def test_doubled(worked: Pipeline) -> None:
    """A copy of an enriched event: exit 1, its coordinates, and the money that is too much."""
    stored = read_topic(worked.servers, worked.names.enriched)
    sale = next(each for each in stored if b"19.99" in (each.value or b""))
    produce(worked.servers, worked.names.enriched, [_again(sale)])
    ran = _command(worked, "--money")
    assert ran.code == ExitCode.DIFFERENCE
    out = ran.out.decode()
    assert dict(sale.headers)[TrackHeader.SOURCE].decode() in out  # type: ignore[union-attr]
    assert "-19.99" in out
    assert "It does not add up: 1 doubled, money that is not accounted for" in out


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda stored: stored[1:], "lost"),
        (lambda stored: [_with_other_user(stored[0]), *stored[1:]], "different"),
        (lambda stored: [stored[7], *stored[1:7], stored[0], *stored[8:]], "out_of_order"),
    ],
)
def test_spoilt(worked: Pipeline, change: Any, kind: str) -> None:
    """The same topic but for one thing: that one is found and named."""
    stored = read_topic(worked.servers, worked.names.enriched)
    source = dict(stored[0].headers)[TrackHeader.SOURCE]
    name = _rewritten(worked, change)
    ran = _command(worked, "--json", "--enriched-topic", name)
    assert ran.code == ExitCode.DIFFERENCE
    document = json.loads(ran.out)
    assert document[kind] >= 1
    assert sum(document[other] for other in ("lost", "doubled", "invented", "different")) == (
        kind != "out_of_order"
    )
    if kind != "out_of_order":
        assert [offence["source"].encode() for offence in document["offences"]] == [source]


def _with_other_user(stored: Stored) -> Stored:
    return stored._replace(value=(stored.value or b"").replace(b'"userId":"u"', b'"userId":"v"'))


def test_aborted_outputs_do_not_count(worked: Pipeline) -> None:
    """Copies in a transaction that was aborted are seen by nobody."""
    stored = read_topic(worked.servers, worked.names.enriched)
    _in_transaction(worked, stored[:50]).abort_transaction()
    assert _audit(worked).ok


def test_open_transaction_is_waited_for(worked: Pipeline) -> None:
    """The ends are beyond a transaction that is open; the audit waits until it is decided."""
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
    assert results[0].doubled == 2


def test_open_transaction_that_nobody_ends(worked: Pipeline) -> None:
    """The audit says after a moment what it waits for, and in the end that it was in vain."""
    stored = read_topic(worked.servers, worked.names.enriched)
    producer = _in_transaction(worked, stored[:1])
    ran = _command(worked, startup_timeout_s="1", transaction_timeout_ms="1000")
    assert ran.code == ExitCode.KAFKA
    words = [line for line in ran.err.splitlines() if "is a transaction still open?" in line]
    assert len(words) == 2
    assert "does not go on" in words[0]
    assert "did not go on for 2 s" in words[1]
    producer.abort_transaction(10)


def _in_transaction(pipeline: Pipeline, copies: Iterable[Stored]) -> Producer:
    """A transaction with copies of enriched events, still open."""
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


def test_while_workers_run(pipeline: Pipeline) -> None:
    """Audits in the middle of the work of two workers: what is committed adds up."""
    produce(pipeline.servers, pipeline.names.raw, _mixed(6000))
    workers = [pipeline.start(name, batch__max_records="100") for name in ("w1", "w2")]
    pipeline.wait_for(lambda: pipeline.committed() > 0, "the first commit")
    while pipeline.committed() < pipeline.progress().total:
        result = _audit(pipeline)
        assert result.ok, result.offences
        assert result.records
    assert [terminate(worker) for worker in workers] == [0, 0]
    assert _audit(pipeline).records == 6000


def test_other_partition_counts(bare_pipeline: Pipeline) -> None:
    """Raw records of three partitions whose outputs are in two, by the hash of their keys."""
    names = bare_pipeline.names
    create_topics(bare_pipeline.servers, names.raw, partitions=3)
    room = {"max.message.bytes": "2000000"}
    create_topics(
        bare_pipeline.servers, names.enriched, names.dead_letter, partitions=2, config=room
    )
    _work(bare_pipeline, _mixed(120))
    result = _audit(bare_pipeline)
    assert result.ok, result.offences
    produce(bare_pipeline.servers, names.enriched, [Sent(b"{}", b"k", (), RECENT, 0)])
    assert _audit(bare_pipeline).invented == 1


def test_identify(pipeline: Pipeline) -> None:
    """Identify messages are part of the proof when rules ask for them."""
    rules: dict[str, Any] = {"identify": '[{"event": "*"}]'}
    value = event(1, context={"traits": {"plan": "pro"}})
    _work(pipeline, [Sent(value, b"u", (), RECENT + n, n % 3) for n in range(9)], **rules)
    result = _audit(pipeline, **rules)
    assert (result.ok, result.identify) == (True, 9)
    stored = read_topic(pipeline.servers, pipeline.names.identify)
    produce(pipeline.servers, pipeline.names.identify, [_again(stored[0])])
    assert _audit(pipeline, **rules).doubled == 1


def test_other_rules(worked: Pipeline) -> None:
    """Audited under other settings, outputs are checked for presence, and that is said."""
    ran = _command(worked, default_currency="CHF")
    assert ran.code == ExitCode.OK
    assert "400 outputs under another contract" in ran.out.decode()


def test_windows(worked: Pipeline) -> None:
    """Only raw records of a time; the rest is outside, not lost or invented."""
    result = _audit(worked, Window(RECENT + 60, RECENT + 120))
    assert (result.ok, result.records) == (True, 60), result.offences
    stored = read_topic(worked.servers, worked.names.enriched)
    inside = next(each for each in stored if each.timestamp == RECENT + 60)
    before = next(each for each in stored if each.timestamp < RECENT + 60)
    produce(worked.servers, worked.names.enriched, [_again(before), _again(inside)])
    assert _audit(worked, Window(RECENT + 60, RECENT + 120)).doubled == 1
    assert _audit(worked, Window(RECENT + 999_999_999)).records == 0
    flags = ("--from", "2h", "--to", "2h")
    assert _command(worked, *flags).code == ExitCode.USAGE
    assert (
        json.loads(_command(worked, "--json", "--from", "-3d", "--to", "latest").out)["records"]
        == 300
    )


def test_window_of_records_older_than_their_transactions(pipeline: Pipeline) -> None:
    """A transaction's marker has the time of the clock; it ends no window of older records."""
    start = RECENT - 3 * DAY
    for first in (0, 2):
        sent = [Sent(event(), b"u", (), start + first + n, 0) for n in range(2)]
        produce_in_transaction(pipeline.servers, pipeline.names.raw, sent)
    _work(pipeline, [Sent(event(), b"u", (), RECENT, 0)])
    result = _audit(pipeline, Window(start, start + 10))
    assert (result.ok, result.records) == (True, 4), result.offences


def test_transactional_senders(pipeline: Pipeline) -> None:
    """Offsets without a record that anybody sees are not outstanding; those of records are."""
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
    assert "has not committed the last 2 raw offsets" in _audit(pipeline).notes[0]


def test_retention(worked: Pipeline) -> None:
    """Deleted raw records are said; outputs deleted before their raw records are no loss."""
    delete_records(worked.servers, worked.names.raw, partition=0, before=10)
    delete_records(worked.servers, worked.names.enriched, partition=1, before=7)
    result = _audit(worked)
    assert result.ok, result.offences
    assert result.records == 290
    assert result.apart["expired"]
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
def test_bad_input(pipeline: Pipeline, flags: tuple[str, ...], code: ExitCode, said: str) -> None:
    """A sentence that names what is wrong."""
    ran = _command(pipeline, *flags)
    assert ran.code == code
    assert said in ran.err


def test_topic_created_anew(worked: Pipeline) -> None:
    """Committed offsets beyond the end of the raw topic: it is another one."""
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
