"""The schemas of a Schema Registry, for messages that name one by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from pipeline.avro.schema_source import SchemaSource
from pipeline.errors import SettingsError
from pipeline.registry.optional_client import not_installed

if TYPE_CHECKING:
    from pipeline.registry.consumer_schemas import RegistryOptions


def registry_schemas(url: str, **options: Unpack[RegistryOptions]) -> SchemaSource:
    """The schemas of the registry at `url`, such as `http://localhost:8081`.

    Needs the extra `registry`. Options are `timeout_s`, and the files `basic_auth_file`,
    `bearer_token_file`, `ca_file`, `certificate_file` and `key_file`, each with the meaning of the
    setting `schema_registry.…`. A schema is asked for when its first message is read, and kept for
    good. Raises SettingsError when an option is wrong or the extra is not installed.
    """
    try:
        # Who reads JSON or single objects needs neither the packages nor the time to import them.
        from pipeline.registry.consumer_schemas import open_schemas  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SettingsError([not_installed(error)]) from error
    return open_schemas(url, options)
