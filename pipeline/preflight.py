"""What must be true before a worker or a command writes: settings, cluster, topics, coordinators.

Everything that is wrong is reported before the first record is read, with what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from typing import TYPE_CHECKING

from pipeline.errors import RefusedError
from pipeline.kafka import Coordinators
from pipeline.ports import Stop, TopicFacts
from pipeline.registry.optional_client import registry_client
from pipeline.settings.client_properties import weaknesses
from pipeline.settings.contradictions import without_effect
from pipeline.settings.groups import Topics
from pipeline.settings.model import Settings
from pipeline.topics import missing, problems, warnings
from pipeline.wiring import admin, formats, session_config, topic_names

if TYPE_CHECKING:  # without a registry, nothing of Avro is imported
    from pipeline.registry.report import SchemaReport


def checked_topics(
    settings: Settings, warn: Callable[[str], None], stop: Stop | None = None
) -> dict[str, TopicFacts]:
    """Return the pipeline's topics if the start and the first commit can succeed.

    Raises RefusedError with every reason why they can't, and TransportError. Returns no topics when
    a stop is requested while waiting for the cluster.
    """
    for sentence in (
        *weaknesses(settings.kafka, settings.consumer, settings.producer),
        *without_effect(settings.input, settings.output, settings.schema_registry),
    ):
        warn(sentence)
    cluster = admin(settings, warn)
    brokers = cluster.wait_until_reachable(stop)
    if not brokers:
        return {}
    names = topic_names(settings)
    facts = cluster.topics(names)
    require_topics(settings, facts)
    found = problems(names, settings, facts)
    if found:
        raise RefusedError("; ".join(found))
    for sentence in warnings(names, settings, facts):
        warn(sentence)
    config = session_config(settings, names.outputs(settings), facts, None)
    Coordinators(config, cluster, brokers, warn).check(stop)
    return {name: topic for name, topic in facts.items() if topic.partitions}


def checked_schemas(settings: Settings, warn: Callable[[str], None]) -> SchemaReport | None:
    """Return what the registry has of the outputs' schemas, if a worker could start with it.

    None when there is no registry to ask. Raises RefusedError with every reason why a worker could
    not start, SettingsError, SchemaFileError and RegistryUnavailableError.
    """
    formats(settings, warn, writes=False)  # reads the schema files of raw records
    if settings.schema_registry.url is None:
        return None
    # Here: without a registry, nothing of Avro is imported.
    from pipeline.registry.formats import uses_registry  # noqa: PLC0415
    from pipeline.registry.report import schema_report  # noqa: PLC0415
    from pipeline.registry.retry import retry_until_answered  # noqa: PLC0415

    if not uses_registry(settings, writes=True):
        return None
    client = registry_client(settings)
    report = retry_until_answered(
        lambda: schema_report(settings, client, only_needed=True),
        client.where,
        settings.startup_timeout_s,
        warn,
        Event(),
    )
    if report is not None and report.is_needed and report.problems:
        raise RefusedError("; ".join(report.problems))
    return report


def require_topics(settings: Settings, facts: Mapping[str, TopicFacts]) -> None:
    """Raise RefusedError when one of the pipeline's topics is not among these."""
    absent = missing(topic_names(settings), settings, facts)
    if absent:
        raise RefusedError(
            f"topics do not exist: {', '.join(absent)}; create them: {create_command(settings)}"
        )


def create_command(settings: Settings, *options: str) -> str:
    """Return the command that creates the topics named by these settings, with more options."""
    servers = settings.kafka.get("bootstrap.servers", "")
    flags = [f"--bootstrap-servers {servers}"]
    defaults = Topics()
    for name in Topics.model_fields:
        topic = getattr(settings.topics, name)
        if topic != getattr(defaults, name):
            flags.append(f"--{name.replace('_', '-')}-topic {topic}")
    command = f"track-pipeline topics create {' '.join((*flags, *options))}"
    # A setting without a flag of its own says that there is a topic for other calls.
    is_complete = len(settings.kafka) == 1 and settings.on_other_type != "forward"
    return command if is_complete else f"{command} (and the same --config)"
