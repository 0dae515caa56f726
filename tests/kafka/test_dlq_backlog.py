"""The numbers of unresolved dead letters follow what is done with them, on a real broker."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any, Final

import pytest

from pipeline.dlq import BacklogFollower, follow_backlog
from pipeline.settings.model import load_settings
from tests.brokers import (
    Sent,
    delete_records,
    open_transaction,
    produce,
    produce_in_transaction,
    wait_for_markers,
)
from tests.kafka.worker_process import PATIENCE_S, Pipeline
from tests.unit.dlq.dead_letters import dead_letter_of, event

pytestmark = pytest.mark.kafka

DAY_S: Final = 86_400
KEPT_S: Final = 30 * DAY_S
LENIENT: Final = {"TRACK_RULES__REVENUE_INVALID": "warn"}
"""A rule that was relaxed after the dead letters were written."""


def _sent(partition: int = 0, age_s: int = 0, **changes: Any) -> Sent:
    record = dead_letter_of(event(**changes)).record
    at = int((time.time() - age_s) * 1000)
    return Sent(record.value, record.key, record.headers, at, partition)


def _sale(age_s: int = 0, partition: int = 0) -> Sent:
    sale = {"revenue": "2.50", "currency": "EUR"}
    return _sent(partition, age_s, userId=None, properties=sale)


@pytest.fixture
def failed(pipeline: Pipeline) -> Pipeline:
    """One dead letter that can be redriven, and three that can't."""
    topic = pipeline.names.dead_letter
    sent = [_sent(properties={"revenue": "x"}), _sale(), _sale(), _sale()]
    produce_in_transaction(pipeline.servers, topic, sent)
    produce_in_transaction(pipeline.servers, topic, [_sale()], committed=False)
    return pipeline


def _follower(pipeline: Pipeline) -> BacklogFollower:
    return follow_backlog(load_settings(None, {}, pipeline.variables))


def _dlq(pipeline: Pipeline, *arguments: str) -> None:
    ran = pipeline.run("dlq", *arguments, "--execute", env=LENIENT)
    assert ran.code == 0, ran.err


def test_what_was_done_is_counted(failed: Pipeline) -> None:
    """Redriven and discarded ones leave the numbers with their revenue; restored ones return."""
    follower = _follower(failed)
    backlog = follower.catch_up()
    assert backlog.unresolved == {"no_user_anon_id": 3, "revenue_invalid": 1}
    assert (backlog.revenue, backlog.unreadable) == ({"EUR": Decimal("7.50")}, 1)
    assert (backlog.unread, backlog.notices) == (0, ())
    assert failed.run("topics", "create", "--ledger").code == 0
    _dlq(failed, "redrive", "--force", "--reason", "revenue_invalid")
    backlog = follower.look()
    assert backlog.unresolved == {"no_user_anon_id": 3, "revenue_invalid": 0}
    assert backlog.unreadable == 0
    _dlq(failed, "discard", "--offsets", "0:1-2", "--because", "test")
    assert follower.look().revenue == {"EUR": Decimal("2.50")}
    _dlq(failed, "restore", "--offsets", "0:2-2")
    backlog = follower.look()
    assert backlog.unresolved == {"no_user_anon_id": 2, "revenue_invalid": 0}
    assert backlog.revenue == {"EUR": Decimal("5.00")}
    assert _follower(failed).look().revenue == backlog.revenue


def test_deadline_and_deletion(failed: Pipeline) -> None:
    """The time until deletion is told, and so is what was deleted unresolved."""
    servers, topic = failed.servers, failed.names.dead_letter
    follower = _follower(failed)
    backlog = follower.catch_up()
    assert backlog.expiring == 0
    assert backlog.retention_s == pytest.approx(KEPT_S, abs=2 * PATIENCE_S)
    produce(servers, topic, [_sale(KEPT_S - DAY_S, partition=1)])
    backlog = follower.look()
    assert (backlog.expiring, backlog.expiring_revenue) == (1, {"EUR": Decimal("2.50")})
    assert backlog.retention_s == pytest.approx(DAY_S, abs=2 * PATIENCE_S)
    said = "retention may delete 1 unresolved dead letter within 3 d, the first in "
    assert said in failed.run("dlq", "summary").out.decode()
    delete_records(servers, topic, partition=1, before=1)
    delete_records(servers, topic, partition=0, before=3)
    backlog = follower.look()
    assert (backlog.deleted_unresolved, backlog.expiring) == (4, 0)
    assert backlog.unresolved == {"no_user_anon_id": 1, "revenue_invalid": 0}


def test_open_transaction_is_not_waited_for(failed: Pipeline) -> None:
    """What is behind an open transaction is counted once it has ended."""
    follower = _follower(failed)
    topic = failed.names.dead_letter
    open_one = open_transaction(failed.servers, topic, [_sale()], f"open-{topic}")
    produce(failed.servers, topic, [_sale()])
    assert sum(follower.look().unresolved.values()) == 4
    open_one.commit_transaction(PATIENCE_S)
    wait_for_markers(failed.servers, topic)
    assert sum(follower.look().unresolved.values()) == 6
