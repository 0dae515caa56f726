"""The schemas of a registry for a program that only reads, without the settings of the worker."""

from __future__ import annotations

from typing import Final, TypedDict

from pydantic import ValidationError

from pipeline.errors import SettingsError
from pipeline.registry.client import RegistryClient
from pipeline.settings.groups import RegistrySettings

_PYDANTIC: Final = "Value error, "
"""What pydantic writes in front of our own sentences."""


class RegistryOptions(TypedDict, total=False):
    """How a registry is reached; each option is the setting `schema_registry.…` of its name."""

    timeout_s: float
    basic_auth_file: str
    bearer_token_file: str
    ca_file: str
    certificate_file: str
    key_file: str


def open_schemas(url: str, options: RegistryOptions) -> RegistryClient:
    """The schemas of the registry at `url`. Raises SettingsError; nothing is asked of it yet."""
    try:
        settings = RegistrySettings(url=url, **options)
    except ValidationError as error:
        raise SettingsError(
            f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix(_PYDANTIC)}"
            for each in error.errors()
        ) from error
    return RegistryClient(settings)
