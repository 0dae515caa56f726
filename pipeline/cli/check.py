"""`track-pipeline check`: would the worker start? Settings, broker, topics, limits."""

from __future__ import annotations

import json

import click

from pipeline.cli.options import require_kafka, with_settings
from pipeline.core.escape import escaped
from pipeline.settings.model import Settings
from pipeline.settings.names import FLAGS
from pipeline.wiring import checked_topics


@click.command()
@with_settings(*FLAGS)
@click.option(
    "--show-config",
    is_flag=True,
    help="Print the effective settings as JSON, secrets masked, and ask no broker.",
)
def check(settings: Settings, *, show_config: bool) -> None:
    """Check settings, broker, topics and limits without reading a record.

    Exit code 0: the worker would start. 2: a setting is wrong. 5: Kafka can't be reached, or a
    topic is missing or unfit; the sentence says what to do.
    """
    if show_config:
        shown = {"settings": settings.to_dict(), "contract": settings.contract()}
        click.echo(json.dumps({**shown, "sources": dict(settings.sources)}, indent=2))
        return
    require_kafka(settings)
    facts = checked_topics(settings, lambda text: click.echo(escaped(text), err=True))
    for name, topic in sorted(facts.items()):
        click.echo(
            f"ok  {name}: {topic.partitions} partitions, replication {topic.replication}, "
            f"max.message.bytes {topic.config.get('max.message.bytes', 'default')}"
        )
    click.echo("the worker would start")
