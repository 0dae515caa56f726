"""`track-pipeline replay cancel ID`: no process can go on with a replay any more."""

from __future__ import annotations

import click

from pipeline.cli.options import with_settings
from pipeline.core.escape import escaped
from pipeline.errors import RefusedError
from pipeline.replay.plan import State
from pipeline.replay.plan_settings import with_kept
from pipeline.replay.plan_store import PlansTopic
from pipeline.replay.takeover import new_owner, take_over
from pipeline.settings.model import Settings
from pipeline.wiring import topic_names


@click.command()
@click.argument("id_", metavar="ID")
@with_settings("--bootstrap-servers", needs_kafka=True)
def cancel(settings: Settings, *, id_: str) -> None:
    """Stop a replay for good: a process that works on it ends, and nobody can resume it.

    What it has written stays, and so do its topics.
    """
    plans = PlansTopic(settings)
    record = plans.one(id_)
    if record.state is State.FINISHED:
        raise RefusedError(f"replay {id_} is finished; its topics are yours to delete")
    plans.note(record.plan, State.CANCELLED)
    take_over(settings, record, {}, new_owner("cancelled"), to_write=False)
    live = set(topic_names(with_kept(settings, record.plan)))
    own = [target.topic for target in record.plan.outputs.values() if target.topic not in live]
    click.echo(escaped(f"cancelled replay {id_}; what it has written stays"))
    for topic in own:
        click.echo(escaped(f"to delete it: kafka-topics.sh --delete --topic {topic}"))
