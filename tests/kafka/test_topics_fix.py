"""`track-pipeline topics create` and `topics fix` on topics that exist already."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.errors import ExitCode
from pipeline.ports import TopicSpec
from tests.kafka.worker_process import Pipeline
from tests.unit.cli.program import Ran
from tests.unit.cli.program import run as run_program

pytestmark = pytest.mark.kafka

_DAY = 86_400_000


def _topics(pipeline: Pipeline, *arguments: str) -> Ran:
    return _run(pipeline, "topics", *arguments)


def _run(pipeline: Pipeline, *arguments: str) -> Ran:
    names = pipeline.names._asdict().items()
    flags = [text for role, name in names for text in (f"--{role.replace('_', '-')}-topic", name)]
    servers = ("--bootstrap-servers", pipeline.servers)
    return run_program(*arguments, *servers, *flags)


def _rows(ran: Ran) -> dict[str, Any]:
    assert ran.code == 0, ran.err
    return {row["name"]: row for row in json.loads(ran.out)}


@pytest.fixture
def unfit(bare_pipeline: Pipeline) -> Pipeline:
    """A pipeline two of whose topics exist, and are not as they should be."""
    names = bare_pipeline.names
    bare_pipeline.admin.create(
        [
            TopicSpec(names.raw, 3, 1, {"cleanup.policy": "compact"}),
            TopicSpec(
                names.dead_letter,
                2,
                1,
                {"retention.ms": str(_DAY), "min.insync.replicas": "2"},
            ),
        ]
    )
    return bare_pipeline


def test_create_shows_what_existing_topics_are_like(unfit: Pipeline) -> None:
    """Real values, each difference, and how many are new: nothing that reads like a failure."""
    names = unfit.names
    rows = _rows(_topics(unfit, "create", "--dry-run", "--json"))
    assert rows[names.enriched]["action"] == "create"
    assert rows[names.enriched]["partitions"] == 3
    assert rows[names.dead_letter]["partitions"] == 2
    assert {each["setting"] for each in rows[names.dead_letter]["differences"]} >= {
        "partitions",
        "retention.ms",
        "min.insync.replicas",
    }
    ran = _topics(unfit, "create", "--partitions", "7")
    assert ran.code == 0
    assert "created 2 topics; 2 existed already" in ran.err
    assert f"--partitions 7 is not used: {names.raw} exists and has 3" in ran.err
    assert "track-pipeline topics fix" in ran.err
    assert unfit.admin.topics([names.dead_letter])[names.dead_letter].partitions == 2


def test_fix_alters_what_can_be_altered(unfit: Pipeline) -> None:
    """Only with --execute; afterwards the worker would start, and a second fix finds nothing."""
    names = unfit.names
    assert _topics(unfit, "create").code == 0
    plan = _topics(unfit, "fix")
    assert plan.code == 0
    assert "nothing was changed: --execute does it" in plan.err
    assert unfit.admin.topics([names.raw])[names.raw].config["cleanup.policy"] == "compact"
    done = _topics(unfit, "fix", "--execute")
    assert done.code == 0, done.err
    assert "altered " in done.err
    facts = unfit.admin.topics(names)
    assert facts[names.raw].config["cleanup.policy"] == "delete"
    dead_letter = facts[names.dead_letter]
    assert dead_letter.partitions == 3
    assert dead_letter.config["retention.ms"] == str(30 * _DAY)
    assert dead_letter.config["min.insync.replicas"] == "1"
    again = _topics(unfit, "fix", "--execute")
    assert "nothing to alter" in again.err
    assert _run(unfit, "check").code == 0


def test_fix_adds_partitions_to_every_topic(pipeline: Pipeline) -> None:
    """With --partitions the raw topic grows too; fewer than there are can't be had."""
    names = pipeline.names
    before = pipeline.admin.topics(names)[names.raw].partitions
    ran = _topics(pipeline, "fix", "--partitions", str(before + 1), "--execute")
    assert ran.code == 0, ran.err
    facts = pipeline.admin.topics(names)
    assert {topic.partitions for topic in facts.values()} == {before + 1}
    less = _topics(pipeline, "fix", "--partitions", "1", "--execute")
    assert less.code == 0
    assert "Kafka can't remove partitions" in less.out.decode()
    assert "nothing to alter; 4 can't be altered here" in less.err


def test_fix_without_topics(bare_pipeline: Pipeline) -> None:
    """Topics that do not exist are created, not fixed."""
    ran = _topics(bare_pipeline, "fix")
    assert ran.code == ExitCode.KAFKA
    assert "no topic exists yet; create them: track-pipeline topics create" in ran.err
