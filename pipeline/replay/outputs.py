"""The topics that a replay writes to: their names, how they are created, and warnings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.core.record import Role
from pipeline.core.timestamps import format_time
from pipeline.errors import SettingsError
from pipeline.ports import TopicFacts, TopicSpec
from pipeline.reconcile.compare.classify import DifferenceKind
from pipeline.replay.request import ReplayRequest
from pipeline.topics import DAY_MS, REPLAY_INFIX, CreateOptions, TopicNames, specs
from pipeline.wiring import topic_names

_FOR_EVER: Final = -1.0


@dataclass(frozen=True)
class OutputTopics:
    """The topics that a replay writes to."""

    topics: dict[Role, str]
    new: tuple[TopicSpec, ...]
    """The ones that do not exist yet."""
    warnings: tuple[str, ...]
    existing: dict[str, TopicFacts]


def output_names(request: ReplayRequest, id_: str) -> dict[Role, str]:
    """Name the topic of each role; SettingsError when one topic would have two roles."""
    settings, suffix = request.settings, REPLAY_INFIX + id_
    live = topic_names(settings).outputs(settings)
    names = {role: topic + suffix for role, topic in live.items()}
    if request.into_live:
        names[Role.ENRICHED] = live[Role.ENRICHED]
    if request.output is not None:
        names[Role.ENRICHED] = request.output
    if request.identify_live and Role.IDENTIFY in live:
        names[Role.IDENTIFY] = live[Role.IDENTIFY]
    if len(set(names.values())) < len(names):
        raise SettingsError([f"--output: {request.output} is already the output of something else"])
    return names


def compared_topics(request: ReplayRequest) -> dict[Role, str]:
    """Name the topics that results are compared with; none without a topic of enriched events.

    The topics of dead letters and of forwarded calls are those that belong to the enriched events,
    where that is known; a request may name another one of dead letters.
    """
    settings, enriched = request.settings, request.compared_topic
    if enriched is None:
        return {}
    found = {Role.ENRICHED: enriched}
    live = topic_names(settings).outputs(settings)
    suffix = enriched.removeprefix(live[Role.ENRICHED])
    is_live_or_replay = enriched.startswith(live[Role.ENRICHED]) and (
        not suffix or suffix.startswith(REPLAY_INFIX)
    )
    for role in (Role.DEAD_LETTER, Role.OTHER):
        if is_live_or_replay and role in live:
            found[role] = live[role] + suffix
    if request.compare_dead_letters is not None:
        found[Role.DEAD_LETTER] = request.compare_dead_letters
    return found


def output_topics(  # noqa: PLR0913, PLR0917  what they depend on
    request: ReplayRequest,
    names: Mapping[Role, str],
    facts: Mapping[str, TopicFacts],
    raw: TopicFacts,
    oldest: int | None,
    now: int,
) -> OutputTopics:
    """Find out which outputs of these names exist, and how the others are to be made.

    `raw` is the topic that is read, or one like it; `oldest` is the time of the oldest record that
    is replayed.
    """
    live = topic_names(request.settings).outputs(request.settings)
    warnings = _into_live(names, live, request.only)
    new: list[TopicSpec] = []
    for role, spec in _specs(names, raw).items():
        model = facts.get(live[role])
        if model is not None and not model.partitions:
            warnings.append(
                f"how many partitions topic {model.name} has is unknown without DESCRIBE on it: "
                f"{raw.partitions} are assumed"
            )
            model = None
        if spec.name not in facts:
            new.append(_like(spec, model))
            continue
        topic = facts[spec.name]
        wanted = model.partitions if model else raw.partitions
        if topic.partitions < wanted:
            warnings.append(
                f"{topic.name} has {topic.partitions} partitions, but {live[role]} has {wanted}: "
                "keys move to other partitions"
            )
        warnings += _retention(topic, role, oldest, now)
    existing = {name: facts[name] for name in names.values() if name in facts}
    return OutputTopics(dict(names), tuple(new), tuple(warnings), existing)


def _into_live(
    names: Mapping[Role, str], live: Mapping[Role, str], only: Collection[DifferenceKind]
) -> list[str]:
    said = []
    if names[Role.ENRICHED] == live[Role.ENRICHED]:
        said.append(
            f"{live[Role.ENRICHED]} is the live topic: its readers see these events again, marked "
            "by the header track.replay"
        )
        if not only:
            said.append(
                "events that a redrive has repaired are written again without their repairs: "
                "--only leaves them as they are"
            )
    if Role.IDENTIFY in names and names[Role.IDENTIFY] == live[Role.IDENTIFY]:
        said.append(f"{live[Role.IDENTIFY]} is the live topic: old traits replace new ones")
    return said


def _specs(names: Mapping[Role, str], raw: TopicFacts) -> dict[Role, TopicSpec]:
    """The topics as `topics create` makes them, but kept for ever: records keep their own time."""
    wanted = TopicNames(
        raw.name,
        names[Role.ENRICHED],
        names[Role.DEAD_LETTER],
        names.get(Role.IDENTIFY, ""),
        names.get(Role.OTHER, ""),
    )
    options = CreateOptions(raw.partitions, max(1, raw.replication), _FOR_EVER, _FOR_EVER)
    made = specs(wanted, options, raw, with_other=Role.OTHER in names)
    by_name = {spec.name: spec for spec in made}
    return {role: by_name[name] for role, name in names.items()}


def _like(spec: TopicSpec, model: TopicFacts | None) -> TopicSpec:
    """Give a topic the live one's partitions, so that keys keep their order, and its limits."""
    if model is None:
        return spec
    largest = model.config.get("max.message.bytes", spec.config["max.message.bytes"])
    return spec._replace(
        partitions=model.partitions, config={**spec.config, "max.message.bytes": largest}
    )


def _retention(topic: TopicFacts, role: Role, oldest: int | None, now: int) -> list[str]:
    """Warn when the topic would delete what is written; dead letters have the time of writing."""
    kept = topic.number("retention.ms", -1)
    deletes = "delete" in topic.config.get("cleanup.policy", "delete")
    if not deletes or kept < 0 or role is Role.DEAD_LETTER or oldest is None:
        return []
    if oldest >= now - kept:
        return []
    days = f"{topic.name} keeps records for {kept / DAY_MS:g} days by their own time"
    before = format_time(now - kept)
    return [f"{days}: replayed ones older than {before} are deleted soon; raise its retention.ms"]
