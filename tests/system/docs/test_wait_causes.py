"""Each row of the table of what can keep a worker from working is tested; here is by what."""

from __future__ import annotations

import ast
from functools import cache
from typing import Final

import pytest

from tests.system.docs.snippets import table, text

_WAITING: Final = "tests/kafka/test_waiting.py"
_RUN: Final = "tests/kafka/test_run.py"
_ACL: Final = "tests/kafka/test_acl.py"
_CHANGING: Final = "tests/kafka/test_changing_topics.py"
_SECURITY: Final = "tests/kafka/test_security.py"

TESTS: Final = {
    "no broker answers at the start": (
        (_RUN, "test_address_without_a_broker_is_named"),
        (_RUN, "test_late_broker_is_waited_for"),
    ),
    "no broker answers, while idle": ((_WAITING, "test_broker_away_while_idle"),),
    "no broker answers, under load": ((_WAITING, "test_broker_away_under_load_is_waited_for"),),
    "wrong password, user, certificate or protocol": (
        (_SECURITY, "test_connection_fault_is_explained"),
        (_SECURITY, "test_fault_of_a_worker"),
    ),
    "a topic is missing, or unsuitable, at the start": (
        (_RUN, "test_missing_topics_are_named_at_the_start"),
        (_RUN, "test_unsuitable_topic_is_rejected_at_the_start"),
    ),
    "the raw topic is deleted": ((_WAITING, "test_raw_topic_that_is_gone"),),
    "the raw topic is created again": ((_CHANGING, "test_raw_topic_created_anew"),),
    "an output topic is deleted": ((_RUN, "test_output_topic_deleted_while_running"),),
    "a permission is missing or revoked": (
        (_ACL, "test_each_missing_permission_is_named"),
        (_ACL, "test_right_taken_and_given_back"),
    ),
    "a partition of the raw topic has no leader": (
        (_WAITING, "test_partition_without_a_leader_is_named"),
    ),
    "a coordinator is unavailable (of the group, or of transactions)": (
        (_WAITING, "test_coordinator_that_does_not_come"),
    ),
    "the brokers can't write (disk full, too few replicas) or do not answer a commit": (
        (_WAITING, "test_brokers_that_can_not_write"),
        (_WAITING, "test_coordinator_that_does_not_come"),
    ),
    "`session.timeout.ms` is out of the broker's bounds": (
        (_WAITING, "test_session_time_out_that_the_broker_refuses"),
    ),
    "workers with and without instance id in one group": (
        (_WAITING, "test_instance_id_beside_none"),
    ),
    "another program uses the group, with another strategy": (
        (_WAITING, "test_foreign_consumer_in_the_group"),
    ),
    "the group is full, or its name or assignor is not accepted": (
        (_WAITING, "test_rejection_by_the_group_stops_the_worker"),
    ),
    "the Kafka client does not find its group, though the group is stable": (
        (_WAITING, "test_a_client_that_does_not_join_is_replaced"),
        (_WAITING, "test_left_out_by_a_group_at_rest"),
    ),
    "more workers than partitions": ((_WAITING, "test_more_workers_than_partitions"),),
    "a member is gone without having left": (
        (_WAITING, "test_member_that_is_gone_without_leaving"),
    ),
    "a rebalance takes long": (
        ("tests/kafka/test_group_state.py", "test_rebalance_names_the_members_it_waits_for"),
    ),
    "two live workers with one instance id": ((_RUN, "test_same_instance_twice"),),
    "records were deleted before they were read": ((_RUN, "test_deleted_records_are_data_loss"),),
    "the group's offsets have expired": ((_RUN, "test_expired_offsets_stop_the_worker"),),
    "a producer keeps a transaction open": (
        (_WAITING, "test_transaction_of_the_sender_that_stays_open"),
    ),
    "processing takes longer than `max.poll.interval.ms`": (
        ("tests/kafka/test_client_quirks.py", "test_processing_longer_than_the_group_waits"),
    ),
    "the process was paused for longer than its transaction may last": (
        (_RUN, "test_paused_longer_than_a_transaction"),
    ),
    "the circuit breaker is open": (
        ("tests/unit/worker/test_meter.py", "test_open_breaker_is_told_in_each_interval"),
        (
            "tests/unit/worker/test_circuit_breaker.py",
            "test_an_open_breaker_pauses_the_worker_until_it_is_stopped",
        ),
    ),
}


@cache
def _tests(path: str) -> frozenset[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = ast.walk(ast.parse(text(path)))
    return frozenset(node.name for node in found if isinstance(node, functions))


def test_every_row_is_tested() -> None:
    """A row more in the table needs a test more."""
    assert {row[0] for row in table("docs/how-to/operate.md", "cause")} == TESTS.keys()


@pytest.mark.parametrize("row", TESTS)
def test_the_tests_are_there(row: str) -> None:
    """Under the names that are given above."""
    for path, name in TESTS[row]:
        assert name in _tests(path)
