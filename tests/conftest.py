"""What all tests share: the quick lane, the search for counterexamples, the Kafka broker.

`tests/brokers.py` says which broker it is. `--quick` is the lane of `make quick`: it leaves out the
tests marked `kafka` or `slow`, tries fewer examples, and fails a test that starts a broker anyway.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Final, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from pipeline.demo.local_kafka import ports
from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.errors import LocalKafkaError
from tests.brokers import choose, delete_topics, no_broker, unique
from tests.registries import LocalRegistry, NoRegistryError

_SHARED_BROKER: Final = "bootstrap_servers"
_LEFT_OUT: Final = ("kafka", "slow")
"""Markers of tests that the quick lane leaves out."""

# The first example of a run pays for imports and caches; slow machines share their processors.
_COMMON: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
_EXAMPLES: Final = {"quick": 25, "full": 300, "thorough": 5_000}
"""Profiles of hypothesis; `--hypothesis-profile=thorough` searches at leisure."""
for _name, _examples in _EXAMPLES.items():
    settings.register_profile(_name, max_examples=_examples, **_COMMON)
settings.load_profile("full")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the quick lane."""
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out tests that need a broker or are slow, and try fewer examples",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the search for the quick lane, and let processes of the tests receive signals.

    Processes inherit it when signals are ignored here, as they are when a shell starts the tests
    in the background, or under nohup. They do not inherit handlers.

    Processes of tests that run at once choose from ports of their own: a broker binds its ports
    only seconds after they were chosen.
    """
    if config.getoption("--quick"):
        settings.load_profile("quick")
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    if name := os.environ.get("PYTEST_XDIST_WORKER"):
        first, step = int(name.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        ports._FREE = ports._FREE[first::step]  # type: ignore[misc]  # noqa: SLF001  only tests share it out


def pytest_report_collectionfinish(items: list[pytest.Item]) -> str | None:
    """Say which broker will be used, when a test needs the shared one."""
    # The header proper is written before a conftest of a sub-folder is loaded.
    used = any(_SHARED_BROKER in getattr(item, "fixturenames", ()) for item in items)
    return f"kafka broker: {choose().description}" if used else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest tests first, so that no process is left with one of them at the end.

    With `--dist loadfile` a process takes whole files, in the order of their first tests. Files
    with slow tests on a broker come first, then the others with a broker, then the fast ones.
    """
    if config.getoption("--quick"):
        left_out = [item for item in items if any(map(item.get_closest_marker, _LEFT_OUT))]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not any(map(item.get_closest_marker, _LEFT_OUT))]
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in _LEFT_OUT])


@pytest.fixture(scope="session", autouse=True)
def _quick_lane_starts_no_broker(request: pytest.FixtureRequest) -> Iterator[None]:
    """In the quick lane, a test that starts a broker fails: it lacks the marker `kafka`."""
    with pytest.MonkeyPatch.context() as patch:
        if request.config.getoption("--quick"):
            patch.setattr("pipeline.demo.local_kafka.broker.GuardedProcess", _refuse_broker)
        yield


def _refuse_broker(*_: object) -> NoReturn:
    pytest.fail("the quick lane starts no broker: mark this test with `kafka`", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _imported_for_good() -> None:
    """Keep what was imported out of garbage collections, which are quick then."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _clients_are_let_go(request: pytest.FixtureRequest) -> Iterator[None]:
    """Destroy clients that are held by cycles only after their test: each has several threads."""
    yield
    if request.node.get_closest_marker("kafka") is not None:
        gc.collect()


@pytest.fixture(scope="session")
def bootstrap_servers(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of the broker that all tests share: it is neither stopped nor reconfigured."""
    if request.config.getoption("--quick"):
        _refuse_broker()
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


@pytest.fixture(scope="session")
def registry() -> Iterator[LocalRegistry]:
    """A Schema Registry that all tests share: its subjects are named after a test's own topics.

    It takes seconds to start, in each process that runs tests: few files may use it.
    """
    shared = LocalRegistry()
    try:
        shared.start()
    except NoRegistryError as error:
        no_broker(str(error))
    yield shared
    shared.stop()
