"""The order in which the tests look for a broker."""

from __future__ import annotations

import docker  # type: ignore[import-untyped]
import pytest
from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]

from tests import brokers


class _Engine:
    """A Docker client that has, or has not, the images."""

    def __init__(self, *, answers: bool = True, has_images: bool = True) -> None:
        self._answers, self._has_images = answers, has_images
        self.images = self

    def ping(self) -> None:
        if not self._answers:
            raise DockerException

    def get(self, image: str) -> str:
        if not self._has_images:
            raise ImageNotFound(image)
        return image

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(brokers.ADDRESS_VARIABLE, raising=False)
    monkeypatch.setattr(brokers, "choose", brokers.choose.__wrapped__)
    monkeypatch.setattr(brokers, "_pulled", lambda _: False)


@pytest.mark.parametrize(
    ("engine", "chosen"),
    [
        (_Engine(), f"{brokers.IMAGE} in Docker"),
        (_Engine(has_images=False), "embedded"),
        (_Engine(answers=False), "embedded"),
    ],
)
def test_docker_comes_before_the_embedded_broker(
    engine: _Engine, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker is used when its engine answers and has the images, else the embedded broker."""
    monkeypatch.setattr(docker, "from_env", lambda **_: engine)
    assert chosen in brokers.choose().description


def test_a_given_address_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address in the environment is used as it is, and Docker is not asked."""
    monkeypatch.setenv(brokers.ADDRESS_VARIABLE, "there:9092")
    monkeypatch.setattr(docker, "from_env", None)
    with brokers.choose().started() as servers:
        assert servers == "there:9092"


@pytest.mark.parametrize(
    ("required", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_no_broker_is_a_failure_when_one_is_required(
    required: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TRACK_TEST_REQUIRE_BROKER=1 a missing broker fails a test that else is skipped."""
    monkeypatch.setenv(brokers.REQUIRE_VARIABLE, required)
    with pytest.raises(outcome, match="because"):
        brokers.no_broker("because")
