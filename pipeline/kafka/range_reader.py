"""Reads ranges of partitions once, from one offset to another.

Guarantees
    Every committed record of a range is yielded once, in order within its partition. Records of
    aborted transactions are not. A range that was deleted, even in part, raises DataLossError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.core.record import Record
from pipeline.errors import DataLossError, TransportError
from pipeline.kafka import error_codes
from pipeline.kafka.clients import LibrdkafkaConfig
from pipeline.kafka.errors import LastClientError, in_transaction, kafka_error, reason
from pipeline.kafka.reader import arriving, make_reader, to_record
from pipeline.kafka.wait_notices import OnWait, ignore_wait


class RangeReader:
    """Reads ranges with a consumer that joins no group and commits nothing.

    Within a range it waits for open transactions, whose records may belong to it, for at most
    `timeout_s` without progress.
    """

    def __init__(
        self, kafka: LibrdkafkaConfig, timeout_s: float, on_wait: OnWait = ignore_wait
    ) -> None:
        """`on_wait` is called with a sentence about each longer wait."""
        self._kafka = kafka
        self._timeout_s = timeout_s
        self._on_wait = on_wait

    def read(self, ranges: Mapping[tuple[str, int], tuple[int, int]]) -> Iterator[Record]:
        """Yield the records of each range in order; partitions interleave.

        `ranges` maps (topic, partition) to its first offset and the one after its last. Raises
        DataLossError when a range was deleted before it was read, TransportError when nothing
        arrives any more.
        """
        wanted = {place: ends for place, ends in ranges.items() if ends[0] < ends[1]}
        if not wanted:
            return
        last_error = LastClientError()
        consumer = make_reader(self._kafka, last_error)
        try:
            consumer.assign([TopicPartition(*place, first) for place, (first, _) in wanted.items()])
            yield from self._read(consumer, {p: end for p, (_, end) in wanted.items()}, last_error)
        except KafkaException as error:
            text = f"reading {_names(wanted)}: {reason(kafka_error(error))}{last_error.sentence()}"
            raise TransportError(text) from error
        finally:
            consumer.close()

    def _read(
        self, consumer: Consumer, ends: dict[tuple[str, int], int], last_error: LastClientError
    ) -> Iterator[Record]:
        chunks = arriving(
            consumer, self._timeout_s, last_error, lambda: _names(ends), self._on_wait
        )
        while ends:
            for message in next(chunks):
                error = message.error()
                if error is None:
                    record = to_record(message)
                    _, _, _, _, topic, partition, offset = record
                    place, behind = (topic, partition), offset + 1
                else:
                    place, behind = _place(message), message.offset() or 0
                    if error.code() != error_codes.PARTITION_EOF:
                        raise _failure(error, place)
                end = ends.get(place)
                if end is None:
                    continue  # fetched before the partition was paused
                if error is None and behind <= end:
                    yield record
                # The last offset of a range may have no record. The range is complete with the
                # first record behind it, or at the end of the partition.
                if behind >= end:
                    del ends[place]
                    consumer.pause([TopicPartition(*place)])


def _place(message: Message) -> tuple[str, int]:
    topic, partition = message.topic(), message.partition()
    if topic is None or partition is None:
        raise _failure(message.error() or KafkaError(error_codes.FAILED), ("a topic", -1))
    return topic, partition


def _failure(error: KafkaError, place: tuple[str, int]) -> TransportError:
    topic, partition = place
    what = f"reading {topic}/{partition}"
    if error.code() in error_codes.OFFSET_GONE:
        return DataLossError(
            f"{what}: records were deleted before they could be read; start again for what is left"
        )
    return in_transaction(KafkaException(error), what)


def _names(places: Mapping[tuple[str, int], object]) -> str:
    """Name some of the partitions, for a sentence."""
    names = [f"{topic}/{partition}" for topic, partition in sorted(places)]
    few = 3
    return ", ".join(names[:few]) + (f" and {len(names) - few} more" if len(names) > few else "")
