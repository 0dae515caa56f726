"""Header formats of other systems. All values are UTF-8 text, unless noted otherwise."""

from __future__ import annotations

from typing import Final

from pipeline.core.headers import CONNECT_PREFIX
from pipeline.dlq.header_formats.format import HeaderFormat, big_endian

CONNECT_CLASS_NAME: Final = CONNECT_PREFIX + "class.name"


def _all(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names)


def _at(prefix: str) -> tuple[str, str, str]:
    return f"{prefix}topic", f"{prefix}partition", f"{prefix}offset"


CONNECT: Final = HeaderFormat(
    name="connect",
    coordinates=_at(CONNECT_PREFIX),
    keeps_timestamp=True,
    exception=_all(CONNECT_PREFIX, "exception.class.name"),
    detail=_all(CONNECT_PREFIX, "exception.message"),
    stage=_all(CONNECT_PREFIX, "stage"),
    group=_all(CONNECT_PREFIX, "connector.name"),
    others=(*_all(CONNECT_PREFIX, "task.id", "exception.stacktrace"), CONNECT_CLASS_NAME),
    prefixes=(CONNECT_PREFIX,),
)

_DLT: Final = "kafka_dlt-"
_SPRING: Final = HeaderFormat(
    name="spring",
    coordinates=_at(f"{_DLT}original-"),
    timestamp=_all(_DLT, "original-timestamp"),
    # The exception is nearly always the listener's wrapper; its cause says what went wrong.
    exception=_all(_DLT, "exception-cause-fqcn", "exception-fqcn", "key-exception-fqcn"),
    detail=_all(_DLT, "exception-message", "key-exception-message"),
    group=_all(_DLT, "original-consumer-group"),
    attempt=("retry_topic-attempts", "kafka_deliveryAttempt"),
    others=_all(
        _DLT, "original-timestamp-type", "exception-stacktrace", "key-exception-stacktrace"
    ),
    prefixes=(_DLT, "retry_topic-", "springDeserializerException"),
    number=big_endian,
)

_STREAMS_PREFIX: Final = "__streams.errors."
_STREAMS: Final = HeaderFormat(
    name="streams",
    coordinates=_at(_STREAMS_PREFIX),
    keeps_timestamp=True,
    # The second names are those of bakdata's library, which is older than Kafka's own headers.
    exception=_all(_STREAMS_PREFIX, "exception", "exception.class.name"),
    detail=_all(_STREAMS_PREFIX, "message", "exception.message", "description"),
    stage=_all(_STREAMS_PREFIX, "processor.node.id"),
    others=_all(_STREAMS_PREFIX, "stacktrace", "exception.stack_trace", "task.id"),
    prefixes=(_STREAMS_PREFIX,),
)

_SHARE: Final = "__dlq.errors."
_SHARE_GROUP: Final = HeaderFormat(
    name="share-group",
    coordinates=_at(_SHARE),
    reason=_all(_SHARE, "message"),
    detail=_all(_SHARE, "message"),
    group=_all(_SHARE, "group"),
    attempt=_all(_SHARE, "delivery.count"),
    prefixes=(_SHARE,),
)

_RULE: Final = "__rule."
_SCHEMA_REGISTRY: Final = HeaderFormat(
    name="schema-registry",
    reason=_all(_RULE, "name"),
    detail=_all(_RULE, "exception"),
    stage=_all(_RULE, "mode"),
    others=_all(_RULE, "subject", "topic"),
    prefixes=(_RULE,),
)

_SMALLRYE_PREFIX: Final = "dead-letter-"
_SMALLRYE: Final = HeaderFormat(
    name="smallrye",
    coordinates=_at(_SMALLRYE_PREFIX),
    exception=_all(_SMALLRYE_PREFIX, "exception-class-name", "cause-class-name"),
    detail=_all(_SMALLRYE_PREFIX, "reason", "cause"),
    prefixes=(_SMALLRYE_PREFIX,),
)

_KARAFKA: Final = HeaderFormat(
    name="karafka",
    coordinates=_at("source_"),
    group=("source_consumer_group",),
    attempt=("source_attempts",),
    needed=frozenset(_at("source_")),
)

_POSTHOG: Final = HeaderFormat(
    name="posthog",
    coordinates=_at("dlq_"),
    reason=("dlq-reason",),
    detail=("dlq-reason",),
    stage=("dlq-step",),
    others=("dlq-timestamp",),
    needed=frozenset({"dlq-reason"}),
)

_ARROYO_NAMES: Final = ("original_partition", "original_offset")
_ARROYO: Final = HeaderFormat(
    name="arroyo",
    others=_ARROYO_NAMES,  # without a topic they name no record
    needed=frozenset(_ARROYO_NAMES),
)

FOREIGN: Final = (
    CONNECT,
    _SPRING,
    _STREAMS,
    _SHARE_GROUP,
    _SCHEMA_REGISTRY,
    _SMALLRYE,
    _KARAFKA,
    _POSTHOG,
    _ARROYO,
)
