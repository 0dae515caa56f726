"""What the tests read of a topic."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.brokers import RECENT, Sent, create_topics, open_transaction, produce, read_topic

pytestmark = pytest.mark.kafka


def test_reading_waits_for_the_end_of_a_transaction(
    bootstrap_servers: str, topic_name: Callable[[str], str]
) -> None:
    """A commit that has no markers yet counts; only who asks for it reads up to open ones."""
    topic = topic_name("read")
    create_topics(bootstrap_servers, topic)
    produce(bootstrap_servers, topic, [Sent(b"before", timestamp=RECENT)])
    sent = [Sent(b"within", timestamp=RECENT, partition=0)]
    producer = open_transaction(bootstrap_servers, topic, sent, topic)
    found = read_topic(bootstrap_servers, topic, to_open=True)
    assert [each.value for each in found] == [b"before"]
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read_topic, bootstrap_servers, topic)
        # What takes as long: by now it would be done if it did not wait.
        read_topic(bootstrap_servers, topic, to_open=True)
        assert not reading.done()
        producer.commit_transaction(10)
        assert [each.value for each in reading.result()] == [b"before", b"within"]
