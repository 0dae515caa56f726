"""The two clients of a session, configured so that the delivery guarantee holds.

What the guarantee depends on is set here and can't be overridden; everything else of librdkafka
can be passed through the settings.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from pipeline.ports import RefusedError

LibrdkafkaConfig = Mapping[str, str | int | float | bool]

CLIENT_LOG: Final = logging.getLogger("pipeline.librdkafka")
# Without a handler Python would print the client's warnings; our sentences tell what matters.
CLIENT_LOG.addHandler(logging.NullHandler())

_SHARED: Final[dict[str, Any]] = {
    "client.id": "track-pipeline",
    # Say at once when a broker's name or port is wrong, instead of for ever "timed out".
    "socket.connection.setup.timeout.ms": 10_000,
}
_STRATEGY: Final = "partition.assignment.strategy"
_CONSUMER: Final[dict[str, Any]] = {
    _STRATEGY: "cooperative-sticky",
    # Bounds memory: what the client has fetched and the worker has not yet taken.
    "queued.max.messages.kbytes": 65_536,
    "fetch.message.max.bytes": 1_048_576,
}
_CONSUMER_GUARANTEE: Final[dict[str, Any]] = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # Never start anywhere by itself: what a missing offset means is decided in positions.py.
    "auto.offset.reset": "error",
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
    # In a transaction a success is told by the commit; a callback per record would cost 0.7 µs.
    "delivery.report.only.error": True,
}


def consumer_config(
    shared: LibrdkafkaConfig, own: LibrdkafkaConfig, group: str, instance_id: str | None
) -> dict[str, Any]:
    """librdkafka properties of the group's consumer."""
    config = {**_SHARED, **_CONSUMER, **shared, **own, **_CONSUMER_GUARANTEE, "group.id": group}
    if instance_id:
        config["group.instance.id"] = instance_id
    if _is_new_protocol(config):
        # It assigns on the broker and refuses a client-side strategy.
        config.pop(_STRATEGY)
    return config


def is_cooperative(consumer: Mapping[str, Any]) -> bool:
    """Whether rebalances take and give single partitions instead of all at once."""
    return _is_new_protocol(consumer) or "cooperative" in consumer[_STRATEGY]


def _is_new_protocol(config: Mapping[str, Any]) -> bool:
    return config.get("group.protocol") == "consumer"


def producer_config(
    shared: LibrdkafkaConfig,
    own: LibrdkafkaConfig,
    transactional_id: str,
    transaction_timeout_ms: int,
) -> dict[str, Any]:
    """librdkafka properties of a transactional producer."""
    return {
        **_SHARED,
        **_PRODUCER,
        **shared,
        **own,
        **_PRODUCER_GUARANTEE,
        "transactional.id": transactional_id,
        "transaction.timeout.ms": transaction_timeout_ms,
    }


def plain_config(shared: LibrdkafkaConfig) -> dict[str, Any]:
    """librdkafka properties of any other client."""
    return {**_SHARED, **shared}


def make_consumer(config: dict[str, Any], on_error: Callable[[KafkaError], None]) -> Consumer:
    """A consumer; RefusedError when librdkafka does not take the configuration."""
    try:
        return Consumer({**config, "error_cb": on_error}, logger=CLIENT_LOG)
    except KafkaException as error:
        raise _bad_config(error) from error


def make_producer(
    config: dict[str, Any],
    on_error: Callable[[KafkaError], None],
    on_delivery: Callable[[KafkaError | None, Any], None] | None = None,
) -> Producer:
    """A producer; RefusedError when librdkafka does not take the configuration."""
    callbacks: dict[str, Any] = {"error_cb": on_error}
    if on_delivery is not None:
        callbacks["on_delivery"] = on_delivery
    try:
        return Producer({**config, **callbacks}, logger=CLIENT_LOG)
    except KafkaException as error:
        raise _bad_config(error) from error


def make_admin(config: dict[str, Any], on_error: Callable[[KafkaError], None]) -> AdminClient:
    """An admin client; RefusedError when librdkafka does not take the configuration."""
    callbacks: dict[str, Any] = {"error_cb": on_error}
    try:
        return AdminClient({**config, **callbacks}, logger=CLIENT_LOG)
    except KafkaException as error:
        raise _bad_config(error) from error


def _bad_config(error: KafkaException) -> RefusedError:
    detail = error.args[0]
    text = detail.str() if isinstance(detail, KafkaError) else str(detail)
    return RefusedError(f"librdkafka refuses its configuration ({text}): correct the setting")
