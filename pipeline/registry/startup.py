"""How outputs are written, found out once at the start: a running worker asks no registry for it.

Guarantees: nothing is registered without `schema_registry.auto_register`, and never a schema that
the registry calls incompatible. The processes of one group may all register at once: to a registry
the same schema is the same version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from typing import TYPE_CHECKING

from pipeline.avro.encoder import event_writer
from pipeline.avro.framing import guid_header, prefix_of_id
from pipeline.core.formats import PLAIN_JSON, Formats, OutputForm
from pipeline.core.record import Role
from pipeline.errors import RefusedError
from pipeline.ports import Stop
from pipeline.registry.formats import join_formats
from pipeline.registry.output_schemas import (
    OutputSchema,
    asks_for_outputs,
    framing_of,
    output_schemas,
    single_object_forms,
)
from pipeline.registry.registered_schema import RegisteredSchema
from pipeline.registry.report import NO_GUIDS
from pipeline.registry.retry import retry_until_answered
from pipeline.registry.schema_status import missing, schema_status
from pipeline.settings.model import Settings

if TYPE_CHECKING:  # the client is an extra
    from pipeline.registry.client import RegistryClient


def formats_with_registry(
    settings: Settings,
    client: RegistryClient,
    on_wait: Callable[[str], None],
    stop: Stop | None,
) -> Formats:
    """Make the formats of who writes outputs and needs a registry; plain JSON after a stop request.

    Waits until the registry answers, up to `startup_timeout_s`.
    """
    forms = retry_until_answered(
        lambda: output_forms(settings, client),
        client.where,
        settings.startup_timeout_s,
        on_wait,
        stop or Event(),
    )
    return PLAIN_JSON if forms is None else join_formats(settings, client, forms)


def output_forms(settings: Settings, client: RegistryClient) -> Mapping[Role, OutputForm]:
    """Return how each output is written that is not plain JSON; asks the registry in any case.

    Raises RefusedError when a schema is missing or incompatible, or has no GUID that the framing
    needs, and RegistryUnavailableError.
    """
    if asks_for_outputs(settings):
        return {
            schema.role: _form(settings, schema, _registered(settings, client, schema))
            for schema in output_schemas(settings)
        }
    client.ping()
    return single_object_forms(settings) if settings.output.format == "avro" else {}


def _registered(
    settings: Settings, client: RegistryClient, schema: OutputSchema
) -> RegisteredSchema:
    found = client.look_up(schema.subject, schema.text)
    if found is not None:
        return found
    status = schema_status(client, schema)
    if status.obstacles:
        raise RefusedError(status.incompatible())
    if settings.schema_registry.auto_register:
        return client.register(schema.subject, schema.text)
    raise RefusedError(missing(settings, client, schema))


def _form(settings: Settings, schema: OutputSchema, registered: RegisteredSchema) -> OutputForm:
    if framing_of(settings) == "prefix":
        return OutputForm(event_writer(schema.text, prefix_of_id(registered.schema_id)))
    if registered.guid is None:
        raise RefusedError(NO_GUIDS)
    return OutputForm(event_writer(schema.text, b""), (guid_header(registered.guid),))
