"""`track-pipeline leave`: the last step of decommissioning a worker with an instance id."""

from __future__ import annotations

import click

from pipeline.cli.options import with_settings
from pipeline.cli.output import print_line
from pipeline.errors import SettingsError
from pipeline.kafka import MemberRemoval
from pipeline.settings.model import Settings
from pipeline.wiring import admin, group_consumer_config


@click.command()
@with_settings(
    "--bootstrap-servers",
    "--group",
    "--instance-id",
    "--raw-topic",
    "--workers",
    needs_kafka=True,
)
def leave(settings: Settings) -> None:
    """Remove the instance id of a worker that was stopped for good from its group.

    A stopped worker with an instance id keeps its partitions until its session ends
    (session.timeout.ms), so that a restart costs nothing. This gives them to the others at once.
    Stop the worker first. With --workers, the ids of all workers of that service are removed.
    """
    if settings.instance_id is None:
        raise SettingsError(
            ["instance_id: is not set; workers without one leave their group when they stop"]
        )
    admin(settings).wait_until_reachable()
    leaving = MemberRemoval(
        settings.kafka, settings.group, settings.topics.raw, settings.startup_timeout_s
    )
    for own in settings.for_workers():
        member = leaving.remove(group_consumer_config(own))
        if member is None:
            print_line(f"{own.instance_id} is not a member of group {settings.group}")
            continue
        held = f": it held {member.holding()}" if member.partitions else ""
        print_line(f"{own.instance_id} has left group {settings.group}{held}")
