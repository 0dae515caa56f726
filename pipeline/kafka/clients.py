"""The two clients of a session, configured so that the delivery guarantee holds.

What the guarantee depends on is set here and can't be overridden; everything else of librdkafka
can be passed through the settings.
"""

from __future__ import annotations

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
# Without a handler Python would print the client's warnings; our sentences tell what matters.
CLIENT_LOG.addHandler(logging.NullHandler())


class ConnectionLog(logging.Logger):
    """A client's log, which counts the connections that were lost.

    The client tells its error callback only of connections that can't be made again.
    """

    def __init__(self) -> None:
        super().__init__(f"{CLIENT_LOG.name}.producer")
        self.parent = CLIENT_LOG
        self.lost = 0

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:  # noqa: ANN401  logging's
        """Count and hand on; the client calls it inside `poll`, with its kind of message first."""
        self.lost += args[:1] == ("FAIL",)
        super().log(level, msg, *args, **kwargs)


_SHARED: Final[dict[str, Any]] = {
    "client.id": "track-pipeline",
    # Say at once when a broker's name or port is wrong, instead of for ever "timed out".
    "socket.connection.setup.timeout.ms": 10_000,
}
_CREATES_NOTHING: Final[dict[str, Any]] = {
    # Asking for a topic, or writing to it, must never create it: where brokers create topics by
    # themselves, one that was deleted would come back with their defaults. (Of producers and admin
    # clients librdkafka allows it unless told otherwise.)
    "allow.auto.create.topics": False,
}
"""Of every client, whatever the settings say."""
_STRATEGY: Final = "partition.assignment.strategy"
_CONSUMER: Final[dict[str, Any]] = {
    _STRATEGY: "cooperative-sticky",
    # Bounds memory: what the client has fetched and the worker has not yet taken.
    "queued.max.messages.kbytes": 65_536,
    "fetch.message.max.bytes": 1_048_576,
}
_STATIC: Final[dict[str, Any]] = {
    # A cooperative rebalance has two parts. A static member that comes back between them gets its
    # old assignment without the second, and what was revoked in the first belongs to nobody until
    # the membership changes. In one part nothing is lost, and restarts cause none at all.
    _STRATEGY: "range",
}
_CONSUMER_GUARANTEE: Final[dict[str, Any]] = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # Never start anywhere by itself: what a missing offset means is decided in start_offsets.py.
    "auto.offset.reset": "error",
    # Positions behind transaction markers and aborted records are told as the end of a partition.
    "enable.partition.eof": True,
}
_PRODUCER: Final[dict[str, Any]] = {
    "compression.type": "lz4",
    "linger.ms": 5,
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 131_072,
}
_PRODUCER_GUARANTEE: Final[dict[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    # The commit, or the flush before it, tells that all went well; a callback for each record
    # would cost 0.7 µs.
    "delivery.report.only.error": True,
}
_BAD_CONFIG: Final = (KafkaException, TypeError, ValueError)
"""What the client raises for a property that it does not take, or not with this value."""


def consumer_config(
    shared: LibrdkafkaConfig, own: LibrdkafkaConfig, group: str, instance_id: str | None
) -> dict[str, Any]:
    """librdkafka properties of the group's consumer."""
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
        # It assigns on the broker and refuses a client-side strategy.
        config.pop(_STRATEGY)
    return config


def is_cooperative(consumer: Mapping[str, Any]) -> bool:
    """Whether rebalances take and give single partitions instead of all at once."""
    return not is_classic(consumer) or "cooperative" in consumer[_STRATEGY]


def is_classic(consumer: Mapping[str, Any]) -> bool:
    """Whether the members of the group agree among themselves, and name their own time-outs."""
    return str(consumer.get("group.protocol", "classic")).lower() == "classic"


def producer_config(
    shared: LibrdkafkaConfig, own: LibrdkafkaConfig, delivery: LibrdkafkaConfig
) -> dict[str, Any]:
    """librdkafka properties of a session's producer; `delivery` is one of the two below."""
    return {**_SHARED, **_PRODUCER, **shared, **own, **_PRODUCER_GUARANTEE, **delivery}


def transactional_config(transactional_id: str, timeout_ms: int) -> LibrdkafkaConfig:
    """For exactly-once."""
    return {"transactional.id": transactional_id, "transaction.timeout.ms": timeout_ms}


def acknowledged_config(deadline_s: float) -> LibrdkafkaConfig:
    """For at-least-once: what is not acknowledged by the deadline is reported as failed."""
    return {"message.timeout.ms": int(deadline_s * 1000)}


def plain_config(shared: LibrdkafkaConfig) -> dict[str, Any]:
    """librdkafka properties of any other client."""
    return {**_SHARED, **shared}


def make_consumer(config: dict[str, Any], on_error: Callable[[KafkaError], None]) -> Consumer:
    """A consumer; ClientSettingsError when librdkafka does not take the configuration."""
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
    """A producer; ClientSettingsError when librdkafka does not take the configuration."""
    callbacks: dict[str, Any] = {"error_cb": on_error}
    if on_delivery is not None:
        callbacks["on_delivery"] = on_delivery
    try:
        return Producer({**config, **_CREATES_NOTHING, **callbacks}, logger=log)
    except _BAD_CONFIG as error:
        raise _bad_config(error, config) from error


def make_admin(config: dict[str, Any], on_error: Callable[[KafkaError], None]) -> AdminClient:
    """An admin client; ClientSettingsError when librdkafka does not take the configuration."""
    callbacks: dict[str, Any] = {"error_cb": on_error}
    try:
        return AdminClient({**config, **_CREATES_NOTHING, **callbacks}, logger=CLIENT_LOG)
    except _BAD_CONFIG as error:
        raise _bad_config(error, config) from error


def _bad_config(error: Exception, config: Mapping[str, Any]) -> ClientSettingsError:
    detail = error.args[0]
    text = reason(detail) if isinstance(detail, KafkaError) else str(detail)
    for name, value in config.items():
        # OpenSSL's own words for a file that can't be read are "BIO lib".
        if name.endswith((".location", ".file")) and (why := _unreadable(str(value))):
            text = f"{name}: {value} can't be read, {why}"
    return ClientSettingsError(
        f"librdkafka refuses its configuration ({text}): correct the setting"
    )


def _unreadable(path: str) -> str | None:
    """Why a file can't be read; None when it can, or is a folder."""
    try:
        Path(path).open("rb").close()
    except (FileNotFoundError, PermissionError) as error:
        return error.strerror
    except OSError:
        pass
    return None
