"""Reading as a read_committed reader sees a topic; belongs to no group, commits nothing."""

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
from pipeline.kafka.wait_notices import PollingWait, Say, ignore_wait

CHUNK: Final = 100
"""Messages of one call. Of a thousand, most are out of the processor's cache again before they are
looked at: a summary of dead letters takes twice as long then."""
_WAIT_S: Final = 0.02
"""consume() waits so long for a full chunk, which the last one never is."""
_GROUP: Final = "track-pipeline-read"
"""The client wants the name of a group; it is not joined."""

UNREADABLE: Final = frozenset(
    {
        error_codes.BAD_MESSAGE,
        error_codes.BAD_COMPRESSION,
        error_codes.NOT_IMPLEMENTED,
    }
)
"""Errors of records that are damaged, or in a form that the client does not know.

It asks for them again and again; where it checks sums (`check.crcs`) it may even go on at any
offset. So nothing that it tells after such an error is to be believed.
"""


def unreadable(message: Message, error: KafkaError) -> OutcomeUnknownError:
    """The sentence for such an error; another replica or connection may have them whole."""
    return OutcomeUnknownError(
        f"{message.topic()}/{message.partition()}: the records from offset {message.offset()} on "
        f"can't be read ({reason(error)}). If this does not end, they are damaged on the broker: "
        "restore them from a replica, or set the group's offset behind them"
    )


def read_committed(
    kafka: LibrdkafkaConfig, topic: str, timeout_s: float, group: str = _GROUP
) -> Iterator[Record]:
    """Every record of a topic that is committed now, partition by partition in order.

    Raises TransportError when the topic does not exist, or answers nothing for `timeout_s`.
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
    """A consumer that is assigned its partitions and tells when it has reached an end."""
    config = {
        **plain_config(kafka),
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",  # never skip what was deleted without saying so
        # Bounds memory; a queue that is full is looked at again soon, not after a second.
        "queued.max.messages.kbytes": 16_384,
        "fetch.max.bytes": 4_194_304,
        "fetch.queue.backoff.ms": 20,
        "fetch.wait.max.ms": 20,  # the end of a topic is told only when a fetch comes back
    }
    return make_consumer(config, last_error)


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
    say: Say,
) -> Iterator[list[Message]]:
    """What a reader gets, chunk by chunk, for ever; `places()` names what it waits for.

    `say` is told when nothing comes for a moment, and TransportError is raised when nothing comes
    for `timeout_s`. The time that the caller takes for a chunk does not count.
    """

    def silence(lasts: str) -> str:
        return f"{places()} {lasts}{last_error.sentence()}; is a transaction still open?"

    while True:
        wait = PollingWait(say)
        while not (messages := taken(consumer)):
            if wait.goes_on(lambda: silence("does not go on")) > timeout_s:
                raise TransportError(silence(f"did not go on for {timeout_s:.0f} s"))
        yield messages


def taken(consumer: Consumer) -> list[Message]:
    """What a reader has got: records, ends and errors.

    The client also looks for its group's coordinator. That this is forbidden, as it may well be,
    is of no interest to a reader that joins no group.
    """
    return [
        message
        for message in consumer.consume(CHUNK, _WAIT_S)
        if (error := message.error()) is None
        or error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED
    ]


def to_record(message: Any) -> Record:  # noqa: ANN401  stubs allow None where records have none
    """A message without error as a Record."""
    kind, timestamp = message.timestamp()
    try:
        headers = message.headers() or ()
    except (SystemError, UnicodeError):
        # The client can't give a name that is not UTF-8; other clients can write one.
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
