"""The status of a pipeline on a terminal and in a pipe."""

from __future__ import annotations

from typing import Final

import pytest

from pipeline.cli.status_view import print_partitions, print_status
from pipeline.kafka import Member
from pipeline.monitor import BreakerWatch, ClusterStatus, OpenTransaction, PartitionStatus
from tests.unit.cli.terminal import as_terminal

NOW: Final = 1_795_725_600_000
WAITING: Final = PartitionStatus(
    0, 12_345, 12_445, 100, 3_725.5, 86_400.0, "1;0123456789ab", NOW - 60_000, "host-1-0"
)
UNKNOWN: Final = PartitionStatus(1, 7, None, None, None)
STATUS: Final = ClusterStatus(
    at=NOW,
    group="track-pipeline",
    topic="track.raw",
    state="STABLE",
    members=[Member("host-1-0", "track-pipeline", "/10.0.0.1", frozenset({0}))],
    partitions=[WAITING, UNKNOWN],
    open_transactions=[OpenTransaction("raw", "track.raw", 0, 12_400, NOW)],
    breaker=BreakerWatch(900, 12, 0.02),
    notices=["partition 1 of topic track.raw has no leader"],
)


def test_terminal_of_80_columns_shows_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words first, then the partitions, members and transactions; nothing is wider."""
    terminal = as_terminal(monkeypatch, 80)
    print_status(STATUS)
    lines = terminal.lines()
    assert lines[:6] == [
        "group track-pipeline reads track.raw: 1 member, 2 partitions, stable",
        "100 or more records behind; the oldest waits for 1 h 2 min",
        "retention may delete unread records in 1 d",
        "contract 1;0123456789ab; last commit 2026-11-26T20:39:00Z (1 min ago)",
        "circuit breaker: armed, 900 events left to watch; 12 rejected (usually 2 %)",
        "note: partition 1 of topic track.raw has no leader",
    ]
    assert any("track.raw/0/12400" in line for line in lines)
    assert [line.split()[:1] for line in lines if "12,345" in line] == [["0"]]
    assert max(map(len, lines)) <= 80


def test_pipe_gets_the_partitions_with_exact_values(capsys: pytest.CaptureFixture[str]) -> None:
    """Cells of what is not known are empty."""
    print_partitions(STATUS)
    _, waiting, unknown = capsys.readouterr().out.splitlines()
    assert waiting.split("\t") == [
        "0",
        "12345",
        "12445",
        "100",
        "3725.5",
        "86400.0",
        "2026-11-26T20:39:00.000Z",
        "1;0123456789ab",
        "host-1-0",
    ]
    assert unknown.split("\t") == ["1", "7", "", "", "", "", "", "", ""]


def test_nothing_that_waits_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """No member and no commit are named as such."""
    terminal = as_terminal(monkeypatch, 80)
    print_status(ClusterStatus(NOW, "g", "raw", "DEAD", [], [PartitionStatus(0, None, 0, 0, 0.0)]))
    assert terminal.lines()[:4] == [
        "group g reads raw: 0 members, 1 partition, dead",
        "up to date",
        "contract -; last commit -",
        "circuit breaker: not known",
    ]
