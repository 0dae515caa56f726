"""Dead letters as other systems write them, and what must be read from each."""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

from pipeline.core.record import Headers, Record, Role
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.header_formats import read_dead_letter
from tests.support import only, process, raw

TOPIC: Final = "shop.raw"
SENT: Final = 1_760_000_000_000
"""Kafka timestamp of the original record, epoch milliseconds."""
TRACE: Final = "\n\tat org.example.Reader.read(Reader.java:12)" * 40
SENDERS: Final[Headers] = (("trace", b"t-1"), ("trace", b"t-2"), ("empty", None))
"""Headers of the sender's own."""
VALUE: Final = b'{"event":"e","userId":"u"}'


class Foreign(NamedTuple):
    """A dead letter of another system: what that system adds, and what it says."""

    added: Headers
    reason: str = "unknown"
    detail: str = ""
    stage: str = ""
    group: str = ""
    attempt: int = 1
    source: str | None = f"{TOPIC}/3/41"
    source_timestamp: int | None = None


def connect(
    offset: bytes = b"41",
    exception: bytes = b"org.apache.kafka.connect.errors.DataException",
    message: bytes = b"Converting byte[] to Kafka Connect data failed",
) -> Headers:
    """The ten headers of Kafka Connect."""
    prefix = "__connect.errors."
    return [
        (prefix + "topic", TOPIC.encode()),
        (prefix + "partition", b"3"),
        (prefix + "offset", offset),
        (prefix + "connector.name", b"s3-sink"),
        (prefix + "task.id", b"0"),
        (prefix + "stage", b"VALUE_CONVERTER"),
        (prefix + "class.name", b"org.apache.kafka.connect.json.JsonConverter"),
        (prefix + "exception.class.name", exception),
        (prefix + "exception.message", message),
        (prefix + "exception.stacktrace", TRACE.encode()),
    ]


SPRING: Final[Headers] = [
    ("kafka_deliveryAttempt", struct.pack(">i", 7)),
    ("retry_topic-attempts", struct.pack(">i", 4)),
    ("retry_topic-original-timestamp", SENT.to_bytes(6, "big")),
    ("kafka_dlt-exception-fqcn", b"org.springframework.kafka.ListenerExecutionFailedException"),
    ("kafka_dlt-exception-cause-fqcn", b"com.example.Orders$OutOfStock"),
    ("kafka_dlt-exception-message", b"Listener failed; none left\n\tof 4711"),
    ("kafka_dlt-exception-stacktrace", TRACE.encode()),
    ("kafka_dlt-original-topic", TOPIC.encode()),
    ("kafka_dlt-original-partition", struct.pack(">i", 3)),
    ("kafka_dlt-original-offset", struct.pack(">q", 41)),
    ("kafka_dlt-original-timestamp", struct.pack(">q", SENT)),
    ("kafka_dlt-original-timestamp-type", b"CreateTime"),
    ("kafka_dlt-original-consumer-group", b"orders"),
    ("springDeserializerExceptionKey", b"\xac\xed\x00\x05"),
]


def _text(prefix: str, separator: str, **values: str) -> Headers:
    return [(prefix + name.replace("_", separator), v.encode()) for name, v in values.items()]


_PLACE: Final = {"topic": TOPIC, "partition": "3", "offset": "41"}

FOREIGN: Final = {
    "connect": Foreign(
        connect(),
        reason="DataException",
        detail="Converting byte[] to Kafka Connect data failed",
        stage="VALUE_CONVERTER",
        group="s3-sink",
        source_timestamp=SENT,
    ),
    "spring": Foreign(
        SPRING,
        reason="OutOfStock",
        detail=r"Listener failed; none left\n\tof 4711",
        group="orders",
        attempt=4,
        source_timestamp=SENT,
    ),
    "streams": Foreign(
        _text(
            "__streams.errors.",
            ".",
            exception="java.lang.RuntimeException: KABOOM: 7.5",
            message="KABOOM: 7.5",
            stacktrace=TRACE,
            **_PLACE,
        ),
        reason="RuntimeException",
        detail="KABOOM: 7.5",
        source_timestamp=SENT,
    ),
    "share-group": Foreign(
        _text(
            "__dlq.errors.",
            ".",
            **_PLACE,
            group="billing",
            delivery_count="5",
            message="Offset rejected by client.",
        ),
        reason="Offset rejected by client.",
        detail="Offset rejected by client.",
        group="billing",
        attempt=5,
    ),
    "schema-registry": Foreign(
        _text(
            "__rule.",
            ".",
            name="checkEmail",
            mode="WRITE",
            subject="orders-value",
            topic=TOPIC,
            exception="Expr failed",
        ),
        reason="checkEmail",
        detail="Expr failed",
        stage="WRITE",
        source=None,
    ),
    "smallrye": Foreign(
        _text(
            "dead-letter-",
            "-",
            exception_class_name="java.lang.IllegalStateException",
            cause_class_name="java.io.IOException",
            reason="no such user",
            cause="disk",
            **_PLACE,
        ),
        reason="IllegalStateException",
        detail="no such user",
    ),
    "karafka": Foreign(
        _text("source_", "_", **_PLACE, consumer_group="app", attempts="2"),
        group="app",
        attempt=2,
    ),
    "posthog": Foreign(
        [
            *_text("dlq-", "-", reason="no token", step="resolve-team", timestamp="2026-01-01"),
            *_text("dlq_", "_", **_PLACE),
        ],
        reason="no token",
        detail="no token",
        stage="resolve-team",
    ),
    "arroyo": Foreign(_text("original_", "_", partition="3", offset="41"), source=None),
}


def dead_letter_of(
    headers: Headers, value: bytes | None = VALUE, timestamp: int | None = SENT
) -> DeadLetter:
    """Read a record of a dead-letter topic."""
    return read_dead_letter(Record(value, b"key", headers, timestamp, "dead", 1, 9))


def our_headers(headers: Headers = (), **settings: Any) -> Headers:
    """The headers of a dead letter that a worker has written; some are the sender's."""
    return only(process(raw(b"{", headers), **settings), Role.DEAD_LETTER).headers
