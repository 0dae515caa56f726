"""Where `redrive --to source` sends dead letters: to the topic that they are of."""

from __future__ import annotations

from typing import Final

from pipeline.cli.dlq.options import Asked
from pipeline.dlq.dead_letter import TRACK
from pipeline.errors import SettingsError
from pipeline.topic_roles import topic_role
from pipeline.topics import LEDGER_SUFFIX

_MOST: Final = 5


def source_topic(asked: Asked) -> str:
    """The one topic that all dead letters of other systems name that are meant.

    SettingsError when they name none or several, or one that nothing may be sent back to.
    """
    found: set[str] = set()
    for letter in asked.letters():
        if letter.dialect != TRACK and letter.source is not None:
            found.add(letter.source.topic)
            if len(found) > _MOST:
                break
    topic = asked.desk.captured.topic
    if not found:
        raise _refused(
            f"no dead letter of {topic} that is meant was written by another system and names the "
            "topic that it is of"
        )
    if len(found) > 1:
        names = ", ".join(sorted(found)[:_MOST])
        more = " and others" if len(found) > _MOST else ""
        raise _refused(
            f"these dead letters are of several topics ({names}{more}): choose one with --source"
        )
    (name,) = found
    if name == asked.settings.topics.raw:
        raise _refused(
            f"they are of {name}, the raw topic, of which the worker would take them for new "
            "events: use --to raw, or --to enriched"
        )
    role = topic_role(name, asked.settings.topics)
    if role is not None or name == topic or name.endswith(LEDGER_SUFFIX):
        # Headers of other systems are whatever somebody has written into them.
        what = role or ("which they are read from" if name == topic else "which may be a ledger")
        raise _refused(f"they say that they are of {name}, {what}: nothing is sent there")
    return name


def _refused(problem: str) -> SettingsError:
    return SettingsError([f"--to source: {problem}"])
