"""What the worker promises, on the in-memory broker and on a real Kafka alike."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

from pipeline.core.headers import TrackHeader
from pipeline.core.record import Output, Role
from pipeline.demo.generate import Generator
from pipeline.ports import Lag
from tests.brokers import RECENT, Sent
from tests.hostile import EVENT, FORGED, HOSTILE, OK
from tests.support import header
from tests.unit.worker.brokers import PARTITIONS, Harness, in_order
from tests.unit.worker.harness import LIMITS, NOW, processor


def _expected(harness: Harness, **settings: object) -> list[Output]:
    """What the contract makes of the raw records, as a reader should see it."""
    contract = processor(**settings)
    outputs = [output for record in harness.raw() for output in contract.process(record, NOW)]
    return in_order(
        output._replace(headers=list(output.headers), reason="", revenue=None)
        for output in outputs
        if output.role is not Role.DROPPED
    )


def _seen(harness: Harness) -> list[Output]:
    return [
        output._replace(headers=list(output.headers), reason="", revenue=None)
        for output in harness.outputs()
    ]


def test_hostile_records_get_the_outcome_of_their_row(harness: Harness) -> None:
    """Every hostile record gets the outcome of its row; bytes, headers, key and place are right."""
    rows = list(HOSTILE)
    harness.write(
        Sent(row.value, f"k{n}".encode(), row.headers, RECENT + n, n % PARTITIONS)
        for n, row in enumerate(rows)
    )
    meter = harness.work(len(rows))
    wanted = Counter(outcome for row in rows for outcome in row.outcomes)
    assert meter.total.enriched == wanted.pop(OK)
    assert meter.total.dead_letters == wanted
    assert meter.crashes == []
    assert _seen(harness) == _expected(harness)


def test_generated_events_have_one_outcome_each(harness: Harness) -> None:
    """Each event of realistic traffic has exactly one outcome, in the order of its partition."""
    generated = list(islice(Generator(11, invalid_share=0.2, batch_share=0.2), 500))
    harness.write(
        Sent(each.value, each.key, (), RECENT + n, n % PARTITIONS)
        for n, each in enumerate(generated)
    )
    meter = harness.work(len(generated))
    assert meter.total.records == len(generated)
    events = sum(each.events for each in generated)
    assert meter.total.enriched + meter.total.dead_letters.total() == events
    assert _seen(harness) == _expected(harness)


def test_going_on_where_it_stopped(harness: Harness) -> None:
    """A second run begins behind the first one's last commit; nothing is read twice."""
    harness.write(Sent(EVENT, timestamp=RECENT, partition=n % PARTITIONS) for n in range(30))
    harness.work(30)
    harness.write(Sent(b"[]", timestamp=RECENT, partition=n % PARTITIONS) for n in range(10))
    meter = harness.work(10)
    assert meter.total.dead_letters == {"not_an_object": 10}
    assert _seen(harness) == _expected(harness)


def test_forged_headers_reach_no_output(harness: Harness) -> None:
    """Headers that pretend to be ours reach neither topic; the sender's own do."""
    own = ("trace", b"1")
    for value in (EVENT, b"{"):
        harness.write([Sent(value, None, [*FORGED, own], RECENT, 0)])
    harness.work(2)
    for output in _seen(harness):
        assert own in output.headers
        assert header(output, TrackHeader.SOURCE) != "forged"
    assert _seen(harness) == _expected(harness)


def test_identify_by_rule(harness: Harness) -> None:
    """An event that a rule names gives an identify message beside the enriched event."""
    value = b'{"event":"Button Clicked","userId":"u1","context":{"traits":{"plan":"pro"}}}'
    harness.write([Sent(value, b"u1", (), RECENT, 1), Sent(EVENT, b"u1", (), RECENT, 1)])
    rule: dict[str, Any] = {"identify": [{"event": "Button Clicked"}]}
    meter = harness.work(2, **rule)
    assert (meter.total.enriched, meter.total.identify) == (2, 1)
    assert _seen(harness) == _expected(harness, **rule)


def test_dropped_by_setting(harness: Harness) -> None:
    """Calls of another type go nowhere when a setting says so, and are counted."""
    harness.write(
        [
            Sent(b'{"type":"page","userId":"u1"}', None, (), RECENT, 0),
            Sent(EVENT, None, (), RECENT, 0),
        ]
    )
    meter = harness.work(2, on_other_type="drop")
    assert meter.total.dropped == {"unsupported_type": 1}
    assert [output.role for output in _seen(harness)] == [Role.ENRICHED]


def test_other_calls_are_forwarded_by_setting(harness: Harness) -> None:
    """Whatever a call holds, its bytes, key, headers, time and partition stay as they are."""
    page = b'\xef\xbb\xbf{ "type" : "page", "n": 1e3, "n": 2 }\n'
    batch = b'{"batch":[{"type":"identify","userId":"u"}, %s, {"type":"trak"}]}' % EVENT
    own = ("trace", b"1")
    harness.write(
        [
            Sent(page, b"u1", [*FORGED, own, own], RECENT, 0),
            Sent(batch, None, (), RECENT + 1, 1),
            Sent(EVENT, b"u1", (), RECENT + 2, 0),
        ]
    )
    meter = harness.work(3, on_other_type="forward")
    total = meter.total
    assert (total.enriched, total.forwarded, total.rejected, total.events) == (2, 2, 1, 5)
    assert sum(each.expected for each in meter.batches) == 5
    others = [output for output in _seen(harness) if output.role is Role.OTHER]
    assert [output.value for output in others if output.partition == 0] == [page]
    assert others[0].headers[:2] == [own, own]
    assert _seen(harness) == _expected(harness, on_other_type="forward")


def test_lag_comes_down_to_nothing(harness: Harness) -> None:
    """At the end of the topic nothing is left to read."""
    harness.write(Sent(EVENT, timestamp=RECENT, partition=n % PARTITIONS) for n in range(20))
    assert harness.work(20, to_end=True).lags[-1] == Lag(PARTITIONS, 0)


def test_markers_and_aborted_records_leave_no_lag(harness: Harness) -> None:
    """Nothing is left to commit, or counts as lag, where only markers and aborted records are."""
    harness.write_in_transaction(
        [Sent(EVENT, None, (), RECENT, n) for n in (0, 0, 1)], committed=True
    )
    harness.write_in_transaction(
        [Sent(EVENT, None, (), RECENT, n) for n in (1, 2)], committed=False
    )
    meter = harness.work(3, to_end=True)
    assert meter.lags[-1] == Lag(PARTITIONS, 0)
    assert harness.committed() == harness.ends()
    harness.write_in_transaction([Sent(b"[]", None, (), RECENT, 2)], committed=True)
    assert harness.work(1, to_end=True).total.dead_letters == {"not_an_object": 1}
    assert harness.committed() == harness.ends()
    assert _seen(harness) == _expected(harness)


def test_many_outputs_take_several_transactions(harness: Harness) -> None:
    """A batch whose outputs are too many for one transaction is written in order, exactly once."""
    envelope = b'{"batch":[' + b",".join([EVENT] * 10) + b"]}"
    sent = [Sent(envelope, b"u1", (), RECENT, number % PARTITIONS) for number in range(9)]
    harness.write(sent)
    meter = harness.work(9, to_end=True, limits=LIMITS._replace(outputs=15))
    assert all(batch.counts.records <= 2 for batch in meter.batches)
    assert harness.committed() == harness.ends()
    assert _seen(harness) == _expected(harness)
