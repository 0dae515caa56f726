"""librdkafka's errors → ours: one sentence each that says what is wrong and what to do.

The client tells the cause of a failed connection only in its error callback; the call that
failed says no more than "timed out". `Causes` remembers it, so that the sentence can name it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from pipeline.errors import (
    AbortableError,
    EpochFencedError,
    InstanceFencedError,
    OutcomeUnknownError,
    RefusedError,
    TransportError,
)
from pipeline.kafka.group_errors import GROUP_REFUSALS

_EPOCH_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001  the client's own name for a local code
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)

_NO_TOPIC: Final = "the topic does not exist: run `track-pipeline topics create`"
_QUOTED_SECRET: Final = re.compile(r"(?:\w+ )?(sasl\.oauthbearer\.config)\b.*", re.DOTALL)
_FORBIDDEN: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "{operation} on the topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "{operation} on the group {group}",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: (
        "WRITE on the transactional id {transactional_id} or its prefix"
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "{operation} on the cluster",
}
"""What to grant."""
_INSTANCE_FENCED: Final = "Static consumer fenced"
_OPERATIONS: Final = {
    "writing": "WRITE",
    "creating": "CREATE",
    "asking": "DESCRIBE",
    "adding": "ALTER",
    "configuring": "ALTER_CONFIGS",
}
"""The first word of what was done → Kafka's name of the right; all else reads."""
_REFUSALS: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: _NO_TOPIC,
    KafkaError._UNKNOWN_TOPIC: _NO_TOPIC,  # noqa: SLF001  as above
    KafkaError.MSG_SIZE_TOO_LARGE: (
        "a record is larger than the topic takes: raise its max.message.bytes "
        "or lower limits.max_output_bytes"
    ),
    KafkaError.RECORD_LIST_TOO_LARGE: (
        "a record is larger than a segment of the topic: raise its segment.bytes "
        "or lower limits.max_output_bytes"
    ),
    KafkaError.INVALID_RECORD: (
        "the broker refuses a record: does the topic want keys (cleanup.policy=compact), or has "
        "it a validation of its own? Lift that"
    ),
    KafkaError.INVALID_TIMESTAMP: (
        "the topic refuses a record's timestamp: lift its message.timestamp.*.max.ms limits"
    ),
    KafkaError.INVALID_TRANSACTION_TIMEOUT: (
        "transaction_timeout_ms exceeds the broker's transaction.max.timeout.ms: lower it"
    ),
    KafkaError.TOPIC_EXCEPTION: (
        "the broker does not take the topic's name, or keeps it for itself: choose another name"
    ),
    KafkaError.POLICY_VIOLATION: "a policy of the brokers forbids it: have the policy changed",
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: (
        "the broker does not take this compression: set producer.compression.type to another"
    ),
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT: (
        "the topic has a message format from before Kafka 0.11: upgrade it (message.format.version)"
    ),
    KafkaError.OFFSET_METADATA_TOO_LARGE: (
        "the note beside the offsets, some 150 bytes, is larger than the brokers take: raise their "
        "offset.metadata.max.bytes"
    ),
    KafkaError.INVALID_COMMIT_OFFSET_SIZE: (
        "the offsets of one commit are larger than a record of __consumer_offsets may be: raise "
        "the max.message.bytes of that topic"
    ),
    KafkaError.UNSUPPORTED_VERSION: "the broker is too old: transactions need Kafka 2.5 or later",
    **GROUP_REFUSALS,
}
PASSING: Final = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_CONTROLLER,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.THROTTLING_QUOTA_EXCEEDED,
    }
)
"""What a cluster answers for a moment to a question: after a start, or while a leader changes."""
_PASSES_S: Final = 2.0


class Causes:
    """The last thing the clients' error callbacks said. Callbacks never raise."""

    def __init__(self) -> None:
        self.last: KafkaError | None = None
        self.fatal: KafkaError | None = None
        """The client is broken for good; a consumer tells it nowhere else while nothing comes."""
        self.heard = 0
        """How many errors the client has told of so far."""
        self.waits_for = ""
        """What is tried again just now, and why; empty when nothing is. Another thread reads it."""

    @contextmanager
    def trying(self) -> Iterator[Callable[[str, KafkaError], None]]:
        """Within the block what is given is said to be tried again; what failed, and how.

        Not at once: most of it succeeds with the next try.
        """
        told_from = time.monotonic() + _PASSES_S

        def again(what: str, error: KafkaError) -> None:
            if time.monotonic() >= told_from:
                self.waits_for = f"{what} is tried again: {reason(error)}"

        try:
            yield again
        finally:
            self.waits_for = ""

    def __call__(self, error: KafkaError) -> None:
        """The `error_cb` of a client; a connection's cause outranks "all brokers down"."""
        self.heard += 1
        if is_fatal(error):
            self.fatal = error
        all_down = error.code() == KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
        if self.last is None or not all_down:
            self.last = error

    def sentence(self) -> str:
        """`: <what the client said last>`, or nothing."""
        return f": {reason(self.last)}" if self.last is not None else ""


def is_fatal(error: KafkaError) -> bool:
    """Whether the client is broken for good."""
    return error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001  the client's name


def reason(error: KafkaError) -> str:
    """What the client says of an error, in one line; it quotes one property, which is secret."""
    text = _QUOTED_SECRET.sub(r"\1 can't be used", error.str())
    return " ".join(f"{error.name()}: {text}".split())


def kafka_error(exception: KafkaException) -> KafkaError:
    """The KafkaError inside a KafkaException, whose traceback is dropped.

    The client never lets go of an exception that it has raised for a fatal error (confluent-kafka
    2.16). By its traceback that would keep the session, with its clients and their threads.
    """
    exception.__traceback__ = None
    error = exception.args[0]
    return error if isinstance(error, KafkaError) else KafkaError(KafkaError._FAIL, str(error))  # noqa: SLF001


def _of_the_group(error: KafkaError) -> int | None:
    """The refusal of a group that a fatal error has as its cause: so the new protocol tells it."""
    if not is_fatal(error):
        return None
    return next((code for code in GROUP_REFUSALS if KafkaError(code).str() in error.str()), None)


def refusal(
    error: KafkaError, what: str, *, group: str = "", transactional_id: str = ""
) -> TransportError | None:
    """What an error is whose meaning does not depend on the call: fenced, or refused; else None.

    `what` was done, to which topic, begins with its verb: reading, writing, creating or asking.
    """
    # A fatal error keeps its cause in its text only.
    if error.code() == KafkaError.FENCED_INSTANCE_ID or (
        is_fatal(error) and _INSTANCE_FENCED in error.str()
    ):
        return InstanceFencedError(
            f"{what}: another live process uses the same instance id; "
            "this older one stops. Give each worker an instance_id of its own"
        )
    if error.code() in _EPOCH_FENCED:
        return EpochFencedError(
            f"{what}: another live process uses the same transactional id; "
            "this older one stops. Give each worker an instance_id of its own"
        )
    code = _of_the_group(error) or error.code()
    if code in GROUP_REFUSALS:
        what = f"joining group {group}"
    remedy = _REFUSALS.get(code)
    if error.code() in _FORBIDDEN:
        operation = _OPERATIONS.get(what.partition(" ")[0], "READ")
        if error.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED and operation != "CREATE":
            operation = "IDEMPOTENT_WRITE"  # what else is asked of a cluster
        right = _FORBIDDEN[error.code()].format(
            operation=operation,
            group=group,
            transactional_id=transactional_id,
        )
        remedy = f"the broker does not allow it: grant this user {right.rstrip()}"
    return RefusedError(f"{what}: {remedy} ({KafkaError(code).name()})") if remedy else None


def in_transaction(exception: KafkaException, what: str, *, group: str = "") -> TransportError:
    """What to do about an error from begin, produce or send_offsets."""
    error = kafka_error(exception)
    known = refusal(error, what, group=group)
    if known is not None:
        return known
    text = f"{what}: {reason(error)}"
    return AbortableError(text) if error.txn_requires_abort() else OutcomeUnknownError(text)
