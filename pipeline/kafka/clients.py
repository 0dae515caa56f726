"""The clients of a session, configured so that the delivery guarantee holds.

Settings that the guarantee depends on are fixed here. Every other librdkafka property can be set by
the user.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from pipeline.errors import ClientSettingsError
from pipeline.kafka.errors import reason

LibrdkafkaConfig = Mapping[str, str | int | float | bool]

CLIENT_LOG: Final = logging.getLogger("pipeline.librdkafka")
# Without a handler Python would print the client's warnings; our messages contain what matters.
CLIENT_LOG.addHandler(logging.NullHandler())


class ConnectionLog(logging.Logger):
    """A client's log that counts lost connections.

    The client calls its error callback only for connections that it can't restore.
    """

    def __init__(self) -> None:
        super().__init__(f"{CLIENT_LOG.name}.producer")
        self.parent = CLIENT_LOG
        self.lost = 0

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:  # noqa: ANN401  logging's
        """Count and forward.

        The client calls this inside `poll`, with the kind of message first.
        """
        self.lost += args[:1] == ("FAIL",)
        super().log(level, msg, *args, **kwargs)


_SHARED: Final[dict[str, Any]] = {
    "client.id": "track-pipeline",
    # Report a wrong host name or port soon, instead of "timed out" forever.
    "socket.connection.setup.timeout.ms": 10_000,
}
_CREATES_NOTHING: Final[dict[str, Any]] = {
    # Reading a topic's metadata, or writing to it, must never create it. On brokers with automatic
    # creation, a deleted topic would come back with their defaults. (librdkafka allows it by
    # default for producers and admin clients.)
    "allow.auto.create.topics": False,
}
"""Properties of every client, whatever the settings say."""
_STRATEGY: Final = "partition.assignment.strategy"
_CONSUMER: Final[dict[str, Any]] = {
    _STRATEGY: "cooperative-sticky",
    # Limits memory: records that the client has fetched and the worker has not consumed yet.
    "queued.max.messages.kbytes": 65_536,
    "fetch.message.max.bytes": 1_048_576,
}
_STATIC: Final[dict[str, Any]] = {
    # A cooperative rebalance has two phases. A static member that returns between them gets its old
    # assignment without the second, and partitions revoked in the first have no owner until the
    # membership changes. An eager rebalance has one phase, and restarts of static members cause no
    # rebalance at all.
    _STRATEGY: "range",
}
_CONSUMER_GUARANTEE: Final[dict[str, Any]] = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # The client never chooses a start: start_offsets.py decides what a missing offset means.
    "auto.offset.reset": "error",
    # Reports positions behind transaction markers and aborted records, as the end of a partition.
    "enable.partition.eof": True,
}
_PRODUCER: Final[dict[str, Any]] = {
    "compression.type": "lz4",
    # A commit sends what waits at once, so this delays nothing; larger requests cost less CPU.
    "linger.ms": 50,
    # A transaction that begins while the markers of the one before are written is told to retry.
    # The client's default of 100 ms would be the latency of each such transaction; 20 ms is what
    # Java's producer waits then. Repeated retries wait longer each time, up to a second.
    "retry.backoff.ms": 20,
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 131_072,
}
_PRODUCER_GUARANTEE: Final[dict[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    # The commit, or the flush before it, confirms success; a callback per record costs 0.7 µs.
    "delivery.report.only.error": True,
}
_DISCARDED_S: Final = 5.0
"""A millisecond is enough. A client whose threads wait for a name server gets no answers either."""
_BAD_CONFIG: Final = (KafkaException, TypeError, ValueError)
"""Exceptions that the client raises for an unknown property or a wrong value."""


def consumer_config(
    shared: LibrdkafkaConfig, own: LibrdkafkaConfig, group: str, instance_id: str | None
) -> dict[str, Any]:
    """Return the librdkafka properties of the group's consumer."""
    static = _STATIC if instance_id else {}
    config = {
        **_SHARED,
        **_CONSUMER,
        **static,
        **shared,
        **own,
        **_CONSUMER_GUARANTEE,
        "group.id": group,
    }
    if instance_id:
        config["group.instance.id"] = instance_id
    if not is_classic(config):
        # The new protocol assigns on the broker and rejects a client-side strategy.
        config.pop(_STRATEGY)
    return config


def is_cooperative(consumer: Mapping[str, Any]) -> bool:
    """Return whether rebalances move single partitions instead of the whole assignment."""
    return not is_classic(consumer) or "cooperative" in consumer[_STRATEGY]


def is_classic(consumer: Mapping[str, Any]) -> bool:
    """Return whether the group uses the classic protocol, in which members set timeouts."""
    return str(consumer.get("group.protocol", "classic")).lower() == "classic"


def producer_config(
    shared: LibrdkafkaConfig, own: LibrdkafkaConfig, delivery: LibrdkafkaConfig
) -> dict[str, Any]:
    """Return the properties of a session's producer; `delivery` is one of the two below."""
    return {**_SHARED, **_PRODUCER, **shared, **own, **_PRODUCER_GUARANTEE, **delivery}


def transactional_config(transactional_id: str, timeout_ms: int) -> LibrdkafkaConfig:
    """Return the properties for exactly-once delivery."""
    return {"transactional.id": transactional_id, "transaction.timeout.ms": timeout_ms}


def acknowledged_config(deadline_s: float) -> LibrdkafkaConfig:
    """Return the properties for at-least-once: what is not acknowledged in time has failed."""
    return {"message.timeout.ms": int(deadline_s * 1000)}


def plain_config(shared: LibrdkafkaConfig) -> dict[str, Any]:
    """Return the librdkafka properties of any other client."""
    return {**_SHARED, **shared}


def group_question_config(shared: LibrdkafkaConfig) -> dict[str, Any]:
    """Return the librdkafka properties of an admin client that asks about groups for long.

    librdkafka 2.16 forgets its brokers when it has lost all connections, to find them anew, but not
    the coordinator it has looked up. The next question about a group is never answered then, and a
    later restart of the broker can abort the process. Such a client keeps its brokers; whoever
    holds it makes a new one when brokers do not answer, in case their addresses have changed.
    """
    return {**plain_config(shared), "metadata.recovery.strategy": "none"}


def make_consumer(config: dict[str, Any], on_error: Callable[[KafkaError], None]) -> Consumer:
    """Create a consumer. ClientSettingsError when librdkafka rejects its configuration."""
    try:
        return Consumer({**config, **_CREATES_NOTHING, "error_cb": on_error}, logger=CLIENT_LOG)
    except _BAD_CONFIG as error:
        raise _bad_config(error, config) from error


def make_producer(
    config: dict[str, Any],
    on_error: Callable[[KafkaError], None],
    on_delivery: Callable[[KafkaError | None, Any], None] | None = None,
    log: logging.Logger = CLIENT_LOG,
) -> Producer:
    """Create a producer. ClientSettingsError when librdkafka rejects its configuration."""
    callbacks: dict[str, Any] = {"error_cb": on_error}
    if on_delivery is not None:
        callbacks["on_delivery"] = on_delivery
    try:
        return Producer({**config, **_CREATES_NOTHING, **callbacks}, logger=log)
    except _BAD_CONFIG as error:
        raise _bad_config(error, config) from error


def discard(producer: Producer) -> None:
    """Give up what a producer has not delivered. Call it before the last reference goes.

    librdkafka 2.16 frees the text of a transaction's error when the client is destroyed, and a
    second time when a broker answers a produce request meanwhile with another error: the process
    aborts, or goes on with corrupted memory (rd_kafka_txns_term). Without requests nothing is
    answered. Closing the client instead would wait for its transaction.
    """
    with contextlib.suppress(KafkaException):  # a fatal error, which is known
        producer.purge()
        # Also waits for the purge, which only asks the client's threads to forget their requests.
        producer.flush(_DISCARDED_S)


def make_admin(config: dict[str, Any], on_error: Callable[[KafkaError], None]) -> AdminClient:
    """Create an admin client. ClientSettingsError when librdkafka rejects its configuration."""
    callbacks: dict[str, Any] = {"error_cb": on_error}
    try:
        return AdminClient({**config, **_CREATES_NOTHING, **callbacks}, logger=CLIENT_LOG)
    except _BAD_CONFIG as error:
        raise _bad_config(error, config) from error


def _bad_config(error: Exception, config: Mapping[str, Any]) -> ClientSettingsError:
    detail = error.args[0]
    text = reason(detail) if isinstance(detail, KafkaError) else str(detail)
    for name, value in config.items():
        # OpenSSL reports an unreadable file as "BIO lib".
        if name.endswith((".location", ".file")) and (why := _unreadable(str(value))):
            text = f"{name}: {value} can't be read, {why}"
    return ClientSettingsError(
        f"librdkafka rejects its configuration ({text}): correct the setting"
    )


def _unreadable(path: str) -> str | None:
    """Return why a file can't be read; None when it can, or is a directory."""
    try:
        Path(path).open("rb").close()
    except (FileNotFoundError, PermissionError) as error:
        return error.strerror
    except OSError:
        pass
    return None
