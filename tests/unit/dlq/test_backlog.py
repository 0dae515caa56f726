"""Following the dead letters that nobody has resolved, on topics in memory."""

from __future__ import annotations

import random
import sys
from decimal import Decimal
from threading import Event
from typing import Final

import pytest

from pipeline.dlq.backlog import Backlog, BacklogFollower
from pipeline.dlq.backlog_counts import BacklogCounts
from pipeline.dlq.backlog_rows import BacklogRows
from pipeline.dlq.blocked_revenue import BlockedRevenue
from pipeline.dlq.ledger import Action, Ledger, read_entry
from pipeline.dlq.reader import DlqReader, TopicSnapshot
from pipeline.errors import RefusedError, TransportError
from pipeline.progress import Progress
from pipeline.settings.model import Settings
from tests.unit.dlq.dead_letters import NOW, SETTINGS, TOPIC, crashed
from tests.unit.dlq.memory_topics import DAY_MS, KEPT_DAYS, LEDGER, MemoryTopics

REASON: Final = "no_user_anon_id"


def _follower(topics: MemoryTopics) -> BacklogFollower:
    return BacklogFollower(Settings(), topics, topics, TOPIC, clock=topics)


def _eur(amount: int) -> dict[str, Decimal]:
    return {"EUR": Decimal(amount)}


def _lost_and_left(backlog: Backlog) -> tuple[int, int]:
    return backlog.deleted_unresolved, sum(backlog.unresolved.values())


def test_unresolved_are_counted_with_their_revenue() -> None:
    """Numbers are by reason, revenue is exact and by currency."""
    topics = MemoryTopics()
    topics.fail(0, 2, revenue="0.10", currency="EUR")
    topics.fail(3, revenue="1e3", currency="JPY")
    topics.fail(4, revenue="123456789012345678901234.5", currency="EUR")
    topics.fail(5, revenue="-0.3", currency="EUR")
    topics.fail(6, revenue="much")
    backlog = _follower(topics).look()
    assert backlog.unresolved == {REASON: 6}
    assert backlog.revenue == {
        "EUR": Decimal("123456789012345678901234.40"),
        "JPY": Decimal(1000),
    }
    assert (backlog.unreadable, backlog.unread, backlog.notices) == (1, 0, ())
    assert backlog.to_dict()["revenue"]["EUR"] == "123456789012345678901234.40"


def test_only_what_is_new_is_read() -> None:
    """A second look reads the news, and nothing when there is none."""
    topics = MemoryTopics()
    topics.gap = 2
    follower = _follower(topics)
    topics.fail(0, 1)
    follower.look()
    assert topics.read_records == 2
    topics.fail(4)
    assert follower.look().unresolved == {REASON: 3}
    assert follower.look().unresolved == {REASON: 3}
    assert topics.read_records == 3


def test_resolved_and_restored() -> None:
    """A redrive and a discard take a dead letter away with its revenue, a restore brings it back.

    The ledger is created only after the first look.
    """
    topics = MemoryTopics()
    topics.fail(*range(4), revenue=2, currency="EUR")
    follower = _follower(topics)
    assert follower.look().revenue == _eur(8)
    topics.note(Action.REDRIVEN, 0)
    topics.note(Action.DISCARDED, 1)
    topics.note(Action.DISCARDED, 2, topic_id="an older topic")
    topics.note(Action.DISCARDED, 99)
    backlog = follower.look()
    assert (backlog.unresolved, backlog.revenue) == ({REASON: 2}, _eur(4))
    topics.note(Action.RESTORED, 0)  # a redrive can't be undone
    topics.note(Action.RESTORED, 1)
    backlog = follower.look()
    assert (backlog.unresolved, backlog.revenue) == ({REASON: 3}, _eur(6))
    assert topics.read_records == 4 + 6


def test_entry_that_is_read_before_its_dead_letter() -> None:
    """A dead letter that is already resolved is not counted when it is read."""
    topics = MemoryTopics()
    topics.fail(0, 1)
    topics.note(Action.REINSERTED, 1)
    follower = _follower(topics)
    assert follower.look(most=1).unread == 1
    backlog = follower.look()
    assert (backlog.unresolved, backlog.unread) == ({REASON: 1}, 0)


def test_last_one_leaves_a_zero() -> None:
    """A reason that has no dead letters any more is 0, so that its metric does not freeze."""
    topics = MemoryTopics()
    topics.fail(0)
    topics.note(Action.DISCARDED, 0)
    follower = _follower(topics)
    assert follower.look().retention_s is None
    topics.fail(1)
    assert follower.look().unresolved == {REASON: 1}
    topics.note(Action.DISCARDED, 1)
    assert follower.look().unresolved == {REASON: 0}


def test_expiring_within_the_warning_time() -> None:
    """Dead letters that retention may delete soon are counted, with the time until the first."""
    topics = MemoryTopics()
    topics.fail(0, age_days=KEPT_DAYS - 1, revenue=3, currency="EUR")
    topics.fail(1, age_days=KEPT_DAYS - 2, revenue=4, currency="EUR")
    topics.fail(2, age_days=KEPT_DAYS - 5, revenue=5, currency="EUR")
    follower = _follower(topics)
    backlog = follower.look()
    assert (backlog.expiring, backlog.expiring_revenue) == (2, _eur(7))
    assert backlog.retention_s == pytest.approx(86_400, abs=1)
    topics.note(Action.DISCARDED, 0)
    backlog = follower.look()
    assert (backlog.expiring, backlog.expiring_revenue) == (1, _eur(4))
    assert backlog.retention_s == pytest.approx(2 * 86_400, abs=1)
    topics.note(Action.RESTORED, 0)
    assert follower.look().expiring == 2
    topics.change(**{"retention.ms": str(2 * KEPT_DAYS * DAY_MS)})
    assert follower.look().expiring == 0
    topics.change(**{"retention.ms": str(DAY_MS)})
    backlog = follower.look()
    assert (backlog.expiring, backlog.retention_s) == (3, 0)


def test_partition_expires_from_its_beginning_on() -> None:
    """A dead letter with an earlier time than the one before it is kept as long as that one."""
    topics = MemoryTopics()
    topics.fail(0, age_days=1)
    topics.fail(1, age_days=KEPT_DAYS)
    topics.fail(0, partition=1, age_days=2)
    backlog = _follower(topics).look()
    assert backlog.expiring == 0
    assert backlog.retention_s == pytest.approx((KEPT_DAYS - 2) * 86_400, abs=1)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"retention.ms": "-1"}, ()),
        ({"cleanup.policy": "compact"}, ("cleanup.policy is compact",)),
        (
            {"cleanup.policy": "compact,delete", "retention.ms": "-1", "retention.bytes": "9"},
            ("cleanup.policy is compact,delete", "retention.bytes is 9"),
        ),
    ],
)
def test_topic_without_a_time_limit(config: dict[str, str], said: tuple[str, ...]) -> None:
    """Nothing expires by time; what else may delete dead letters is said."""
    topics = MemoryTopics()
    topics.change(**config)
    topics.fail(0, age_days=1000)
    backlog = _follower(topics).look()
    assert (backlog.expiring, backlog.retention_s) == (0, None)
    assert len(backlog.notices) == len(said)
    assert all(part in notice for part, notice in zip(said, backlog.notices, strict=True))


def test_settings_of_the_topic_are_hidden() -> None:
    """Without DESCRIBE_CONFIGS the time is not known, and that is said."""
    topics = MemoryTopics()
    topics.facts[TOPIC] = topics.facts[TOPIC]._replace(config={})
    topics.fail(0)
    backlog = _follower(topics).look()
    assert backlog.retention_s is None
    assert "DESCRIBE_CONFIGS" in backlog.notices[0]


def test_deleted_unresolved_are_counted() -> None:
    """Deleted ones leave the numbers; those that were not resolved before are counted as lost."""
    topics = MemoryTopics()
    topics.fail(*range(5), age_days=KEPT_DAYS, revenue=1, currency="EUR")
    topics.delete_before(1)  # before the first look, so nobody knows what it was
    follower = _follower(topics)
    assert _lost_and_left(follower.look()) == (0, 4)
    topics.note(Action.DISCARDED, 1)
    topics.delete_before(3)
    backlog = follower.look()
    assert _lost_and_left(backlog) == (1, 2)
    assert (backlog.revenue, backlog.expiring) == (_eur(2), 2)
    topics.note(Action.DISCARDED, 2)  # too late
    topics.delete_before(5)
    topics.fail(5)
    backlog = follower.look()
    assert _lost_and_left(backlog) == (3, 1)
    assert (backlog.revenue, backlog.expiring) == (_eur(0), 0)
    assert backlog.retention_s == pytest.approx(KEPT_DAYS * 86_400, abs=1)


@pytest.mark.parametrize("has_ids", [True, False])
def test_topic_that_is_created_again(has_ids: bool) -> None:  # noqa: FBT001  parametrized
    """A new topic of the same name has other dead letters at the same offsets."""
    topics = MemoryTopics()
    topics.fail(*range(5))
    follower = _follower(topics)
    follower.look()
    topics.delete_before(1)
    follower.look()
    topics.begins.clear()
    topics.records[TOPIC, 0] = []
    topics.fail(*range(3))
    if has_ids:
        topics.facts[TOPIC] = topics.facts[TOPIC]._replace(id="id-2")
        topics.note(Action.DISCARDED, 0, topic_id="id-2")
        assert _lost_and_left(follower.look()) == (1, 2)
    else:
        assert _lost_and_left(follower.look()) == (1, 3)


def test_ledger_that_was_deleted() -> None:
    """Without its entries, everything is unresolved again."""
    topics = MemoryTopics()
    topics.fail(0, 1)
    topics.note(Action.DISCARDED, 0)
    follower = _follower(topics)
    assert follower.look().unresolved == {REASON: 1}
    del topics.facts[LEDGER], topics.records[LEDGER, 0]
    assert follower.look().unresolved == {REASON: 2}


def test_ledger_that_may_not_be_read() -> None:
    """The numbers are too high then, which is said until the permission is there."""
    topics = MemoryTopics()
    topics.fail(0, 1)
    topics.note(Action.DISCARDED, 0)
    allowed = topics.facts[LEDGER]
    topics.facts[LEDGER] = allowed._replace(operations=frozenset())
    follower = _follower(topics)
    backlog = follower.look()
    assert backlog.unresolved == {REASON: 2}
    assert "READ on topic dead.ledger is denied" in backlog.notices[0]
    topics.facts[LEDGER] = allowed
    assert follower.look().unresolved == {REASON: 1}


def test_topic_that_does_not_exist() -> None:
    """A missing topic is one sentence; it may be created later."""
    topics = MemoryTopics()
    topics.fail(0)
    facts = topics.facts.pop(TOPIC)
    follower = _follower(topics)
    with pytest.raises(RefusedError, match=r"topic dead does not exist"):
        follower.look()
    topics.facts[TOPIC] = facts
    assert follower.look().unresolved == {REASON: 1}


def test_look_that_fails_halfway() -> None:
    """The next look continues, and counts nothing twice."""
    topics = MemoryTopics()
    topics.fail(*range(5))
    topics.fails_after = 3
    follower = _follower(topics)
    with pytest.raises(TransportError):
        follower.look()
    assert follower.look().unresolved == {REASON: 5}
    assert topics.read_records == 5


def test_catching_up_in_limited_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look reads a limited number of offsets; catching up repeats it and reports progress."""
    monkeypatch.setattr("pipeline.dlq.backlog.MOST_OFFSETS", 2)
    monkeypatch.setattr(BacklogFollower.look, "__defaults__", (2,))
    topics = MemoryTopics()
    topics.fail(*range(7))
    seen: list[Progress] = []
    assert _follower(topics).catch_up(seen.append).unresolved == {REASON: 7}
    assert [(each.done, each.total) for each in seen] == [(2, 7), (4, 7), (6, 7)]
    stop = Event()
    stop.set()
    assert _follower(topics).catch_up(stop=stop).unread == 5


def test_reasons_of_other_programs_are_one() -> None:
    """Text that anybody can write into a header does not become a label."""
    topics = MemoryTopics()
    topics.fail(0)
    (record,) = topics.records[TOPIC, 0]
    topics.records[TOPIC, 0] = [
        record._replace(headers=[("dlq.reason", b"anything")]),
        record._replace(headers=(), offset=1),
        crashed({"event": "x"}).record._replace(offset=2),
    ]
    assert _follower(topics).look().unresolved == {"other": 2, "processing_error": 1}


def test_same_numbers_as_the_reader_has() -> None:
    """After any sequence of writes and marks, the numbers are those that `dlq list` would show."""
    dice = random.Random(13)  # noqa: S311  not for secrets
    topics = MemoryTopics()
    follower = _follower(topics)
    end = begin = 0
    for _ in range(60):
        new = dice.randrange(4)
        topics.fail(*range(end, end + new), revenue=dice.randrange(99), currency="EUR")
        end += new
        for _ in range(dice.randrange(3)):
            topics.note(dice.choice(list(Action)), dice.randrange(end + 1))
        if dice.random() < 0.1:
            begin = dice.randrange(begin, end + 1)
            topics.delete_before(begin)
        backlog = follower.look()
        ledger = Ledger("id-1")
        for record in topics.records.get((LEDGER, 0), []):
            if (entry := read_entry(record)) is not None:
                ledger.add(entry)
        reader = DlqReader(topics, TopicSnapshot(TOPIC, "id-1", {0: (begin, end)}, {}), ledger)
        revenue, count = BlockedRevenue(SETTINGS), 0
        for dead_letter in reader.dead_letters():
            revenue.add(dead_letter)
            count += 1
        assert sum(backlog.unresolved.values()) == count
        assert backlog.revenue.get("EUR", 0) == Decimal(revenue.amounts().get("EUR", 0))


def test_dead_letter_takes_few_bytes() -> None:
    """Columns of integers: an object for each dead letter would take ten times as much."""
    rows = BacklogRows()
    for offset in range(20_000):
        rows.append(offset, NOW + offset, 3, ((1, 1999),))
    columns = [value for value in vars(rows).values() if not isinstance(value, dict)]
    assert sum(map(sys.getsizeof, columns)) / len(rows) < 27
    assert rows.content(19_999) == (3, ((1, 1999),))


def test_counts_know_other_partitions_only_when_they_are_met() -> None:
    """Entries about partitions that were not read yet are remembered."""
    counts = BacklogCounts("id", BlockedRevenue(SETTINGS))
    assert counts.oldest_ms() is None
    counts.forget_before(3, 100)
    assert counts.unresolved.by_reason() == {}
