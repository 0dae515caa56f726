"""Registers the outputs' schemas on request of an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.errors import RefusedError
from pipeline.registry.output_schemas import output_schemas
from pipeline.registry.registered_schema import RegisteredSchema
from pipeline.registry.schema_status import SchemaStatus, schema_status
from pipeline.settings.model import Settings

if TYPE_CHECKING:  # the client is an extra
    from pipeline.registry.client import RegistryClient


LEVELS: Final = (
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
    "NONE",
)
"""Compatibility levels of Confluent's API."""


class Registration(NamedTuple):
    """What is to be done about one schema, and what was done."""

    status: SchemaStatus
    level: str | None
    """Compatibility level that the subject gets; None leaves it as it is."""

    @property
    def is_new(self) -> bool:
        """Whether the schema becomes a new version."""
        return self.status.registered is None


def plan_registration(
    settings: Settings, client: RegistryClient, level: str | None
) -> list[Registration]:
    """Return what there is to do; nothing is changed yet.

    With a `level`, subjects that have another one get it.
    """
    found = [schema_status(client, schema) for schema in output_schemas(settings)]
    return [Registration(each, level if each.level != level else None) for each in found]


def require_compatible(plan: list[Registration]) -> None:
    """Raise RefusedError unless the registry would take all schemas."""
    wrong = [each.status.incompatible() for each in plan if each.status.obstacles]
    if wrong:
        raise RefusedError("; ".join(wrong))


def register_schema(client: RegistryClient, planned: Registration) -> RegisteredSchema:
    """Carry out a plan, and return the registered schema.

    The level is set last: a registry may not know the subject before it has a version.
    """
    schema = planned.status.schema
    registered = planned.status.registered or client.register(schema.subject, schema.text)
    if planned.level is not None:
        client.set_compatibility(schema.subject, planned.level)
    return registered
