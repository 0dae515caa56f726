"""librdkafka's built-in mock cluster: a Kafka whose every answer a test can spoil.

It is part of the client's own shared library, and driven through ctypes; the clients under test
connect to it as to any cluster. It keeps no transactional offsets, writes no commit markers and
fences nobody: good for what is done about errors, no proof of exactly-once.
"""

from __future__ import annotations

import ctypes
import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import confluent_kafka

ONLY: Final = 1
"""Brokers are numbered from 1; most tests have this one."""
_ERROR_TEXT_BYTES: Final = 512
_PRODUCER: Final = 0
_NO_LOG: Final = b"0"
_PATIENCE_S: Final = 30.0
_MANY: Final = 100


class Api(IntEnum):
    """Kafka's request types, by its own names and numbers."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    SYNC_GROUP = 14
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


@cache
def library() -> Any:
    """The client's own shared library, the instance that it has loaded."""
    folder = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
    (path,) = folder.glob("librdkafka-*")
    library = ctypes.CDLL(str(path))
    for name in ("conf_new", "new", "handle_mock_cluster"):
        getattr(library, f"rd_kafka_{name}").restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_get_requests.restype = ctypes.POINTER(ctypes.c_void_p)
    return library


class MockCluster:
    """A cluster of so many brokers; a context manager that ends it."""

    def __init__(self, brokers: int = 1) -> None:
        self._library = library()
        text = ctypes.create_string_buffer(_ERROR_TEXT_BYTES)
        config = ctypes.c_void_p(self._library.rd_kafka_conf_new())
        settings = {b"test.mock.num.brokers": str(brokers).encode(), b"log_level": _NO_LOG}
        for name, value in settings.items():
            assert not self._library.rd_kafka_conf_set(config, name, value, text, len(text)), text
        client = self._library.rd_kafka_new(_PRODUCER, config, text, ctypes.c_size_t(len(text)))
        assert client, text.value.decode()
        self._client = ctypes.c_void_p(client)
        self._cluster = ctypes.c_void_p(self._library.rd_kafka_handle_mock_cluster(self._client))
        self._call("group_initial_rebalance_delay_ms", 0)
        self._call("set_controller_id", ONLY)
        self._call("start_request_tracking")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._library.rd_kafka_destroy(self._client)

    def _call(self, name: str, *arguments: Any) -> Any:
        return getattr(self._library, f"rd_kafka_mock_{name}")(self._cluster, *arguments)

    def _must(self, name: str, *arguments: Any) -> None:
        code = self._call(name, *arguments)
        assert code == 0, f"rd_kafka_mock_{name}: {confluent_kafka.KafkaError(code).str()}"

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`s for clients."""
        servers: bytes = self._call("cluster_bootstraps")
        return servers.decode()

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Create a topic, led by all brokers in turn."""
        self._must("topic_create", name.encode(), partitions, 1)

    def fail_topic(self, name: str, code: int) -> None:
        """Answer every question for this topic with a code; 0 ends that."""
        self._call("topic_set_error", name.encode(), code)

    def lead(self, topic: str, partition: int, broker: int | None) -> None:
        """Let a broker lead a partition, or none."""
        leader = -1 if broker is None else broker
        self._must("partition_set_leader", topic.encode(), partition, leader)

    def push(
        self, api: Api, codes: Sequence[int], *, delay_ms: int = 0, broker: int = ONLY
    ) -> None:
        """Answer the next requests of a kind with these codes (0: no error), each that late.

        KafkaError._TRANSPORT closes the connection instead of an answer.
        """
        for code in codes:
            arguments = (broker, int(api), ctypes.c_size_t(1), code, delay_ms)
            self._must("broker_push_request_error_rtts", *arguments)

    def refuse(self, api: Api, code: int) -> None:
        """Answer requests of a kind with a code, many times, until `allow`."""
        codes = (ctypes.c_int * _MANY)(*[code] * _MANY)
        self._call("push_request_errors_array", int(api), ctypes.c_size_t(_MANY), codes)

    def allow(self, api: Api) -> None:
        """End what `refuse` began."""
        self._call("clear_request_errors", int(api))

    def left(self, api: Api, broker: int = ONLY) -> int:
        """How many of the pushed answers were not yet given."""
        count = ctypes.c_size_t()
        self._must("broker_error_stack_cnt", broker, int(api), ctypes.byref(count))
        return count.value

    def wait_until_given(self, api: Api, broker: int = ONLY) -> None:
        """Wait for requests until all pushed answers were given."""
        self._wait_for(lambda: not self.left(api, broker), api)

    def wait_until_asked(self, api: Api) -> None:
        """Wait for the first request of a kind."""
        self._wait_for(lambda: self.requests()[api] > 0, api)

    @staticmethod
    def _wait_for(reached: Callable[[], bool], api: Api) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline, f"nobody sends {api.name}"
            time.sleep(0.01)

    def down(self, broker: int = ONLY) -> None:
        """Close a broker's port and connections."""
        self._must("broker_set_down", broker)

    def up(self, broker: int = ONLY) -> None:
        """Open it again."""
        self._must("broker_set_up", broker)

    def move_coordinator(self, kind: str, key: str, broker: int) -> None:
        """Let a broker coordinate a `group` or a `transaction`."""
        self._must("coordinator_set", kind.encode(), key.encode(), broker)

    def requests(self) -> Counter[int]:
        """API key → number of requests that have come in."""
        count = ctypes.c_size_t()
        found = self._call("get_requests", ctypes.byref(count))
        asked = [ctypes.c_void_p(found[number]) for number in range(count.value)]
        keys = Counter(map(self._library.rd_kafka_mock_request_api_key, asked))
        self._library.rd_kafka_mock_request_destroy_array(found, count)
        return keys
