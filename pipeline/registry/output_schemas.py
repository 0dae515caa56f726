"""The Avro schemas that the outputs need, and what a registry calls them.

Nothing here needs the registry's client, which is an extra.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Literal, NamedTuple

from pipeline.avro.encoder import event_writer
from pipeline.avro.framing import prefix_of_fingerprint
from pipeline.avro.published import fingerprint, published
from pipeline.core.formats import OutputForm
from pipeline.core.record import Role
from pipeline.settings.model import Settings
from pipeline.settings.names import FLAGS, PREFIX

Framing = Literal["prefix", "header", "single-object"]


class OutputSchema(NamedTuple):
    """The schema of an output, and the subject that it belongs to."""

    role: Role
    topic: str
    subject: str
    text: str


def output_schemas(settings: Settings) -> list[OutputSchema]:
    """Return the schema of each output that the settings ask for, whatever its format.

    There are identify messages only with a rule for them.
    """
    topics = {Role.ENRICHED: settings.topics.enriched}
    if settings.identify:
        topics[Role.IDENTIFY] = settings.topics.identify
    strategy = settings.schema_registry.subject_name_strategy
    found = []
    for role, topic in topics.items():
        text = published(role)
        found.append(OutputSchema(role, topic, subject_of(strategy, topic, text), text))
    return found


def subject_of(strategy: str, topic: str, text: str) -> str:
    """Return the subject of a record's schema for values of a topic, as Confluent's clients do."""
    if strategy == "topic":
        return f"{topic}-value"
    schema = json.loads(text)
    name = f"{schema['namespace']}.{schema['name']}"
    return name if strategy == "record" else f"{topic}-{name}"


def framing_of(settings: Settings) -> Framing:
    """Return how Avro outputs name their schema: by the registry's id when there is a registry."""
    default: Framing = "prefix" if settings.schema_registry.url else "single-object"
    return settings.output.framing or default


def asks_for_outputs(settings: Settings) -> bool:
    """Whether the outputs are Avro that names its schema as a registry does."""
    return settings.output.format == "avro" and framing_of(settings) != "single-object"


def register_command(settings: Settings) -> str:
    """Return the command that registers the schemas, with what the user has given."""
    words = ["track-pipeline", "schemas", "register", *_config_option(settings.sources)]
    given = {
        "topics.enriched": settings.topics.enriched,
        "topics.identify": settings.topics.identify,
        "schema_registry.url": settings.schema_registry.url or "",
    }
    for flag, name in FLAGS.items():
        if name in given and settings.sources.get(name) == flag:
            words += [flag, given[name]]
    return shlex.join(words)


def _config_option(sources: Mapping[str, str]) -> list[str]:
    """Return `--config` with the file that settings came from; nothing without one."""
    for name, source in sources.items():
        if source not in {*FLAGS, name} and not source.startswith(PREFIX):
            return ["--config", source]
    return []


def single_object_forms(settings: Settings) -> dict[Role, OutputForm]:
    """Return how outputs are written that no registry knows: with a fingerprint of their schema."""
    return {
        schema.role: OutputForm(
            event_writer(schema.text, prefix_of_fingerprint(fingerprint(schema.text)))
        )
        for schema in output_schemas(settings)
    }
