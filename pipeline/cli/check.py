"""`track-pipeline check`: would the worker start? Settings, broker, topics, limits."""

from __future__ import annotations

import click

from pipeline.cli.help import Command
from pipeline.cli.options import PIPELINE_FLAGS, require_kafka, with_settings
from pipeline.cli.output import print_json, print_line, print_notice
from pipeline.preflight import checked_schemas, checked_topics
from pipeline.registry.optional_client import require_registry
from pipeline.settings.model import Settings
from pipeline.settings.names import FLAGS
from pipeline.wiring import require_tracing


@click.command(
    cls=Command,
    groups={
        "Which worker": (*PIPELINE_FLAGS, "--config"),
        "Instead of checking": ("--show-config",),
    },
    examples={
        "Before a deployment": "track-pipeline check --config pipeline.toml",
        "Which settings are in force, and where each comes from": (
            "track-pipeline check --config pipeline.toml --show-config"
        ),
    },
)
@with_settings(*FLAGS)
@click.option(
    "--show-config",
    is_flag=True,
    help="Print the effective settings as JSON, with secrets masked, without asking a broker.",
)
def check(settings: Settings, *, show_config: bool) -> None:
    """Check settings, broker, topics, limits and schemas without reading a record.

    The exit code is 0 when the worker would start, 2 when a setting is wrong, and 5 when Kafka or
    the Schema Registry can't be reached, or a topic or a schema is missing or unfit; the message
    says what to do.
    """
    if show_config:
        document = {"settings": settings.to_dict(), "contract": settings.contract()}
        print_json({**document, "sources": dict(settings.sources)}, indented=True)
        return
    require_kafka(settings)
    require_tracing(settings)
    require_registry(settings)
    facts = checked_topics(settings, print_notice)
    for name, topic in sorted(facts.items()):
        print_line(
            f"ok  {name}: {topic.partitions} partitions, replication {topic.replication}, "
            f"max.message.bytes {topic.config.get('max.message.bytes', 'default')}"
        )
    report = checked_schemas(settings, print_notice)
    if report is not None:
        guids = "knows GUIDs" if report.knows_guids else "knows no GUIDs"
        print_line(f"ok  {report.url}: a Schema Registry that {guids}")
        for status in report.schemas:
            print_line(f"ok  {status.sentence()}")
    print_line("the worker would start")
