"""Error codes of every request, and what has to become of them (the failure table)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from confluent_kafka import KafkaError as K

from pipeline.ports import FencedError, RefusedError, TransportError
from tests.kafka.mock_cluster import Api
from tests.kafka.mock_rig import GROUP, NAMES

DISCONNECTED: Final = K._TRANSPORT  # noqa: SLF001  the connection is closed instead of an answer
Codes = Mapping[Api, Sequence[int]]
EXACTLY_ONCE: Final = "exactly-once"
AT_LEAST_ONCE: Final = "at-least-once"

COORDINATOR_AWAY: Final = (
    K.NOT_COORDINATOR,
    K.COORDINATOR_NOT_AVAILABLE,
    K.COORDINATOR_LOAD_IN_PROGRESS,
)
PARTITION_AWAY: Final = (
    K.NOT_LEADER_FOR_PARTITION,
    K.LEADER_NOT_AVAILABLE,
    K.REQUEST_TIMED_OUT,
    K.NOT_ENOUGH_REPLICAS,
    K.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    K.KAFKA_STORAGE_ERROR,
    K.UNKNOWN_TOPIC_OR_PART,
)

RETRIED: Final[Codes] = {
    Api.METADATA: (K.LEADER_NOT_AVAILABLE, K.UNKNOWN_TOPIC_OR_PART, DISCONNECTED),
    Api.FIND_COORDINATOR: (K.COORDINATOR_NOT_AVAILABLE, DISCONNECTED),
    Api.INIT_PRODUCER_ID: (*COORDINATOR_AWAY, K.CONCURRENT_TRANSACTIONS, DISCONNECTED),
    Api.JOIN_GROUP: (K.COORDINATOR_LOAD_IN_PROGRESS, DISCONNECTED),
    Api.SYNC_GROUP: (K.NOT_COORDINATOR, K.REBALANCE_IN_PROGRESS, DISCONNECTED),
    Api.HEARTBEAT: (*COORDINATOR_AWAY, DISCONNECTED),
    Api.OFFSET_FETCH: (K.COORDINATOR_LOAD_IN_PROGRESS, K.UNSTABLE_OFFSET_COMMIT, DISCONNECTED),
    Api.FETCH: (
        K.NOT_LEADER_FOR_PARTITION,
        K.FENCED_LEADER_EPOCH,
        K.KAFKA_STORAGE_ERROR,
        K.UNKNOWN,
        DISCONNECTED,
    ),
    Api.ADD_PARTITIONS_TO_TXN: (
        *COORDINATOR_AWAY,
        K.CONCURRENT_TRANSACTIONS,
        K.UNKNOWN_TOPIC_OR_PART,
        DISCONNECTED,
    ),
    Api.PRODUCE: (*PARTITION_AWAY, DISCONNECTED),
    Api.ADD_OFFSETS_TO_TXN: (*COORDINATOR_AWAY, K.CONCURRENT_TRANSACTIONS, DISCONNECTED),
    Api.TXN_OFFSET_COMMIT: (
        *COORDINATOR_AWAY,
        K.CONCURRENT_TRANSACTIONS,
        K.UNKNOWN_TOPIC_OR_PART,
        DISCONNECTED,
    ),
    Api.END_TXN: (*COORDINATOR_AWAY, K.CONCURRENT_TRANSACTIONS, DISCONNECTED),
}
"""The same call again; the worker does not even notice."""

SOFT: Final[Codes] = {
    Api.ADD_OFFSETS_TO_TXN: (K.INVALID_PRODUCER_ID_MAPPING, K.UNKNOWN),
    Api.TXN_OFFSET_COMMIT: (
        K.ILLEGAL_GENERATION,
        K.UNKNOWN_MEMBER_ID,
        K.REBALANCE_IN_PROGRESS,
        K.OFFSET_METADATA_TOO_LARGE,
        K.UNKNOWN,
    ),
}
"""The offsets are refused before the commit: the transaction is aborted, the same batch again."""

HARD: Final[Codes] = {
    Api.OFFSET_FETCH: (K.UNKNOWN,),
    Api.ADD_PARTITIONS_TO_TXN: (K.INVALID_TXN_STATE,),
    Api.PRODUCE: (K.OUT_OF_ORDER_SEQUENCE_NUMBER,),
    Api.ADD_OFFSETS_TO_TXN: (K.INVALID_TXN_STATE,),
    Api.TXN_OFFSET_COMMIT: (K.UNSUPPORTED_FOR_MESSAGE_FORMAT,),
    Api.END_TXN: (
        K.INVALID_TXN_STATE,
        K.INVALID_PRODUCER_ID_MAPPING,
        K.KAFKA_STORAGE_ERROR,
        K.REQUEST_TIMED_OUT,
        K.UNKNOWN,
    ),
}
"""Raised by the commit, or fatal: what was committed is not known, a new session asks."""

BACKGROUND: Final[Codes] = {
    Api.ADD_PARTITIONS_TO_TXN: (
        K.INVALID_PRODUCER_ID_MAPPING,
        K.OPERATION_NOT_ATTEMPTED,
        K.UNKNOWN,
    ),
    Api.PRODUCE: (K.UNKNOWN_PRODUCER_ID, K.INVALID_RECORD, K.POLICY_VIOLATION, K.UNKNOWN),
}
"""Told by whichever call comes next: an abort when that is not the commit, else a new session."""

ACKNOWLEDGED_RETRIED: Final[Codes] = {
    Api.PRODUCE: (K.NOT_LEADER_FOR_PARTITION, K.NOT_ENOUGH_REPLICAS, DISCONNECTED),
    Api.OFFSET_COMMIT: (
        *COORDINATOR_AWAY,
        K.REQUEST_TIMED_OUT,
        K.REBALANCE_IN_PROGRESS,
        DISCONNECTED,
    ),
}
"""At least once, the same call again."""

ACKNOWLEDGED_HARD: Final[Codes] = {
    Api.OFFSET_COMMIT: (K.ILLEGAL_GENERATION, K.OFFSET_METADATA_TOO_LARGE, K.UNKNOWN),
}
"""At least once, a commit that failed."""


class Row(NamedTuple):
    """The answer to the first request of a kind."""

    api: Api
    code: int


class Stops(NamedTuple):
    """An answer that ends the worker, and what its sentence must name."""

    api: Api
    code: int
    error: type[TransportError]
    says: str
    delivery: str = EXACTLY_ONCE


_SHARED_ID: Final = "same transactional id.*instance_id of its own"
_READ_GROUP: Final = f"grant this user READ on the group {GROUP} "
_WRITE_ID: Final = f"grant this user WRITE on the transactional id track.{GROUP}."

STOPS: Final = (
    Stops(Api.FIND_COORDINATOR, K.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, RefusedError, _WRITE_ID),
    Stops(Api.INIT_PRODUCER_ID, K.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, RefusedError, _WRITE_ID),
    Stops(
        Api.INIT_PRODUCER_ID,
        K.INVALID_TRANSACTION_TIMEOUT,
        RefusedError,
        "transaction_timeout_ms exceeds the broker's",
    ),
    Stops(Api.INIT_PRODUCER_ID, K.PRODUCER_FENCED, FencedError, _SHARED_ID),
    Stops(Api.JOIN_GROUP, K.GROUP_AUTHORIZATION_FAILED, RefusedError, _READ_GROUP),
    Stops(Api.OFFSET_FETCH, K.GROUP_AUTHORIZATION_FAILED, RefusedError, _READ_GROUP),
    Stops(
        Api.FETCH, K.TOPIC_AUTHORIZATION_FAILED, RefusedError, f"topic {NAMES.raw}: .*grant.* READ"
    ),
    Stops(
        Api.ADD_PARTITIONS_TO_TXN, K.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, RefusedError, _WRITE_ID
    ),
    Stops(Api.ADD_PARTITIONS_TO_TXN, K.PRODUCER_FENCED, FencedError, _SHARED_ID),
    Stops(Api.ADD_PARTITIONS_TO_TXN, K.INVALID_PRODUCER_EPOCH, FencedError, _SHARED_ID),
    Stops(
        Api.PRODUCE,
        K.TOPIC_AUTHORIZATION_FAILED,
        RefusedError,
        f"topic {NAMES.enriched}: .*grant.* WRITE on the topic",
    ),
    Stops(Api.PRODUCE, K.PRODUCER_FENCED, FencedError, _SHARED_ID),
    Stops(Api.PRODUCE, K.INVALID_PRODUCER_EPOCH, FencedError, _SHARED_ID),
    Stops(Api.ADD_OFFSETS_TO_TXN, K.GROUP_AUTHORIZATION_FAILED, RefusedError, _READ_GROUP),
    Stops(Api.ADD_OFFSETS_TO_TXN, K.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, RefusedError, _WRITE_ID),
    Stops(Api.ADD_OFFSETS_TO_TXN, K.PRODUCER_FENCED, FencedError, _SHARED_ID),
    Stops(Api.TXN_OFFSET_COMMIT, K.GROUP_AUTHORIZATION_FAILED, RefusedError, _READ_GROUP),
    Stops(Api.TXN_OFFSET_COMMIT, K.PRODUCER_FENCED, FencedError, _SHARED_ID),
    Stops(Api.END_TXN, K.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, RefusedError, _WRITE_ID),
    Stops(Api.END_TXN, K.PRODUCER_FENCED, FencedError, _SHARED_ID),
    Stops(Api.END_TXN, K.INVALID_PRODUCER_EPOCH, FencedError, _SHARED_ID),
    Stops(
        Api.OFFSET_COMMIT, K.GROUP_AUTHORIZATION_FAILED, RefusedError, _READ_GROUP, AT_LEAST_ONCE
    ),
    Stops(Api.OFFSET_COMMIT, K.FENCED_INSTANCE_ID, FencedError, "same instance id", AT_LEAST_ONCE),
    Stops(
        Api.PRODUCE,
        K.TOPIC_AUTHORIZATION_FAILED,
        RefusedError,
        f"topic {NAMES.enriched}: .*grant.* WRITE on the topic",
        AT_LEAST_ONCE,
    ),
)
"""What only the operator can mend."""
