"""Joins what reads framed records with what writes Avro outputs.

Nothing here needs the registry's client, which is an extra.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.avro.framed_records import FramedReader
from pipeline.avro.schema_source import SchemaSource
from pipeline.core.formats import Formats, OutputForm
from pipeline.core.record import Role
from pipeline.registry.output_schemas import asks_for_outputs, single_object_forms
from pipeline.settings.model import Settings


def uses_registry(settings: Settings, *, writes: bool) -> bool:
    """Whether a registry is asked by somebody who writes outputs, or who only reads.

    Outputs whose framing needs one never do without, also when the settings name none: a replay
    takes its framing from its plan, and the registry from the settings of now.
    """
    if writes and asks_for_outputs(settings):
        return True
    return settings.schema_registry.url is not None and settings.input.format != "json"


def formats_without_registry(settings: Settings, *, writes: bool) -> Formats:
    """Make the formats of settings that need no registry."""
    is_avro = writes and settings.output.format == "avro"
    return join_formats(settings, None, single_object_forms(settings) if is_avro else {})


def join_formats(
    settings: Settings, source: SchemaSource | None, forms: Mapping[Role, OutputForm]
) -> Formats:
    """Join how raw records are read, with schemas of a registry if there is one, and outputs."""
    enriched, identify = forms.get(Role.ENRICHED), forms.get(Role.IDENTIFY)
    if settings.input.format == "json":
        return Formats(None, enriched, identify)
    reader = FramedReader(settings, source)
    return Formats(reader, enriched, identify, reader.read_any)
