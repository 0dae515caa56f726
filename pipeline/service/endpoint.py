"""The HTTP endpoint of a program: opened from the settings, closed at the end of a block."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline import __version__
from pipeline.compiled.choice import chosen
from pipeline.kafka import CLIENT_VERSION
from pipeline.metrics.server import Routes, serving
from pipeline.metrics.service import Build, Service, ServiceView
from pipeline.settings.model import Settings


def worker_service(settings: Settings, view: Callable[[], ServiceView]) -> Service:
    """Make what answers about the workers of `run`; `view` is asked for each request."""
    build = Build(
        __version__,
        settings.contract(),
        platform.python_version(),
        CLIENT_VERSION,
        chosen().core.value,
    )
    return Service(build, view, settings.http.stuck_after_s)


@contextmanager
def endpoint(settings: Settings, routes: Routes, on_open: Callable[[str], None]) -> Iterator[None]:
    """Serve the routes within the block, if the settings name a port.

    `on_open` is called with the address. SettingsError when the port can't be opened.
    """
    http = settings.http
    if http.port is None:
        yield
        return
    with serving(http.host, http.port, routes) as port:
        on_open(f"{http.host}:{port}")
        yield
