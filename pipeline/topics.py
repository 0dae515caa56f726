"""The topics of a pipeline: how they are created, and what existing ones must be like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pipeline.core.contract import ContractSettings
from pipeline.core.record import Role
from pipeline.errors import RefusedError
from pipeline.ports import TopicFacts, TopicSpec

KIB: Final = 1024
HEADER_ROOM: Final = 64 * KIB
"""Room for headers in a dead letter, which is its raw record with at most 8 KiB of our headers, and
in a forwarded call, which has fewer of them. The rest is a margin."""
OUTPUT_ROOM: Final = 4 * KIB
"""Room for our headers and Kafka's framing around an enriched event of limits.max_output_bytes."""
KAFKA_DEFAULT_MAX_BYTES: Final = 1_048_588
LEDGER_SUFFIX: Final = ".ledger"
"""Ending of the name of a ledger: the ledger of dead-letter topic `x` is `x.ledger`."""
REPLAY_INFIX: Final = ".replay."
"""Stands between the name of a topic and the id of the replay that writes to it."""
PLANS_TOPIC: Final = "track.replay.plans"
"""Name of the topic that holds the plans of replays."""
NO_TIME_LIMIT: Final = str(2**63 - 1)
DAY_MS: Final = 86_400_000
_TIME_LIMITS: Final = ("message.timestamp.before.max.ms", "message.timestamp.after.max.ms")
_OLD_TIME_LIMIT: Final = "message.timestamp.difference.max.ms"
"""Name of both time limits on brokers before 3.6."""
_SHORT_MS: Final = 3_600_000
"""Retention below which events may be deleted before they are read."""
_SCHEMA_RULES: Final = ("confluent.value.schema.validation", "confluent.key.schema.validation")


class TopicNames(NamedTuple):
    """Names of the topics of a pipeline."""

    raw: str
    enriched: str
    dead_letter: str
    identify: str
    other: str

    def outputs(self, settings: ContractSettings) -> dict[Role, str]:
        """Topic of each role; those of identify and other only when a setting writes to them."""
        outputs = {Role.ENRICHED: self.enriched, Role.DEAD_LETTER: self.dead_letter}
        if settings.identify:
            outputs[Role.IDENTIFY] = self.identify
        if settings.on_other_type == "forward":
            outputs[Role.OTHER] = self.other
        return outputs


class CreateOptions(NamedTuple):
    """Options for new topics."""

    partitions: int
    replication: int
    retention_days: float | None
    """Retention of all topics but the dead-letter topic; None is the broker's default."""
    dead_letter_retention_days: float


def specs(
    names: TopicNames, options: CreateOptions, raw: TopicFacts | None, *, with_other: bool = False
) -> list[TopicSpec]:
    """The topics as planned. An existing raw topic decides partitions and sizes.

    The topic for other calls is among them with `with_other`.
    """
    partitions = raw.partitions if raw else options.partitions
    raw_max = (
        raw.number("max.message.bytes", KAFKA_DEFAULT_MAX_BYTES)
        if raw
        else (KAFKA_DEFAULT_MAX_BYTES)
    )
    # Set explicitly, since the defaults of a cluster may differ, and the limits must fit together.
    usual = {"cleanup.policy": "delete", "max.message.bytes": str(KAFKA_DEFAULT_MAX_BYTES)}
    if options.retention_days is not None:
        usual["retention.ms"] = _days(options.retention_days)
    # Events keep their own time, which may be years ago or, with a wrong clock, in the future.
    output = {**usual, **dict.fromkeys(_TIME_LIMITS, NO_TIME_LIMIT)}
    whole_record = {**output, "max.message.bytes": str(raw_max + HEADER_ROOM)}
    dead_letter = {
        **whole_record,
        "retention.ms": _days(options.dead_letter_retention_days),
    }
    other = TopicSpec(names.other, partitions, options.replication, whole_record)
    return [
        TopicSpec(names.raw, partitions, options.replication, usual),
        TopicSpec(names.enriched, partitions, options.replication, output),
        TopicSpec(names.dead_letter, partitions, options.replication, dead_letter),
        TopicSpec(names.identify, partitions, options.replication, output),
        *([other] if with_other else []),
    ]


def ledger_spec(
    names: TopicNames, options: CreateOptions, dead_letter: TopicFacts | None
) -> TopicSpec:
    """The ledger of a dead-letter topic as planned: compacted, and kept as long as that topic."""
    retention = _days(options.dead_letter_retention_days)
    if dead_letter is not None:
        retention = dead_letter.config.get("retention.ms", retention)
    config = {"cleanup.policy": "compact,delete", "retention.ms": retention}
    return TopicSpec(names.dead_letter + LEDGER_SUFFIX, 1, options.replication, config)


def ledger_problem(ledger: TopicFacts, dead_letters: TopicFacts) -> str | None:
    """Why a ledger may lose an entry before its dead letter is deleted; None when it does not."""
    if not ledger.config or "delete" not in ledger.config.get("cleanup.policy", "delete"):
        return None
    if ledger.number("retention.bytes", -1) >= 0:
        name, needs = "retention.bytes", -1
    else:
        name, needs = "retention.ms", kept_ms(dead_letters)
        kept = ledger.number(name, -1)
        if kept < 0 or 0 <= needs <= kept:
            return None
    wanted = "-1" if needs < 0 else f"at least {needs}"
    return (
        f"topic {ledger.name}: {name} is {ledger.config[name]}, so that it loses entries of "
        f"dead letters in {dead_letters.name}, which could be redriven twice: set it to {wanted}"
    )


def kept_ms(topic: TopicFacts) -> int:
    """Retention of a topic by time, in milliseconds; -1 is for ever, and 0 is unknown."""
    if not topic.config:
        return 0
    if "delete" not in topic.config.get("cleanup.policy", "delete"):
        return -1
    return topic.number("retention.ms", -1)


def _days(days: float) -> str:
    return "-1" if days < 0 else str(int(days * DAY_MS))


def missing(
    names: TopicNames, settings: ContractSettings, facts: Mapping[str, TopicFacts]
) -> list[str]:
    """Names of the required topics that do not exist."""
    needed = (names.raw, *names.outputs(settings).values())
    return [name for name in needed if name not in facts]


def problems(
    names: TopicNames, settings: ContractSettings, facts: Mapping[str, TopicFacts]
) -> list[str]:
    """Problems that keep a worker from starting, with remedies. All topics must exist."""
    outputs = names.outputs(settings)
    raw = facts[names.raw]
    found = _forbidden([raw], "READ")
    found += _forbidden([facts[name] for name in outputs.values()], "WRITE")
    for role, name in outputs.items():
        if role in {Role.DEAD_LETTER, Role.OTHER}:
            needs = raw.number("max.message.bytes", KAFKA_DEFAULT_MAX_BYTES) + HEADER_ROOM
            why = f"a record of {raw.name} and 64 KiB of headers must fit"
        else:
            needs = settings.limits.max_output_bytes + OUTPUT_ROOM
            why = "limits.max_output_bytes and 4 KiB of headers must fit"
        found += _problems_of_output(facts[name], raw, needs, why)
    return found


def require_permission(topics: Iterable[TopicFacts], operation: str) -> None:
    """Raise RefusedError when the broker does not permit the operation on one of the topics."""
    found = _forbidden(topics, operation)
    if found:
        raise RefusedError("; ".join(found))


def _forbidden(topics: Iterable[TopicFacts], operation: str) -> list[str]:
    return [
        f"topic {topic.name}: the broker does not allow this user to {operation.lower()} it: "
        f"grant this user {operation} on the topic"
        for topic in topics
        if not topic.allows(operation)
    ]


def _problems_of_output(topic: TopicFacts, raw: TopicFacts, needs: int, why: str) -> list[str]:
    found: list[str] = []
    if not topic.config:
        return found  # unknown without DESCRIBE_CONFIGS: the broker will report it
    found += [
        f"topic {topic.name}: {limit} is {topic.config.get(limit)}, but {why}: set it to at least "
        f"{needs}"
        for limit, default in (
            ("max.message.bytes", KAFKA_DEFAULT_MAX_BYTES),
            ("segment.bytes", needs),
        )
        if topic.number(limit, default) < needs
    ]
    if _is_compacted(topic):
        found.append(
            f"topic {topic.name}: cleanup.policy is {topic.config['cleanup.policy']}, which "
            "deletes all but the latest event of each key: set it to delete"
        )
    in_sync = topic.number("min.insync.replicas", 1)
    if in_sync > topic.replication > 0:
        found.append(
            f"topic {topic.name}: min.insync.replicas is {in_sync}, but it has {topic.replication} "
            "replicas, so nothing can be written: lower it, or add replicas"
        )
    no_limit = int(NO_TIME_LIMIT)
    found += [
        f"topic {topic.name}: {limit} is stricter than that of {raw.name}, so the "
        f"broker would refuse events: set it to at least {raw.config.get(limit, NO_TIME_LIMIT)}"
        for limit in (*_TIME_LIMITS, _OLD_TIME_LIMIT)
        if raw.config
        and not _is_stamped(topic)
        and topic.number(limit, no_limit) < raw.number(limit, no_limit)
    ]
    return found


def _is_compacted(topic: TopicFacts) -> bool:
    return "compact" in topic.config.get("cleanup.policy", "delete")


def _is_stamped(topic: TopicFacts) -> bool:
    """Whether the broker replaces the timestamps of records."""
    return topic.config.get("message.timestamp.type") == "LogAppendTime"


def warnings(
    names: TopicNames, settings: ContractSettings, facts: Mapping[str, TopicFacts]
) -> list[str]:
    """Problems that do not keep a worker from starting, with remedies."""
    raw = facts[names.raw]
    found = []
    if _is_compacted(raw):
        found.append(
            f"topic {raw.name}: cleanup.policy is {raw.config['cleanup.policy']}: Kafka deletes "
            "events that have not been read yet when a later one has the same key: set it to delete"
        )
    outputs = [facts[name] for name in names.outputs(settings).values()]
    found += [sentence for topic in outputs for sentence in _warnings_of_output(topic)]
    return found + [sentence for topic in (raw, *outputs) for sentence in _short_lived(topic)]


def _warnings_of_output(topic: TopicFacts) -> list[str]:
    found = []
    if _is_stamped(topic):
        found.append(
            f"topic {topic.name}: message.timestamp.type is LogAppendTime, so events get the time "
            "of writing instead of that of the raw record: set it to CreateTime"
        )
    elif topic.number(_TIME_LIMITS[0], int(NO_TIME_LIMIT)) < int(NO_TIME_LIMIT):
        found.append(
            f"topic {topic.name}: {_TIME_LIMITS[0]} is {topic.config[_TIME_LIMITS[0]]}: events "
            f"that are older become dead letters: set it to {NO_TIME_LIMIT}"
        )
    needed = topic.number("min.insync.replicas", 1)
    if topic.in_sync is not None and topic.in_sync < needed <= topic.replication:
        found.append(
            f"topic {topic.name}: {topic.in_sync} of its replicas are in sync, and "
            f"min.insync.replicas is {needed}: nothing can be written until more brokers are back"
        )
    found += [
        f"topic {topic.name}: {rule} is true: the broker refuses records without a schema "
        "of its registry, such as ours: set it to false"
        for rule in _SCHEMA_RULES
        if topic.config.get(rule) == "true"
    ]
    return found


def _short_lived(topic: TopicFacts) -> list[str]:
    kept_ms = topic.number("retention.ms", -1)
    if not 0 <= kept_ms < _SHORT_MS or topic.config.get("cleanup.policy") == "compact":
        return []
    sentence = (
        f"topic {topic.name}: retention.ms is {kept_ms}: events are deleted {kept_ms / 1000:g} s "
        "after their time, possibly before they are read: set it to days, or to -1"
    )
    return [sentence]
