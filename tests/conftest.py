"""Fixtures of the tests that talk to a real broker; `tests/brokers.py` tells which one it is."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import LocalKafkaError
from tests.brokers import choose, delete_topics, no_broker, unique

_SHARED_BROKER = "bootstrap_servers"


def pytest_configure() -> None:
    """Let the processes of the tests hear signals that are ignored here.

    They would inherit that, of a shell that starts the tests in the background, or of nohup; what
    is handled, in whatever way, they do not.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_report_collectionfinish(items: list[pytest.Item]) -> str | None:
    """Say which broker will be used, when a test needs the shared one."""
    # The header proper is written before a conftest of a sub-folder is loaded.
    used = any(_SHARED_BROKER in getattr(item, "fixturenames", ()) for item in items)
    return f"kafka broker: {choose().description}" if used else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a broker first: they take long, and the fast ones fill what is left."""
    items.sort(key=lambda item: item.get_closest_marker("kafka") is None)


@pytest.fixture(scope="session", autouse=True)
def _imported_for_good() -> None:
    """Keep what was imported out of garbage collections, which are quick then."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _clients_are_let_go(request: pytest.FixtureRequest) -> Iterator[None]:
    """Clients that are held by cycles only end with their test: each has several threads."""
    yield
    if request.node.get_closest_marker("kafka") is not None:
        gc.collect()


@pytest.fixture(scope="session")
def bootstrap_servers() -> Iterator[str]:
    """Address of the broker that all tests share: it is neither stopped nor reconfigured."""
    with ExitStack() as stack:
        try:
            servers = stack.enter_context(choose().started())
        except LocalKafkaError as error:
            no_broker(str(error))
        yield servers


@pytest.fixture
def topic_name(bootstrap_servers: str) -> Iterator[Callable[[str], str]]:
    """Makes a unique topic name of a label; topics of these names are deleted in the end."""
    made: list[str] = []

    def name(label: str) -> str:
        made.append(unique(label))
        return made[-1]

    yield name
    delete_topics(bootstrap_servers, made)


@pytest.fixture
def own_kafka() -> Iterator[LocalKafka]:
    """A running embedded broker of the test's own, to stop, kill and restart."""
    kafka = LocalKafka()
    try:
        kafka.start()
    except LocalKafkaError as error:
        no_broker(str(error))
    yield kafka
    kafka.stop()
