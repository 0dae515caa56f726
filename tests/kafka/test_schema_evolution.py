"""A real registry accepts and refuses the schemas that this project's own check does."""

from __future__ import annotations

import json
from typing import Final
from uuid import uuid4

import pytest

from pipeline.avro.published import AVRO_FILES, published, versions
from pipeline.core.record import Role
from pipeline.registry.client import RegistryClient
from tests.registries import LocalRegistry
from tests.unit.avro.next_versions import COMPATIBLE, INCOMPATIBLE, OTHER_MEANING, NextVersion
from tests.unit.avro.test_difference import READABLE, UNREADABLE

ACCEPTED: Final = {**COMPATIBLE, **OTHER_MEANING}


@pytest.fixture(scope="module")
def client(registry: LocalRegistry) -> RegistryClient:
    """Asks the registry that all tests share."""
    return registry.client()


def _with_all_versions(client: RegistryClient, role: Role) -> str:
    """A subject of the strictest level, with each published version of a schema."""
    subject = f"evolution-{role.value}-{uuid4()}"
    client.set_compatibility(subject, "FULL_TRANSITIVE")
    for version in versions(role):
        client.register(subject, published(role, version))
    return subject


@pytest.fixture(scope="module")
def subject(client: RegistryClient) -> str:
    """All versions of the enriched event's schema."""
    return _with_all_versions(client, Role.ENRICHED)


@pytest.mark.parametrize("role", AVRO_FILES)
def test_all_published_versions_can_be_registered(client: RegistryClient, role: Role) -> None:
    """The strictest level, FULL_TRANSITIVE, takes one version after the other."""
    subject = _with_all_versions(client, role)
    assert client.compatibility(subject) == "FULL_TRANSITIVE"
    assert len(client.versions(subject)) == len(versions(role))


@pytest.mark.parametrize("name", [*ACCEPTED, *INCOMPATIBLE])
def test_registry_judges_a_next_version_as_we_do(
    client: RegistryClient, subject: str, name: str
) -> None:
    """Whatever our check lets pass a registry takes, and it refuses what no reader could read.

    Another meaning of the same bytes is what only our check sees.
    """
    version: NextVersion = {**ACCEPTED, **INCOMPATIBLE}[name]
    assert client.is_compatible(subject, version.text) is (name in ACCEPTED)


def test_registry_resolves_schemas_as_we_do(client: RegistryClient) -> None:
    """Where a registry comes to another result, the bytes are the same and their meaning is not."""
    others = set()
    for name, (reader, writer, *problem) in {**READABLE, **UNREADABLE}.items():
        subject = f"resolution-{uuid4()}"
        client.set_compatibility(subject, "BACKWARD")
        client.register(subject, json.dumps(writer))
        if client.is_compatible(subject, json.dumps(reader)) is bool(problem):
            others.add(name)
    assert others == {"scale", "precision", "no decimal any more", "time in another unit"}
