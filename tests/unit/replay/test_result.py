"""How a replay ends that has not come to its end, and what stays to be read."""

from __future__ import annotations

import json
from collections import Counter

import click
import pytest

from pipeline.cli.main import Failure
from pipeline.cli.replay.result import end_with, status_lines
from pipeline.core.counts import OutcomeCounts
from pipeline.core.record import Role
from pipeline.errors import ExitCode
from pipeline.kafka import Owner
from pipeline.replay import finish as finish_module
from pipeline.replay.finish import Interrupted, finish
from pipeline.replay.plan import Part, Target
from pipeline.replay.run import ReplayRun
from pipeline.replay.status import ReplayStatus
from pipeline.settings.model import Settings
from tests.unit.replay.plans import plan_of

PLAN = plan_of(
    Part(0, 0, 10),
    outputs={Role.ENRICHED: Target("good"), Role.DEAD_LETTER: Target("bad")},
)
COUNTS = OutcomeCounts(records=3, enriched=2, dead_letters=Counter(invalid_json=1))
STATUS = ReplayStatus(PLAN, {0: 3}, {0: COUNTS}, None)


class _Reader:
    """Reads the status of a replay that is not at its end."""

    def __init__(self, *_: object, stable: bool) -> None:
        assert stable

    def read(self) -> ReplayStatus:
        """Return it."""
        return STATUS


@pytest.mark.parametrize("stopped", [True, False])
def test_unfinished_replay_returns_its_status(
    monkeypatch: pytest.MonkeyPatch,
    stopped: bool,  # noqa: FBT001  a parameter
) -> None:
    """What is done is known, whether somebody has stopped it or not."""
    monkeypatch.setattr(finish_module, "StatusReader", _Reader)
    run = ReplayRun(Settings(), PLAN, Owner("", "", 0, "begun"), {})
    assert finish(run, stopped=stopped) == Interrupted(STATUS, ended_early=not stopped)


def test_replay_that_ended_early_fails_behind_its_counts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The counts are printed, and the failure says how to go on."""
    with pytest.raises(Failure, match=r"replay r1 ended before its end\. Resume it") as caught:
        end_with(Interrupted(STATUS, ended_early=True), PLAN, as_json=False)
    assert caught.value.exit_code == ExitCode.KAFKA
    out = capsys.readouterr().out
    assert "replay r1: 3 of 10 offsets, 3 records" in out
    assert "stopped" not in out


def test_document_of_a_replay_that_ended_early_has_no_verification(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Programs get the counts, too."""
    with pytest.raises(Failure):
        end_with(Interrupted(STATUS, ended_early=True), PLAN, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert (document["records"], document["verification"]) == (3, None)


def test_stopped_replay_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    """A stop that was asked for is no failure."""
    with pytest.raises(click.exceptions.Exit) as caught:
        end_with(Interrupted(STATUS), PLAN, as_json=False)
    assert caught.value.exit_code == ExitCode.INTERRUPTED
    assert capsys.readouterr().out.endswith(
        "stopped. Resume it with `track-pipeline replay --resume r1`\n"
    )


def test_outputs_are_counted_in_words() -> None:
    """Dead letters are several."""
    assert [line.split(maxsplit=1)[1] for line in status_lines(STATUS)[1:3]] == [
        "enriched to good",
        "dead letters to bad",
    ]
