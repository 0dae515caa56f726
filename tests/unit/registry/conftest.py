"""A small registry that can be told to fail, and clients of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.registry.client import RegistryClient
from pipeline.registry.unknown_schemas import UnknownSchemas
from pipeline.settings.groups import RegistrySettings
from tests.fake_registry import FakeRegistry, fake_registry


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    """A registry that knows GUIDs."""
    with fake_registry() as started:
        yield started


@pytest.fixture
def client(server: FakeRegistry) -> RegistryClient:
    """A client that asks for unknown schemas once."""
    return impatient(server.url)


def impatient(url: str, **settings: Any) -> RegistryClient:
    """Make a client that asks for unknown schemas once."""
    return RegistryClient(RegistrySettings(url=url, **settings), unknown=UnknownSchemas(0))
