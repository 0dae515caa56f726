"""The registry's client, whose packages are an extra: imported only where a registry is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.avro.schema_source import SchemaSource
    from pipeline.registry.client import RegistryClient
    from pipeline.settings.model import Settings


def registry_client(settings: Settings, *, waits: bool = True) -> RegistryClient:
    """Make a client of the Schema Registry; without `waits`, an unknown id is asked for only once.

    Raises SettingsError when the settings name no registry, its client is not installed, or a file
    of its secrets can't be used.
    """
    if settings.schema_registry.url is None:
        problem = (
            "schema_registry.url: is not set; give --schema-registry-url, the variable "
            "TRACK_SCHEMA_REGISTRY__URL, or the key in the --config file"
        )
        raise SettingsError([problem])
    require_registry(settings)
    from pipeline.registry.client import RegistryClient  # noqa: PLC0415  an extra
    from pipeline.registry.unknown_schemas import WAIT_S, UnknownSchemas  # noqa: PLC0415  as above

    unknown = UnknownSchemas(WAIT_S if waits else 0)
    return RegistryClient(settings.schema_registry, unknown=unknown)


def registry_schemas(
    settings: Settings, on_wait: Callable[[str], None], *, is_patient: bool
) -> SchemaSource:
    """Make a source of the registry's schemas; raises what `registry_client` raises.

    With `is_patient` it waits for a registry that does not answer, up to `startup_timeout_s`, and
    calls `on_wait` with sentences about that.
    """
    client = registry_client(settings)
    if not is_patient:
        return client
    from pipeline.registry.patient_schemas import PatientSchemas  # noqa: PLC0415  as its client

    return PatientSchemas(client, client.where, settings.startup_timeout_s, on_wait)


def require_registry(settings: Settings) -> None:
    """SettingsError when a Schema Registry is wanted, but its client is not installed."""
    if settings.schema_registry.url is None:
        return
    try:
        import pipeline.registry.client  # noqa: F401, PLC0415  without the setting, it is not imported
    except ModuleNotFoundError as error:
        problem = f"schema_registry.url: {not_installed(error)}, or leave the setting out"
        raise SettingsError([problem]) from error


def not_installed(error: ModuleNotFoundError) -> str:
    """Return a sentence about a missing package, and how to install it."""
    return (
        f"the package {error.name} is not installed. Install what a registry needs with "
        'pip install "track-pipeline[registry]"'
    )
