"""The topics that a pipeline needs: what to create, and whether what exists will do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pipeline.core.contract import ContractSettings
from pipeline.core.record import Role
from pipeline.ports import RefusedError, TopicFacts, TopicSpec

KIB: Final = 1024
HEADER_ROOM: Final = 64 * KIB
"""A dead letter is its raw record plus at most 8 KiB of our headers; the rest is reserve."""
OUTPUT_ROOM: Final = 4 * KIB
"""Our headers and Kafka's framing around an enriched event of limits.max_output_bytes."""
KAFKA_DEFAULT_MAX_BYTES: Final = 1_048_588
LEDGER_SUFFIX: Final = ".ledger"
"""The ledger of dead-letter topic `x` is `x.ledger`."""
NO_TIME_LIMIT: Final = str(2**63 - 1)
DAY_MS: Final = 86_400_000
_TIME_LIMITS: Final = ("message.timestamp.before.max.ms", "message.timestamp.after.max.ms")


class TopicNames(NamedTuple):
    """What the pipeline's topics are called."""

    raw: str
    enriched: str
    dead_letter: str
    identify: str

    def outputs(self, settings: ContractSettings) -> dict[Role, str]:
        """Role → topic; identify only when a rule makes such messages."""
        outputs = {Role.ENRICHED: self.enriched, Role.DEAD_LETTER: self.dead_letter}
        if settings.identify:
            outputs[Role.IDENTIFY] = self.identify
        return outputs


class CreateOptions(NamedTuple):
    """What `topics create` can be told."""

    partitions: int
    replication: int
    retention_days: float | None
    """Of raw, enriched and identify; None: the broker's default."""
    dead_letter_retention_days: float


def specs(names: TopicNames, options: CreateOptions, raw: TopicFacts | None) -> list[TopicSpec]:
    """The topics as they should be; an existing raw topic decides partitions and sizes."""
    partitions = raw.partitions if raw else options.partitions
    raw_max = (
        raw.number("max.message.bytes", KAFKA_DEFAULT_MAX_BYTES)
        if raw
        else (KAFKA_DEFAULT_MAX_BYTES)
    )
    # Said, since a cluster's own default may be another one, and the limits must fit together.
    usual = {"cleanup.policy": "delete", "max.message.bytes": str(KAFKA_DEFAULT_MAX_BYTES)}
    if options.retention_days is not None:
        usual["retention.ms"] = _days(options.retention_days)
    # Events keep their own time, which may be years ago or, by a wrong clock, ahead.
    output = {**usual, **dict.fromkeys(_TIME_LIMITS, NO_TIME_LIMIT)}
    letters = {
        **output,
        "retention.ms": _days(options.dead_letter_retention_days),
        "max.message.bytes": str(raw_max + HEADER_ROOM),
    }
    return [
        TopicSpec(names.raw, partitions, options.replication, usual),
        TopicSpec(names.enriched, partitions, options.replication, output),
        TopicSpec(names.dead_letter, partitions, options.replication, letters),
        TopicSpec(names.identify, partitions, options.replication, output),
    ]


def ledger_spec(
    names: TopicNames, options: CreateOptions, dead_letter: TopicFacts | None
) -> TopicSpec:
    """The ledger of the dead-letter desk: compacted, and kept at least as long as the letters."""
    retention = _days(options.dead_letter_retention_days)
    if dead_letter is not None:
        retention = dead_letter.config.get("retention.ms", retention)
    config = {"cleanup.policy": "compact,delete", "retention.ms": retention}
    return TopicSpec(names.dead_letter + LEDGER_SUFFIX, 1, options.replication, config)


def ledger_problem(ledger: TopicFacts, letters: TopicFacts) -> str | None:
    """Why a ledger may forget a letter while that is still there: a sentence; None: it does not."""
    if not ledger.config or "delete" not in ledger.config.get("cleanup.policy", "delete"):
        return None
    if ledger.number("retention.bytes", -1) >= 0:
        name, needs = "retention.bytes", -1
    else:
        name, needs = "retention.ms", _kept_ms(letters)
        kept = ledger.number(name, -1)
        if kept < 0 or 0 <= needs <= kept:
            return None
    wanted = "-1" if needs < 0 else f"at least {needs}"
    return (
        f"topic {ledger.name}: {name} is {ledger.config[name]}, so it forgets what was done with "
        f"letters that are still in {letters.name}, and they could be sent twice: set it to "
        f"{wanted}"
    )


def _kept_ms(letters: TopicFacts) -> int:
    """How long letters may be there; -1 is for ever. What is unknown counts as nothing."""
    if not letters.config:
        return 0
    if "delete" not in letters.config.get("cleanup.policy", "delete"):
        return -1
    return letters.number("retention.ms", -1)


def _days(days: float) -> str:
    return "-1" if days < 0 else str(int(days * DAY_MS))


def missing(
    names: TopicNames, settings: ContractSettings, facts: Mapping[str, TopicFacts]
) -> list[str]:
    """The topics that are needed and do not exist."""
    needed = (names.raw, *names.outputs(settings).values())
    return [name for name in needed if name not in facts]


def problems(
    names: TopicNames, settings: ContractSettings, facts: Mapping[str, TopicFacts]
) -> list[str]:
    """Why the topics, none of which is missing, will not do: a sentence each with what to do."""
    outputs = names.outputs(settings)
    raw = facts[names.raw]
    found = _forbidden([raw], "READ")
    found += _forbidden([facts[name] for name in outputs.values()], "WRITE")
    for role, name in outputs.items():
        if role is Role.DEAD_LETTER:
            needs = raw.number("max.message.bytes", KAFKA_DEFAULT_MAX_BYTES) + HEADER_ROOM
            why = f"a record of {raw.name} and 64 KiB of headers must fit"
        else:
            needs = settings.limits.max_output_bytes + OUTPUT_ROOM
            why = "limits.max_output_bytes and 4 KiB of headers must fit"
        found += _problems_of_output(facts[name], raw, needs, why)
    return found


def refuse_forbidden(topics: Iterable[TopicFacts], operation: str) -> None:
    """Raise RefusedError for topics on which the broker does not allow us the operation."""
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
        return found  # unknown, for want of DESCRIBE_CONFIGS: the broker will tell
    if topic.number("max.message.bytes", KAFKA_DEFAULT_MAX_BYTES) < needs:
        found.append(
            f"topic {topic.name}: max.message.bytes is "
            f"{topic.config.get('max.message.bytes')}, but {why}: set it to at least {needs}"
        )
    if "compact" in topic.config.get("cleanup.policy", "delete"):
        found.append(
            f"topic {topic.name}: cleanup.policy is {topic.config['cleanup.policy']}, which "
            "deletes all but the last event of each key: set it to delete"
        )
    for limit in _TIME_LIMITS:
        no_limit = int(NO_TIME_LIMIT)
        if raw.config and topic.number(limit, no_limit) < raw.number(limit, no_limit):
            found.append(
                f"topic {topic.name}: {limit} is stricter than that of {raw.name}, so events "
                f"would be refused: set it to at least {raw.config[limit]}"
            )
    return found
