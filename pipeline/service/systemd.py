"""Tells systemd how a service is: ready, alive, its status in one sentence (sd_notify(3)).

A unit with `Type=notify` and `WatchdogSec` gets from it what a liveness probe gets from `/livez`: a
service that is stuck is not reported alive, so systemd ends it with SIGABRT and starts it again.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from pipeline.metrics.service import ServiceState

_MICROSECONDS: Final = 1e6
_EVERY_S: Final = 10.0
"""How often the status is reported when the unit has no watchdog."""
_IN_TIME: Final = 3
"""Reports within one watchdog interval."""


@contextmanager
def notifying_systemd(
    state: Callable[[], ServiceState], environ: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Report within the block, if this process is a service of type notify; never raises."""
    variables = os.environ if environ is None else environ
    address = variables.get("NOTIFY_SOCKET", "")
    if not address:
        yield
        return
    over = threading.Event()
    every_s = _interval_s(variables)

    def report() -> None:
        _send(address, "READY=1")
        while True:
            live, summary = state()
            _send(address, f"STATUS={summary}" + ("\nWATCHDOG=1" if live else ""))
            if over.wait(every_s):
                return

    thread = threading.Thread(target=report, name="systemd", daemon=True)
    thread.start()
    try:
        yield
    finally:
        _send(address, "STOPPING=1")
        over.set()
        thread.join()


def _interval_s(variables: Mapping[str, str]) -> float:
    try:
        return int(variables["WATCHDOG_USEC"]) / _MICROSECONDS / _IN_TIME
    except (KeyError, ValueError):
        return _EVERY_S


def _send(address: str, message: str) -> None:
    path = f"\0{address[1:]}" if address.startswith("@") else address
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.sendto(message.encode(), path)
