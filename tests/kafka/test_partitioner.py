"""Output partitions: the source's number, or where a Java client would put the key."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from pipeline.core.record import NO_PARTITION
from pipeline.kafka.partitioner import PartitionMap, murmur2
from pipeline.ports import TopicSpec
from tests.brokers import RECENT, Sent, produce, read_topic
from tests.hostile import EVENT
from tests.kafka.worker_process import Pipeline, terminate

JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""Key → signed hash, from the tests of Kafka's own Java class."""


@pytest.mark.parametrize("key", JAVA)
def test_hash_of_java_clients(key: bytes) -> None:
    """The hash is the Java client's, bit for bit."""
    assert murmur2(key) == JAVA[key] % 2**32


def test_as_many_partitions() -> None:
    """With as many partitions the number stays, whatever the key."""
    assert [PartitionMap(3, 3).target(number, b"21") for number in range(3)] == [0, 1, 2]


def test_another_number_of_partitions() -> None:
    """By key with the hash made positive; without a key by the source's number."""
    partitions = PartitionMap(8, 5)
    assert partitions.target(7, b"21") == (JAVA[b"21"] & 0x7FFFFFFF) % 5
    assert partitions.target(7, None) == 2


def test_client_places_records_without_partition() -> None:
    """A record from a file goes where the client puts it."""
    assert {PartitionMap(*counts).target(NO_PARTITION, None) for counts in ((3, 3), (8, 5))} == {-1}


@pytest.mark.kafka
def test_beside_a_client_with_the_java_hash(bare_pipeline: Pipeline) -> None:
    """Joins hold: events of a key are where murmur2_random puts it in a topic of that size."""
    names, servers = bare_pipeline.names, bare_pipeline.servers
    sizes = {names.raw: 2, names.enriched: 5, names.dead_letter: 2, names.identify: 5}
    dead_letters = {"max.message.bytes": "1114124"}
    bare_pipeline.admin.create(
        TopicSpec(name, size, 1, dead_letters if name == names.dead_letter else {})
        for name, size in sizes.items()
    )
    keys = [f"user-{number}".encode() for number in range(40)]
    client = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    for key in keys:
        client.produce(names.identify, b"-", key)
    assert client.flush(30) == 0
    elsewhere = {each.key: each.partition for each in read_topic(servers, names.identify)}
    produce(servers, names.raw, [Sent(EVENT, key, (), RECENT) for key in keys])
    worker = bare_pipeline.start()
    bare_pipeline.wait_until_done()
    assert terminate(worker) == 0
    enriched = read_topic(servers, names.enriched)
    assert len(enriched) == len(keys)
    assert {each.key: each.partition for each in enriched} == elsewhere
