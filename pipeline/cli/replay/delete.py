"""`track-pipeline replay delete ID`: removes what a replay has left."""

from __future__ import annotations

from typing import Final

import click

from pipeline.cli.options import with_settings
from pipeline.cli.output import print_json, print_line
from pipeline.cli.replay.options import JSON
from pipeline.replay.delete import Deletion, plan_deletion
from pipeline.replay.delete import delete as delete_replay
from pipeline.settings.model import Settings

_WHAT: Final = "its offsets, and its plan"


@click.command()
@click.argument("id_", metavar="ID")
@with_settings("--bootstrap-servers", needs_kafka=True)
@click.option("--execute", is_flag=True, help="Delete it; without this only what would be deleted.")
@JSON
def delete(settings: Settings, *, id_: str, execute: bool, as_json: bool) -> None:
    """Delete a replay that is finished, cancelled or interrupted.

    Its own output topics, the offsets of its group and its plan are deleted, for good. Events that
    it wrote into other topics (--into-live, --output) stay. It is rejected while a process works on
    the replay, and while one of the topics is a live topic or is read by a consumer group.
    """
    deletion = plan_deletion(settings, id_)
    deleted = delete_replay(settings, deletion) if execute else ()
    if as_json:
        print_json(_document(deletion, deleted, execute=execute))
        return
    print_line(f"replay {id_} of {deletion.plan.source}, {deletion.state.value}")
    verb = "deleted" if execute else "would be deleted"
    for topic in deleted if execute else deletion.topics:
        print_line(f"  {verb}: topic {topic}")
    print_line(f"  {verb}: {_WHAT}")
    for topic in deletion.kept_topics:
        print_line(f"  stays: topic {topic}, which is not its own, and what it wrote there")
    if not execute:
        print_line("nothing was deleted; --execute does it")


def _document(deletion: Deletion, deleted: tuple[str, ...], *, execute: bool) -> dict[str, object]:
    return {
        "id": deletion.plan.id,
        "state": deletion.state.value,
        "executed": execute,
        "topics": list(deleted if execute else deletion.topics),
        "kept_topics": list(deletion.kept_topics),
        "groups": list(deletion.groups),
    }
