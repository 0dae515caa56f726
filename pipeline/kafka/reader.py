"""Reads topics with read_committed isolation. Joins no group and commits nothing.

Guarantees
    Every record that is committed when reading starts is yielded once, in order within its
    partition. Records of aborted transactions are not. Offsets that were deleted while reading
    raise an error, and are never skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from pipeline.core.record import INVALID_HEADERS, Record, new_tuple
from pipeline.errors import OutcomeUnknownError, TransportError
from pipeline.kafka import error_codes
from pipeline.kafka.clients import LibrdkafkaConfig, make_consumer, plain_config
from pipeline.kafka.errors import LastClientError, in_transaction, kafka_error, reason
from pipeline.kafka.partitions import partitions_of
from pipeline.kafka.wait_notices import OnWait, PollingWait, ignore_wait

CHUNK: Final = 100
"""Messages per call. Of a thousand, most have left the processor's cache before they are processed:
a summary of dead letters then takes twice as long."""
_WAIT_S: Final = 0.02
"""How long consume() waits for a full chunk, which the last one never is."""
_GROUP: Final = "track-pipeline-read"
"""Group name that the client requires; the group is never joined."""

UNREADABLE: Final = frozenset(
    {
        error_codes.BAD_MESSAGE,
        error_codes.BAD_COMPRESSION,
        error_codes.NOT_IMPLEMENTED,
    }
)
"""Errors of records that are damaged, or in a format that the client does not know.

The client fetches them again and again; when it verifies checksums (`check.crcs`), it may even
continue at an arbitrary offset. So nothing that it delivers after such an error can be trusted.
"""


def unreadable(message: Message, error: KafkaError) -> OutcomeUnknownError:
    """Return the error for such records. Another replica or connection may have them intact."""
    return OutcomeUnknownError(
        f"{message.topic()}/{message.partition()}: the records from offset {message.offset()} on "
        f"can't be read ({reason(error)}). If this does not end, they are damaged on the broker: "
        "restore them from a replica, or set the group's offset behind them"
    )


def read_committed(
    kafka: LibrdkafkaConfig, topic: str, timeout_s: float, group: str = _GROUP
) -> Iterator[Record]:
    """Yield every record of a topic that is committed now, in order within each partition.

    Raises TransportError when the topic does not exist, or nothing arrives for `timeout_s`.
    """
    last_error = LastClientError()
    consumer = make_reader(kafka, last_error, group)
    try:
        yield from _read(consumer, topic, last_error, timeout_s)
    except KafkaException as error:
        text = f"reading topic {topic}: {reason(kafka_error(error))}{last_error.sentence()}"
        raise TransportError(text) from error
    finally:
        consumer.close()


def make_reader(
    kafka: LibrdkafkaConfig, last_error: LastClientError, group: str = _GROUP
) -> Consumer:
    """Create a consumer for assigned partitions that reports their ends."""
    return make_consumer(reader_config(kafka, group), last_error)


def reader_config(kafka: LibrdkafkaConfig, group: str = _GROUP) -> dict[str, Any]:
    """Return the librdkafka properties of such a consumer."""
    return {
        **plain_config(kafka),
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",  # never skip deleted records silently
        # Limits memory. A full queue is checked again soon, not after a second.
        "queued.max.messages.kbytes": 16_384,
        "fetch.max.bytes": 4_194_304,
        "fetch.queue.backoff.ms": 20,
        "fetch.wait.max.ms": 20,  # the end of a topic is reported only when a fetch returns
    }


def _read(
    consumer: Consumer, topic: str, last_error: LastClientError, timeout_s: float
) -> Iterator[Record]:
    open_ends = set(partitions_of(consumer, topic, timeout_s, last_error))
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in open_ends])
    chunks = arriving(consumer, timeout_s, last_error, lambda: f"topic {topic}", ignore_wait)
    while open_ends:
        for message in next(chunks):
            error = message.error()
            if error is None:
                yield to_record(message)
            elif error.code() == error_codes.PARTITION_EOF:
                open_ends.discard(message.partition())
            else:
                raise in_transaction(KafkaException(error), f"reading topic {topic}")


def arriving(
    consumer: Consumer,
    timeout_s: float,
    last_error: LastClientError,
    places: Callable[[], str],
    on_wait: OnWait,
) -> Iterator[list[Message]]:
    """Yield what a reader receives, chunk by chunk, forever; `places()` names what it reads.

    Calls `on_wait` when nothing arrives for a moment, and raises TransportError when nothing
    arrives for `timeout_s`. The time that the caller spends on a chunk does not count.
    """

    def silence(lasts: str) -> str:
        return f"{places()} {lasts}{last_error.sentence()}; is a transaction still open?"

    while True:
        wait = PollingWait(on_wait)
        while not (messages := taken(consumer)):
            if wait.elapsed(lambda: silence("does not go on")) > timeout_s:
                raise TransportError(silence(f"did not go on for {timeout_s:.0f} s"))
        wait.end(lambda: f"{places()} goes on")
        yield messages


def taken(consumer: Consumer) -> list[Message]:
    """Return what a reader has received: records, ends and errors.

    The client also looks for its group's coordinator. A reader that joins no group does not care
    that this may be forbidden.
    """
    return [
        message
        for message in consumer.consume(CHUNK, _WAIT_S)
        if (error := message.error()) is None
        or error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED
    ]


def to_record(message: Any) -> Record:  # noqa: ANN401  stubs allow None where records have none
    """Convert a message without an error."""
    kind, timestamp = message.timestamp()
    try:
        headers = message.headers() or ()
    except (SystemError, UnicodeError):
        # The client can't decode a header name that is not UTF-8, which other clients can write.
        headers = INVALID_HEADERS
    return new_tuple(
        Record,
        (
            message.value(),
            message.key(),
            headers,
            timestamp if kind else None,
            message.topic(),
            message.partition(),
            message.offset(),
        ),
    )
