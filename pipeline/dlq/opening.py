"""Opens a desk: what the topic and its ledger hold now."""

from __future__ import annotations

import click

from pipeline.dlq.filters import Selection
from pipeline.dlq.ledger import Ledger, read_entry
from pipeline.dlq.ledger_topic import LedgerTopic
from pipeline.dlq.reader import Captured, Desk
from pipeline.errors import RefusedError
from pipeline.kafka import Admin
from pipeline.settings.model import Settings
from pipeline.topics import LEDGER_SUFFIX, require_permission
from pipeline.wiring import admin, range_reader


def open_desk(settings: Settings, topic: str, selection: Selection) -> Desk:
    """The desk for a dead-letter topic, which sees what is there now.

    Raises RefusedError when the topic does not exist or may not be read, and TransportError.
    """
    cluster = admin(settings)
    cluster.wait_until_reachable()
    ledger_topic = topic + LEDGER_SUFFIX
    facts = cluster.topics([topic, ledger_topic])
    if topic not in facts:
        raise RefusedError(
            f"topic {topic} does not exist: is the name right (--topic, topics.dead_letter)?"
        )
    require_permission([facts[topic]], "READ")
    reader = range_reader(settings)
    ledger = Ledger(facts[topic].id)
    if ledger_topic in facts and not facts[ledger_topic].allows("READ"):
        # It may not even exist: what one may not see is hidden.
        text = f"without READ on topic {ledger_topic} it is not known what was done with letters"
        click.echo(f"warning: {text}", err=True)
    elif ledger_topic in facts:
        for record in LedgerTopic(cluster, reader, ledger_topic).news(stable=True):
            entry = read_entry(record)
            if entry is not None:
                ledger.add(entry)
    return Desk(reader, _captured(cluster, topic, facts[topic].id, selection), ledger)


def _captured(cluster: Admin, topic: str, topic_id: str, selection: Selection) -> Captured:
    since = selection.failed.start
    extents = cluster.extents(topic, stable=True)
    starts: dict[int, int] = {}
    if since is not None:
        found = cluster.offsets_at(topic, since)
        starts = {number: found.get(number, end) for number, (_, end) in extents.items()}
    return Captured(topic, topic_id, extents, starts)
