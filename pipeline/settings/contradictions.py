"""Settings that contradict each other or have no effect, each of them valid by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pipeline.core.contract import InputSettings, OutputSettings
from pipeline.settings.client_properties import max_poll_interval_s
from pipeline.settings.groups import RegistrySettings

Contradiction = tuple[str, str]
"""Name of a setting, and what it contradicts and what to do."""

_SHARE: Final = 0.5
"""Part of an interval that one look-up may take: the worker has other things to do in it."""


def without_registry(raw: InputSettings, output: OutputSettings) -> Iterator[Contradiction]:
    """Yield what needs schemas that nobody has."""
    if output.format == "avro" and output.framing in {"prefix", "header"}:
        wrong = "needs a Schema Registry, but schema_registry.url is not set: set it, or use"
        yield "output.framing", f"{output.framing} {wrong} single-object"
    if raw.format != "json" and raw.schemas is None:
        wrong = (
            "reads framed records, but no schemas are known: set schema_registry.url or "
            "input.schemas, or use json"
        )
        yield "input.format", f"{raw.format} {wrong}"


def slow_registry(
    registry: RegistrySettings, consumer: Mapping[str, str], transaction_timeout_ms: int
) -> Iterator[Contradiction]:
    """Yield a limit of look-ups that is too long: meanwhile a worker may lose its partitions."""
    urls = (registry.url or "").count(",") + 1
    limits = {
        "max.poll.interval.ms": max_poll_interval_s(consumer),
        "transaction_timeout_ms": transaction_timeout_ms / 1000,
    }
    name, least = min(limits.items(), key=lambda limit: limit[1])
    if registry.timeout_s * urls > _SHARE * least:
        each = f" for each of {urls} URLs" if urls > 1 else ""
        yield (
            "schema_registry.timeout_s",
            f"{registry.timeout_s:g} s{each} is more than half of {name}, which is {least:g} s",
        )


def without_effect(
    raw: InputSettings, output: OutputSettings, registry: RegistrySettings
) -> Iterator[str]:
    """Yield a sentence about each setting of a format that is not used."""
    if raw.format == "json" and raw.schemas is not None:
        yield "input.schemas has no effect: input.format is json"
    if output.format == "json" and output.framing is not None:
        yield "output.framing has no effect: output.format is json"
    if registry.url is not None and raw.format == output.format == "json":
        yield "schema_registry.url has no effect: input.format and output.format are json"
