"""The topic that `redrive --to source` sends dead letters to: the one that they came from."""

from __future__ import annotations

from typing import Final

from pipeline.dlq.dead_letter import TRACK
from pipeline.dlq.reader import DlqReader
from pipeline.errors import SettingsError
from pipeline.progress import OnProgress
from pipeline.settings.groups import Topics
from pipeline.topic_roles import topic_role
from pipeline.topics import LEDGER_SUFFIX

_MOST: Final = 5
"""Maximum number of topics in a message."""


def source_topic(reader: DlqReader, topics: Topics, on_progress: OnProgress | None = None) -> str:
    """Name of the one topic that all selected dead letters of other systems came from.

    Raises SettingsError when they name none or several, or one that must not be written to.
    """
    found: set[str] = set()
    for dead_letter in reader.dead_letters(on_progress):
        if dead_letter.header_format != TRACK and dead_letter.source is not None:
            found.add(dead_letter.source.topic)
            if len(found) > _MOST:
                break
    topic = reader.snapshot.topic
    if not found:
        raise _refused(
            f"no selected dead letter of {topic} was written by another system and names the topic "
            "that it came from"
        )
    if len(found) > 1:
        names = ", ".join(sorted(found)[:_MOST])
        more = " and others" if len(found) > _MOST else ""
        raise _refused(
            f"these dead letters came from several topics ({names}{more}): choose one with --source"
        )
    (name,) = found
    if name == topics.raw:
        raise _refused(
            f"they came from {name}, the raw topic, where the worker would take them for new "
            "events: use --to raw, or --to enriched"
        )
    role = topic_role(name, topics)
    if role is not None or name == topic or name.endswith(LEDGER_SUFFIX):
        # Anybody can write the headers of other systems.
        what = role or ("which they are read from" if name == topic else "which may be a ledger")
        raise _refused(f"they state that they came from {name}, {what}: nothing is sent there")
    return name


def _refused(problem: str) -> SettingsError:
    return SettingsError([f"--to source: {problem}"])
