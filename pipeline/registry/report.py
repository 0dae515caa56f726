"""Whether the outputs' schemas are in a registry, and can be named as the settings want."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.registry.output_schemas import (
    Framing,
    asks_for_outputs,
    framing_of,
    output_schemas,
)
from pipeline.registry.schema_status import SchemaStatus, missing, schema_status
from pipeline.settings.model import Settings

if TYPE_CHECKING:  # the client is an extra
    from pipeline.registry.client import RegistryClient

NO_GUIDS: Final = (
    "output.framing: header needs the schemas' GUIDs, which this registry does not have "
    "(Confluent's newer ones do): use prefix"
)


class SchemaReport(NamedTuple):
    """What a registry has of the outputs' schemas."""

    url: str
    knows_guids: bool
    framing: Framing
    is_needed: bool
    """Whether outputs are Avro with a framing that needs the registry."""
    schemas: list[SchemaStatus]
    problems: list[str]
    """Why a worker would not start if its outputs were Avro; one sentence for each."""

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return {
            "registry": self.url,
            "knows_guids": self.knows_guids,
            "framing": self.framing,
            "needed": self.is_needed,
            "schemas": [_status_to_dict(each) for each in self.schemas],
        }


def schema_report(
    settings: Settings, client: RegistryClient, *, only_needed: bool = False
) -> SchemaReport:
    """Ask a registry about the schemas of all outputs; `only_needed`: if a worker would ask.

    A worker that only reads schemas may have no permission to look at subjects.
    """
    is_needed = asks_for_outputs(settings)
    knows_guids = client.knows_guids()
    framing = framing_of(settings)
    schemas = output_schemas(settings) if is_needed or not only_needed else []
    found = [schema_status(client, schema) for schema in schemas]
    problems = [] if framing == "single-object" else _problems(settings, client, found)
    if framing == "header" and not knows_guids:
        problems.append(NO_GUIDS)
    url = str(settings.schema_registry.url)
    return SchemaReport(url, knows_guids, framing, is_needed, found, problems)


def _problems(settings: Settings, client: RegistryClient, found: list[SchemaStatus]) -> list[str]:
    problems = [each.incompatible() for each in found if each.obstacles]
    if not settings.schema_registry.auto_register:
        absent = [each for each in found if each.registered is None and not each.obstacles]
        problems += [missing(settings, client, each.schema) for each in absent]
    return problems


def _status_to_dict(status: SchemaStatus) -> dict[str, Any]:
    registered = status.registered
    guid = registered.guid if registered else None
    return {
        "topic": status.schema.topic,
        "subject": status.schema.subject,
        "id": registered.schema_id if registered else None,
        "version": registered.version if registered else None,
        "guid": str(guid) if guid else None,
        "newest_version": status.newest or None,
        "compatibility": status.level,
        "obstacles": list(status.obstacles),
    }
