"""Translates librdkafka's errors into ours: one sentence each, with the problem and the remedy.

The client reports the cause of a failed connection only in its error callback; the call that failed
merely times out. `LastClientError` remembers the cause, so that the sentence can name it.
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
from pipeline.kafka import error_codes
from pipeline.kafka.group_errors import GROUP_REFUSALS

_EPOCH_FENCED: Final = frozenset(
    {
        error_codes.FENCED,
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
"""Permission to grant for each error."""
_INSTANCE_FENCED: Final = "Static consumer fenced"
_OPERATIONS: Final = {
    "writing": "WRITE",
    "creating": "CREATE",
    "deleting": "DELETE",
    "asking": "DESCRIBE",
    "adding": "ALTER",
    "configuring": "ALTER_CONFIGS",
}
"""Maps the verb of a failed action to the operation of the ACL that it needs. Others need READ."""
_REFUSALS: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: _NO_TOPIC,
    error_codes.UNKNOWN_TOPIC: _NO_TOPIC,
    KafkaError.MSG_SIZE_TOO_LARGE: (
        "a record is larger than the topic accepts: raise its max.message.bytes "
        "or lower limits.max_output_bytes"
    ),
    KafkaError.RECORD_LIST_TOO_LARGE: (
        "a record is larger than a segment of the topic: raise its segment.bytes "
        "or lower limits.max_output_bytes"
    ),
    KafkaError.INVALID_RECORD: (
        "the broker rejects a record: the topic may require keys (cleanup.policy=compact), or have "
        "a validation of its own. Remove that"
    ),
    KafkaError.INVALID_TIMESTAMP: (
        "the topic rejects a record's timestamp: remove its message.timestamp.*.max.ms limits"
    ),
    KafkaError.INVALID_TRANSACTION_TIMEOUT: (
        "transaction_timeout_ms exceeds the broker's transaction.max.timeout.ms: lower it"
    ),
    KafkaError.TOPIC_EXCEPTION: (
        "the broker does not accept the topic's name, or reserves it: choose another name"
    ),
    KafkaError.POLICY_VIOLATION: "a policy of the brokers forbids it: have the policy changed",
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: (
        "the broker does not support this compression: change producer.compression.type"
    ),
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT: (
        "the topic has a message format from before Kafka 0.11: upgrade it (message.format.version)"
    ),
    KafkaError.OFFSET_METADATA_TOO_LARGE: (
        "the offset metadata of about 150 bytes is larger than the brokers accept: raise their "
        "offset.metadata.max.bytes"
    ),
    KafkaError.INVALID_COMMIT_OFFSET_SIZE: (
        "the offsets of one commit are larger than a record of __consumer_offsets may be: raise "
        "the max.message.bytes of that topic"
    ),
    KafkaError.UNSUPPORTED_VERSION: "the broker is too old: transactions need Kafka 2.5 or later",
    **GROUP_REFUSALS,
}
TRANSIENT: Final = frozenset(
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
"""Errors that a cluster returns for a moment: after a start, or while a leader changes."""
_TRANSIENT_S: Final = 2.0
"""Retries are announced only after so long, since most succeed at once."""


class LastClientError:
    """The `error_cb` of a client, which keeps what it reported last. Never raises."""

    def __init__(self) -> None:
        self.error: KafkaError | None = None
        self.fatal: KafkaError | None = None
        """Error that broke the client for good. A consumer without records reports it only here."""
        self.count = 0
        """Number of errors reported so far."""
        self.retrying_because = ""
        """What is being retried, and why; empty when nothing is. Another thread reads it."""
        self._call: tuple[str, float] | None = None
        """What a call in progress waits for, and since when."""

    @contextmanager
    def calling(self, what: str) -> Iterator[None]:
        """Say what the calls in the block wait for, should they take long."""
        self._call = what, time.monotonic()
        try:
            yield
        finally:
            self._call = None

    def waits_for(self) -> str:
        """Return what the client has been waiting for, and why; empty when it does not wait.

        Any thread may ask.
        """
        call = self._call
        if self.retrying_because or call is None:
            return self.retrying_because
        what, since = call
        return f"{what} takes long" if time.monotonic() - since >= _TRANSIENT_S else ""

    @contextmanager
    def announcing_retries(self) -> Iterator[Callable[[str, KafkaError], None]]:
        """Yield a function to call before each retry, with what failed and how.

        Retries are visible in `retrying_because` while the block runs, but not at once: most
        succeed.
        """
        transient_until = time.monotonic() + _TRANSIENT_S

        def again(what: str, error: KafkaError) -> None:
            if time.monotonic() >= transient_until:
                self.retrying_because = f"retrying {what}: {reason(error)}"

        try:
            yield again
        finally:
            self.retrying_because = ""

    def __call__(self, error: KafkaError) -> None:
        """Keep the error. A connection's cause outranks "all brokers down"."""
        self.count += 1
        if is_fatal(error):
            self.fatal = error
        all_down = error.code() == error_codes.ALL_BROKERS_DOWN
        if self.error is None or not all_down:
            self.error = error

    def sentence(self) -> str:
        """Return `: <what the client reported last>`, or nothing."""
        return f": {reason(self.error)}" if self.error is not None else ""


def is_fatal(error: KafkaError) -> bool:
    """Return whether the client is broken for good."""
    return error.fatal() or error.code() == error_codes.FATAL


def reason(error: KafkaError) -> str:
    """Return the client's text of an error in one line, without the one secret that it quotes."""
    text = _QUOTED_SECRET.sub(r"\1 can't be used", error.str())
    return " ".join(f"{error.name()}: {text}".split())


def kafka_error(exception: KafkaException) -> KafkaError:
    """Return the KafkaError inside a KafkaException, and drop the exception's traceback.

    The client never releases an exception that it raised for a fatal error (confluent-kafka 2.16).
    Through its traceback that would keep the session alive, with its clients and their threads.
    """
    exception.__traceback__ = None
    error = exception.args[0]
    return error if isinstance(error, KafkaError) else KafkaError(error_codes.FAILED, str(error))


def _of_the_group(error: KafkaError) -> int | None:
    """Return the group's refusal that caused a fatal error, as the new protocol reports it."""
    if not is_fatal(error):
        return None
    return next((code for code in GROUP_REFUSALS if KafkaError(code).str() in error.str()), None)


def refusal(
    error: KafkaError, what: str, *, group: str = "", transactional_id: str = ""
) -> TransportError | None:
    """Translate an error whose meaning does not depend on the call: fenced, or refused; else None.

    `what` says what was done, to which topic. It begins with its verb: reading, writing, creating
    or asking.
    """
    # A fatal error names its cause only in its text.
    if error.code() == KafkaError.FENCED_INSTANCE_ID or (
        is_fatal(error) and _INSTANCE_FENCED in error.str()
    ):
        return InstanceFencedError(
            f"{what}: another live process uses the same group.instance.id, so this older one "
            "stops. Give each worker its own instance_id. Don't restart it automatically: the two "
            "workers would keep fencing each other"
        )
    if error.code() in _EPOCH_FENCED:
        return EpochFencedError(
            f"{what}: another live process uses the same transactional id, so this older one "
            "stops. Give each worker its own instance_id. Don't restart it automatically: the two "
            "workers would keep fencing each other"
        )
    code = _of_the_group(error) or error.code()
    if code in GROUP_REFUSALS:
        what = f"joining group {group}"
    remedy = _REFUSALS.get(code)
    if error.code() in _FORBIDDEN:
        operation = _OPERATIONS.get(what.partition(" ")[0], "READ")
        if error.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED and operation != "CREATE":
            operation = "IDEMPOTENT_WRITE"  # the only other permission on a cluster that we need
        permission = _FORBIDDEN[error.code()].format(
            operation=operation,
            group=group,
            transactional_id=transactional_id,
        )
        remedy = f"the broker does not allow it: grant this user {permission.rstrip()}"
    return RefusedError(f"{what}: {remedy} ({KafkaError(code).name()})") if remedy else None


def in_transaction(exception: KafkaException, what: str, *, group: str = "") -> TransportError:
    """Translate an error of begin, produce or send_offsets."""
    error = kafka_error(exception)
    known = refusal(error, what, group=group)
    if known is not None:
        return known
    text = f"{what}: {reason(error)}"
    return AbortableError(text) if error.txn_requires_abort() else OutcomeUnknownError(text)
