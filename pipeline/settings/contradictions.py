"""Settings of different groups that contradict each other, each of them valid by itself."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.core.contract import InputSettings, OutputSettings
from pipeline.settings.groups import RegistrySettings


def contradictions(
    raw: InputSettings, output: OutputSettings, registry: RegistrySettings
) -> Iterator[tuple[str, str]]:
    """Yield the name of a setting, and what it contradicts and what to do."""
    if registry.url is not None:
        return
    if output.format == "avro" and output.framing in {"prefix", "header"}:
        wrong = "needs a Schema Registry, but schema_registry.url is not set: set it, or use"
        yield "output.framing", f"{output.framing} {wrong} single-object"
    if raw.format != "json" and raw.schemas is None:
        wrong = (
            "reads framed records, but no schemas are known: set schema_registry.url or "
            "input.schemas, or use json"
        )
        yield "input.format", f"{raw.format} {wrong}"
