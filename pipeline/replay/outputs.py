"""Where a replay writes: names, topics that are to be made, and what is to be said about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.cli.replay.options import Asked
from pipeline.core.record import Role
from pipeline.core.timestamps import format_time
from pipeline.errors import SettingsError
from pipeline.ports import TopicFacts, TopicSpec
from pipeline.reconcile.compare.classify import DifferenceKind
from pipeline.replay.plan import OF_REPLAY
from pipeline.settings.model import Settings
from pipeline.topics import DAY_MS, CreateOptions, TopicNames, specs
from pipeline.wiring import topic_names

_FOR_EVER: Final = -1.0


@dataclass(frozen=True)
class Outputs:
    """Role → topic, those of them that do not exist yet, and warnings."""

    topics: dict[Role, str]
    new: tuple[TopicSpec, ...]
    warnings: tuple[str, ...]
    existing: dict[str, TopicFacts]


def output_names(asked: Asked, id_: str) -> dict[Role, str]:
    """Role → topic; SettingsError for one topic that is to be two things."""
    settings, suffix = asked.settings, OF_REPLAY + id_
    live = topic_names(settings).outputs(settings)
    names = {role: topic + suffix for role, topic in live.items()}
    if asked.into_live:
        names[Role.ENRICHED] = live[Role.ENRICHED]
    if asked.output is not None:
        names[Role.ENRICHED] = asked.output
    if asked.identify_live and Role.IDENTIFY in live:
        names[Role.IDENTIFY] = live[Role.IDENTIFY]
    if len(set(names.values())) < len(names):
        raise SettingsError([f"--output: {asked.output} is already the output of something else"])
    return names


def compared_topics(
    settings: Settings, enriched: str | None, letters: str | None
) -> dict[Role, str]:
    """What results are held against; empty without a topic of enriched events.

    Without one of letters it is the one that belongs to them, where that is known.
    """
    topics = settings.topics
    if enriched is None:
        return {}
    of_replay = topics.enriched + OF_REPLAY
    if letters is None and enriched == topics.enriched:
        letters = topics.dead_letter
    elif letters is None and enriched.startswith(of_replay):
        letters = f"{topics.dead_letter}{OF_REPLAY}{enriched.removeprefix(of_replay)}"
    found = {Role.ENRICHED: enriched}
    return found if letters is None else found | {Role.DEAD_LETTER: letters}


def outputs(  # noqa: PLR0913, PLR0917  what they depend on
    asked: Asked,
    id_: str,
    facts: Mapping[str, TopicFacts],
    raw: TopicFacts,
    oldest: int | None,
    now: int,
) -> Outputs:
    """What the outputs are.

    `raw` is the topic that is read, or one like it; `oldest` is the time of the oldest record that
    is replayed.
    """
    names = output_names(asked, id_)
    live = topic_names(asked.settings).outputs(asked.settings)
    warnings = _into_live(names, live, asked.only)
    new: list[TopicSpec] = []
    for role, spec in _specs(names, raw).items():
        model = facts.get(live[role])
        if model is not None and not model.partitions:
            warnings.append(
                f"without DESCRIBE on topic {model.name} it is not known how many partitions it "
                f"has: {raw.partitions} are taken"
            )
            model = None
        if spec.name not in facts:
            new.append(_like(spec, model))
            continue
        topic = facts[spec.name]
        wanted = model.partitions if model else raw.partitions
        if topic.partitions < wanted:
            warnings.append(
                f"{topic.name} has {topic.partitions} partitions, {live[role]} {wanted}: keys are "
                "in other partitions than live"
            )
        warnings += _retention(topic, role, oldest, now)
    existing = {name: facts[name] for name in names.values() if name in facts}
    return Outputs(names, tuple(new), tuple(warnings), existing)


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
    """As `topics create` makes them, but kept for ever: replayed records keep their own time."""
    wanted = TopicNames(
        raw.name,
        names[Role.ENRICHED],
        names[Role.DEAD_LETTER],
        names.get(Role.IDENTIFY, ""),
    )
    options = CreateOptions(raw.partitions, max(1, raw.replication), _FOR_EVER, _FOR_EVER)
    by_name = {spec.name: spec for spec in specs(wanted, options, raw)}
    return {role: by_name[name] for role, name in names.items()}


def _like(spec: TopicSpec, model: TopicFacts | None) -> TopicSpec:
    """With the live topic's partitions, so that keys keep their order, and its limits."""
    if model is None:
        return spec
    largest = model.config.get("max.message.bytes", spec.config["max.message.bytes"])
    return spec._replace(
        partitions=model.partitions, config={**spec.config, "max.message.bytes": largest}
    )


def _retention(topic: TopicFacts, role: Role, oldest: int | None, now: int) -> list[str]:
    """Whether the topic would delete what is written; letters have the time of their writing."""
    kept = topic.number("retention.ms", -1)
    deletes = "delete" in topic.config.get("cleanup.policy", "delete")
    if not deletes or kept < 0 or role is Role.DEAD_LETTER or oldest is None:
        return []
    if oldest >= now - kept:
        return []
    days = f"{topic.name} keeps records for {kept / DAY_MS:g} days by their own time"
    before = format_time(now - kept)
    return [f"{days}: replayed ones older than {before} are deleted soon; raise its retention.ms"]
