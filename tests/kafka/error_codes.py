"""Error codes of every request, and what has to become of them (the failure table)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from confluent_kafka import KafkaError as K

from pipeline.errors import FencedError, RefusedError, TransportError
from tests.kafka.mock_cluster import Api
from tests.kafka.mock_harness import GROUP, NAMES

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
    Api.PRODUCE: (*PARTITION_AWAY, K.INVALID_MSG, DISCONNECTED),
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
        K.UNKNOWN,
    ),
}
"""The offsets are refused before the commit: the transaction is aborted, the same batch again."""

HARD: Final[Codes] = {
    Api.OFFSET_FETCH: (K.UNKNOWN,),
    Api.ADD_PARTITIONS_TO_TXN: (K.INVALID_TXN_STATE,),
    Api.PRODUCE: (K.OUT_OF_ORDER_SEQUENCE_NUMBER,),
    Api.ADD_OFFSETS_TO_TXN: (K.INVALID_TXN_STATE,),
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
    Api.PRODUCE: (K.UNKNOWN_PRODUCER_ID, K.UNKNOWN),
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
    Api.OFFSET_COMMIT: (K.ILLEGAL_GENERATION, K.UNKNOWN),
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


_SHARED_ID: Final = "same transactional id.*its own instance_id"
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
    *(
        Stops(Api.PRODUCE, code, RefusedError, f"writing to topic {NAMES.enriched}: {says}", how)
        for how in (EXACTLY_ONCE, AT_LEAST_ONCE)
        for code, says in {
            K.TOPIC_EXCEPTION: "the broker does not accept the topic's name",
            K.POLICY_VIOLATION: "a policy of the brokers forbids it",
            K.UNSUPPORTED_COMPRESSION_TYPE: ".*change producer.compression.type",
            K.UNSUPPORTED_FOR_MESSAGE_FORMAT: "the topic has a message format from before",
        }.items()
    ),
    *(
        Stops(api, code, RefusedError, f"offsets of topic {NAMES.raw}: .*{says}", how)
        for api, how in (
            (Api.TXN_OFFSET_COMMIT, EXACTLY_ONCE),
            (Api.OFFSET_COMMIT, AT_LEAST_ONCE),
        )
        for code, says in {
            K.OFFSET_METADATA_TOO_LARGE: "raise their offset.metadata.max.bytes",
            K.INVALID_COMMIT_OFFSET_SIZE: "raise the max.message.bytes of that topic",
            K.UNSUPPORTED_FOR_MESSAGE_FORMAT: "message format",
        }.items()
    ),
    Stops(
        Api.OFFSET_COMMIT, K.GROUP_AUTHORIZATION_FAILED, RefusedError, _READ_GROUP, AT_LEAST_ONCE
    ),
    Stops(
        Api.OFFSET_COMMIT,
        K.FENCED_INSTANCE_ID,
        FencedError,
        "same group.instance.id",
        AT_LEAST_ONCE,
    ),
    Stops(
        Api.PRODUCE,
        K.TOPIC_AUTHORIZATION_FAILED,
        RefusedError,
        f"topic {NAMES.enriched}: .*grant.* WRITE on the topic",
        AT_LEAST_ONCE,
    ),
)
"""What only the operator can mend."""

OF_THE_RECORD: Final[Mapping[int, str]] = {
    K.MSG_SIZE_TOO_LARGE: "enriched_too_large",
    K.RECORD_LIST_TOO_LARGE: "enriched_too_large",
    K.INVALID_TIMESTAMP: "timestamp_refused",
    K.INVALID_RECORD: "record_refused",
}
"""What a broker refuses a batch for because of one record, and the reason of its dead letter."""

IN_QUESTIONS: Final = frozenset(
    {
        K.NO_ERROR,
        K.OFFSET_OUT_OF_RANGE,
        K.TOPIC_ALREADY_EXISTS,
        K.INVALID_PARTITIONS,
        K.INVALID_REPLICATION_FACTOR,
        K.INVALID_CONFIG,
        K.UNSUPPORTED_VERSION,
        K.CLUSTER_AUTHORIZATION_FAILED,
        K.TRANSACTION_ABORTABLE,
    }
)
"""Sorted elsewhere: where topics are created, where an offset is gone, where a right is named, by
the client itself."""

OF_THE_GROUP: Final = frozenset(
    {
        K.INCONSISTENT_GROUP_PROTOCOL,
        K.INVALID_GROUP_ID,
        K.INVALID_SESSION_TIMEOUT,
        K.MEMBER_ID_REQUIRED,
        K.GROUP_MAX_SIZE_REACHED,
        K.FENCED_MEMBER_EPOCH,
        K.STALE_MEMBER_EPOCH,
        K.UNRELEASED_INSTANCE_ID,
        K.UNSUPPORTED_ASSIGNOR,
        K.INVALID_REGULAR_EXPRESSION,
    }
)
"""Answers to a member that joins or stays."""

OF_CONNECTIONS: Final = frozenset(
    {
        K.UNSUPPORTED_SASL_MECHANISM,
        K.ILLEGAL_SASL_STATE,
        K.SASL_AUTHENTICATION_FAILED,
        K.SECURITY_DISABLED,
        K.REBOOTSTRAP_REQUIRED,
    }
)
"""Answers to a connection that is being made; the client tells them as its own errors."""

NOT_FOR_US: Final = frozenset(
    {
        # Of a request that is wrong in itself, which the client's are not.
        K.INVALID_MSG_SIZE,
        K.INVALID_REQUIRED_ACKS,
        K.INVALID_REQUEST,
        K.INVALID_REPLICA_ASSIGNMENT,
        K.DUPLICATE_SEQUENCE_NUMBER,  # the client takes it for success
        K.INVALID_PRINCIPAL_TYPE,
        K.DUPLICATE_RESOURCE,
        K.UNACCEPTABLE_CREDENTIAL,
        K.RESOURCE_NOT_FOUND,
        K.PRINCIPAL_DESERIALIZATION_FAILURE,
        # Between brokers, or repaired by the client inside a fetch.
        K.STALE_CTRL_EPOCH,
        K.STALE_BROKER_EPOCH,
        K.TRANSACTION_COORDINATOR_FENCED,
        K.LOG_DIR_NOT_FOUND,
        K.LISTENER_NOT_FOUND,
        K.FETCH_SESSION_ID_NOT_FOUND,
        K.INVALID_FETCH_SESSION_EPOCH,
        K.UNKNOWN_TOPIC_ID,
        K.INCONSISTENT_TOPIC_ID,
        K.INCONSISTENT_VOTER_SET,
        K.INVALID_UPDATE_VERSION,
        K.FEATURE_UPDATE_FAILED,
        K.MISMATCHED_ENDPOINT_TYPE,
        K.UNSUPPORTED_ENDPOINT_TYPE,
        K.UNKNOWN_CONTROLLER_ID,
        K.INVALID_REGISTRATION,
        K.INVALID_VOTER_KEY,
        K.DUPLICATE_VOTER,
        K.VOTER_NOT_FOUND,
        # Requests that nothing here makes: tokens, reassignments, elections, deletions, telemetry,
        # share groups, streams groups.
        K.REASSIGNMENT_IN_PROGRESS,
        K.NO_REASSIGNMENT_IN_PROGRESS,
        K.DELEGATION_TOKEN_AUTH_DISABLED,
        K.DELEGATION_TOKEN_NOT_FOUND,
        K.DELEGATION_TOKEN_OWNER_MISMATCH,
        K.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
        K.DELEGATION_TOKEN_AUTHORIZATION_FAILED,
        K.DELEGATION_TOKEN_EXPIRED,
        K.NON_EMPTY_GROUP,
        K.GROUP_ID_NOT_FOUND,
        K.GROUP_SUBSCRIBED_TO_TOPIC,
        K.TOPIC_DELETION_DISABLED,
        K.PREFERRED_LEADER_NOT_AVAILABLE,
        K.ELIGIBLE_LEADERS_NOT_AVAILABLE,
        K.ELECTION_NOT_NEEDED,
        K.UNKNOWN_SUBSCRIPTION_ID,
        K.TELEMETRY_TOO_LARGE,
        K.INVALID_RECORD_STATE,
        K.SHARE_SESSION_NOT_FOUND,
        K.INVALID_SHARE_SESSION_EPOCH,
        K.SHARE_SESSION_LIMIT_REACHED,
        K.FENCED_STATE_EPOCH,
        K.STREAMS_INVALID_TOPOLOGY,
        K.STREAMS_INVALID_TOPOLOGY_EPOCH,
        K.STREAMS_TOPOLOGY_FENCED,
    }
)
"""No request of ours is answered so."""
