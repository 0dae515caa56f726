"""What a replay of files would do: the files, looked at once, and the outputs on a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from pipeline.cli.progress import shown_progress
from pipeline.cli.replay.options import Asked
from pipeline.identity import stamp
from pipeline.ports import TopicFacts
from pipeline.replay.capture import Outlook, new_plan
from pipeline.replay.file_reader import PARTITION
from pipeline.replay.file_scan import Survey, survey, surveyed_again
from pipeline.replay.file_source import Archive
from pipeline.replay.outputs import Outputs, output_names, outputs
from pipeline.replay.plan import Part
from pipeline.settings.model import Settings
from pipeline.wiring import WallClock, admin, topic_names


def capture_files(asked: Asked) -> Outlook:
    """Make a plan; nothing is written. UnusableFileError, TransportError, SettingsError."""
    settings, now = asked.settings, WallClock().now()
    id_ = stamp(now)
    cluster = admin(settings)
    cluster.wait_until_reachable()
    names = output_names(asked, id_)
    with shown_progress(Console(stderr=True)) as on_progress:
        found = survey(asked.files, asked.received_at, asked.spill_dir, on_progress)
    facts = cluster.topics({*topic_names(settings), *names.values()})
    raw = _raw(settings, facts, found.archive)
    where = outputs(asked, id_, facts, raw, found.first, now)
    plan = replace(
        new_plan(asked, id_, now, where),
        parts=(Part(PARTITION, 0, found.archive.lines),),
        archive=found.archive,
    )
    return Outlook(
        plan,
        {},
        where,
        {},
        (*where.warnings, *_moved(found.archive, where), *_warnings(found)),
        (),
        max(1, raw.replication),
        found,
    )


def looked_at_again(archive: Archive, folder: Path | None) -> Survey:
    """The files of a replay that goes on; UnusableFileError when one is not what was planned."""
    with shown_progress(Console(stderr=True)) as on_progress:
        return surveyed_again(archive, folder, on_progress)


def _raw(settings: Settings, facts: Mapping[str, TopicFacts], archive: Archive) -> TopicFacts:
    """The raw topic, whose like the outputs are; without one as many partitions as are archived."""
    name = settings.topics.raw
    visible = [facts[each] for each in (name, settings.topics.enriched) if each in facts]
    unknown = TopicFacts(name, max(1, archive.partitions), 1, {})
    return next((topic for topic in visible if topic.partitions), unknown)


def _moved(archive: Archive, where: Outputs) -> list[str]:
    """Outputs in which archived records can't keep their partitions."""
    counts = {spec.name: spec.partitions for spec in where.new}
    counts |= {name: topic.partitions for name, topic in where.existing.items()}
    return [
        f"{name} has {count} partitions, the archived records are of {archive.partitions} or more: "
        "keys are in other partitions than before"
        for name, count in counts.items()
        if 0 < count < archive.partitions
    ]


def _warnings(found: Survey) -> list[str]:
    said = []
    if found.repeated.count:
        said.append(
            f"{found.repeated.count:,} records are archived more than once: the first line of each "
            "counts"
        )
    if found.without_time:
        said.append(
            f"{found.without_time:,} lines do not say when they were received: --received-at TIME "
            "does; an event that does not say it either is written with a time of 1970"
        )
    return said
