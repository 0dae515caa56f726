"""What systemd is told about a service."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.metrics.service import ServiceState
from pipeline.service.systemd import notifying_systemd

_PATIENCE_S = 10.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The end of the channel that systemd reads."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(_PATIENCE_S)
        yield channel


def _variables(manager: socket.socket) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "300000"}


def test_a_service_reports_that_it_lives_until_it_is_stuck(manager: socket.socket) -> None:
    """A stuck one still reports why, but no longer that it is alive."""
    states = iter(
        [ServiceState(live=True, summary="ready"), ServiceState(live=True, summary="ready")]
    )
    stuck = ServiceState(live=False, summary="the loop stands still")
    with notifying_systemd(lambda: next(states, stuck), _variables(manager)):
        received = [manager.recv(1000).decode() for _ in range(4)]
    assert received == [
        "READY=1",
        "STATUS=ready\nWATCHDOG=1",
        "STATUS=ready\nWATCHDOG=1",
        "STATUS=the loop stands still",
    ]
    while (last := manager.recv(1000).decode()) != "STOPPING=1":
        assert last == "STATUS=the loop stands still"


@pytest.mark.parametrize("variables", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_a_service_without_a_manager_works(variables: dict[str, str]) -> None:
    """Neither a missing variable nor a socket that is gone matters."""
    with notifying_systemd(lambda: ServiceState(live=True, summary="ready"), variables):
        pass
