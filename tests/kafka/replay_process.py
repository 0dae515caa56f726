"""A replay as a process of its own, and what it has written."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, Final

import psutil

from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Role
from pipeline.errors import ExitCode
from pipeline.replay.plan_store import PlanStore
from pipeline.replay.status import StatusReader
from pipeline.settings.model import load_settings
from tests.brokers import is_stable, read_topic
from tests.kafka.worker_process import PATIENCE_S, Pipeline

RECORDS: Final = 2500
SLOW: Final = ("--rate", "800")
"""So that there is a middle to be killed in."""
LASTING: Final = ("--rate", "100")
"""So that it is not at its end before another process has started, however busy the machine is."""


def begun(
    pipeline: Pipeline, *options: str, env: Mapping[str, str] | None = None, number: int = 1
) -> tuple[subprocess.Popen[bytes], str]:
    """A replay as a process, the command of this number, and its id, once it has begun."""
    process = pipeline.start_command("replay", "--execute", "--json", *options, env=env)
    name = f"command-{number}"
    pipeline.wait_for(lambda: " begins" in pipeline.text(name), "beginning")
    return process, pipeline.text(name).split("replay ")[1].split()[0]


def status(pipeline: Pipeline, id_: str) -> dict[str, Any]:
    """What `replay status` says."""
    ran = pipeline.run("replay", "status", id_, "--json")
    assert ran.code == 0, ran.err
    return dict(json.loads(ran.out))


def wait_for_records(pipeline: Pipeline, id_: str, least: int) -> None:
    """Wait until so many are committed.

    It asks for the offsets alone: `replay status` again and again would cost more than the replay.
    """
    settings = load_settings(None, {}, pipeline.variables)
    reader = StatusReader(settings, PlanStore(settings).one(id_).plan)
    pipeline.wait_for(lambda: reader.read().totals.records >= least, f"{least} records")


def suspend_between_transactions(
    pipeline: Pipeline, replays: Iterable[tuple[subprocess.Popen[bytes], str]]
) -> list[psutil.Process]:
    """Suspend replays, with their workers, while no transaction of theirs is open.

    A broker that shuts down while it ends a transaction may leave out the markers of partitions
    that it does not lead any more (docs/how-to/chaos.md).
    """
    suspended: list[psutil.Process] = []

    def is_suspended(process: psutil.Process, topics: Collection[str]) -> bool:
        family = [process, *process.children(recursive=True)]
        for each in family:
            each.suspend()
        if all(is_stable(pipeline.admin, topic) for topic in topics):
            suspended.extend(family)
            return True
        for each in family:
            each.resume()
        return False

    for replay, id_ in replays:
        process = psutil.Process(replay.pid)
        outputs = pipeline.names.enriched, pipeline.names.dead_letter
        topics = [f"{topic}.replay.{id_}" for topic in outputs]
        pipeline.wait_for(partial(is_suspended, process, topics), "a moment between transactions")
    return suspended


def written(pipeline: Pipeline, id_: str) -> dict[Role, Counter[str]]:
    """Role → how often each source is in the replay's outputs."""
    found = {}
    for role, topic, header in (
        (Role.ENRICHED, pipeline.names.enriched, TrackHeader.SOURCE),
        (Role.DEAD_LETTER, pipeline.names.dead_letter, DlqHeader.SOURCE),
    ):
        records = read_topic(pipeline.servers, f"{topic}.replay.{id_}", "read_committed")
        found[role] = Counter((dict(each.headers)[header] or b"").decode() for each in records)
    return found


def expected(pipeline: Pipeline) -> dict[Role, Counter[str]]:
    """The same of what the contract makes of the raw topic as it is now."""
    made = pipeline.expected()
    return {
        role: Counter(source for source, _, _ in made[role])
        for role in (Role.ENRICHED, Role.DEAD_LETTER)
    }


def resumed(pipeline: Pipeline, id_: str, number: int) -> dict[str, Any]:
    """Resume it without a limit, as the command of this number, to the end; what it said."""
    process = pipeline.start_command("replay", "--resume", id_, "--rate", "1000000", "--json")
    name = f"command-{number}"
    assert process.wait(PATIENCE_S) == ExitCode.OK, pipeline.text(name)
    said = [line for line in pipeline.text(name).splitlines() if line.startswith('{"id"')]
    return dict(json.loads(said[-1]))


def filled(pipeline: Pipeline, records: int = RECORDS) -> None:
    """Write generated events into the raw topic."""
    arguments = ("generate", "--count", str(records), "--topic", pipeline.names.raw)
    # A topic that was just created may not be known to every client at once.
    pipeline.wait_for(lambda: pipeline.run(*arguments).code == ExitCode.OK, "filling the topic")


def forget_offsets(pipeline: Pipeline, id_: str) -> None:
    """Delete the offsets of its group, as when they have expired.

    Kafka refuses that until the markers of the last transaction are written.
    """
    group = f"track-replay.{id_}"

    def is_deleted() -> bool:
        (deleted,) = pipeline.admin._client.delete_consumer_groups([group]).values()  # noqa: SLF001
        return deleted.exception() is None

    pipeline.wait_for(is_deleted, "forgetting the offsets")
