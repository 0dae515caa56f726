"""What the cluster is asked about topics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError

from pipeline.errors import TransportError
from pipeline.kafka import Admin
from pipeline.ports import TopicSpec
from tests.kafka.mock_cluster import Api, MockCluster

pytestmark = pytest.mark.kafka


class _Slow(Admin):
    """An admin client whose brokers know a new topic only after so many questions."""

    unknown = 2

    def _is_known(self, name: str) -> bool:
        self.unknown -= 1
        return self.unknown < 0 and super()._is_known(name)


class _Impatient(_Slow):
    """Creates the topic in peace, but waits for the brokers for a moment only."""

    unknown = 1_000_000

    def _wait_until_known(self, names: list[str]) -> None:
        self._timeout_s = 0.3
        super()._wait_until_known(names)


def test_created_means_usable(bootstrap_servers: str, topic_name: Callable[[str], str]) -> None:
    """The next command finds the topic: brokers know it later than the controller."""
    admin, name = _Slow({"bootstrap.servers": bootstrap_servers}, 30.0), topic_name("new")
    assert admin.create([TopicSpec(name, 1, 1, {})]) == [name]
    assert admin.unknown < 0


def test_topic_that_stays_unknown_is_an_error(
    bootstrap_servers: str, topic_name: Callable[[str], str]
) -> None:
    """An error says that the brokers do not know the topic in time."""
    admin, name = _Impatient({"bootstrap.servers": bootstrap_servers}, 30.0), topic_name("new")
    with pytest.raises(TransportError, match=f"not known to the brokers yet: topics {name}"):
        admin.create([TopicSpec(name, 1, 1, {})])


@pytest.mark.parametrize(
    "code", ["NOT_LEADER_FOR_PARTITION", "UNKNOWN_LEADER_EPOCH", "FENCED_LEADER_EPOCH"]
)
def test_offsets_while_a_leader_is_new(code: str) -> None:
    """The client may know a leader before the leader itself does: it is asked again."""
    with MockCluster() as cluster:
        cluster.create_topic("new")
        admin = Admin({"bootstrap.servers": cluster.bootstrap_servers}, 10.0)
        cluster.push(Api.LIST_OFFSETS, [getattr(KafkaError, code)])
        assert admin.extents("new") == {0: (0, 0)}
        assert cluster.left(Api.LIST_OFFSETS) == 0


def test_created_means_that_leaders_serve_it() -> None:
    """A leader that does not know yet that it leads would refuse the first records."""
    with MockCluster() as cluster:
        cluster.create_topic("new")
        admin = Admin({"bootstrap.servers": cluster.bootstrap_servers}, 10.0)
        cluster.push(Api.LIST_OFFSETS, [KafkaError.NOT_LEADER_FOR_PARTITION] * 5)
        admin._wait_until_known(["new"])  # noqa: SLF001  the mock can't create topics on request
        assert cluster.left(Api.LIST_OFFSETS) == 0
