"""What must be true before a worker or a command writes: settings, cluster, topics, coordinators.

Everything that is wrong is reported before the first record is read, with what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.errors import RefusedError
from pipeline.kafka import Coordinators
from pipeline.ports import Stop, TopicFacts
from pipeline.settings.client_properties import weaknesses
from pipeline.settings.groups import Topics
from pipeline.settings.model import Settings
from pipeline.topics import missing, problems, warnings
from pipeline.wiring import admin, session_config, topic_names


def checked_topics(
    settings: Settings, warn: Callable[[str], None], stop: Stop | None = None
) -> dict[str, TopicFacts]:
    """Return the pipeline's topics if the start and the first commit can succeed.

    Raises RefusedError with every reason why they can't, and TransportError. Returns no topics when
    a stop is requested while waiting for the cluster.
    """
    for sentence in weaknesses(settings.kafka, settings.consumer, settings.producer):
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
