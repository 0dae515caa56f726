"""`track-pipeline top`: its picture, and what it prints once."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Sequence

import pytest

from pipeline.cli.live import can_draw
from pipeline.cli.top_view import picture_lines, rounded_rate
from pipeline.errors import ExitCode
from pipeline.metrics.catalogue import Metric
from pipeline.metrics.samples import Samples
from pipeline.monitor.endpoint_figures import (
    EndpointFigures,
    EndpointsPicture,
    WorkerFigures,
    figures_together,
)
from tests.unit.cli.program import TIMEOUT_S, command, environment, read_terminal, run
from tests.unit.cli.terminal import as_terminal
from tests.unit.monitor.endpoints import closed_port, served_endpoint

_RATES: Samples = {
    Metric.RECORDS_CONSUMED: {(): 12_345.6},
    Metric.EVENTS_ENRICHED: {(): 12_300.0},
    Metric.EVENTS_DEAD_LETTERED: {("revenue_invalid",): 45.0, ("event_blank",): 0.25},
    Metric.EVENTS_DROPPED: {("unsupported_type",): 0.0},
    Metric.TRANSACTIONS: {("committed",): 3.0, ("aborted",): 0.5},
    Metric.PHASE_SECONDS: {("wait",): 0.5, ("process",): 0.25, ("commit",): 0.25},
}
_VALUES: Samples = {
    Metric.LAG_RECORDS: {("0",): 1000.0, ("1",): 234.0},
    Metric.PARTITIONS_ASSIGNED: {(): 2.0},
    Metric.WORKERS: {("running",): 1.0, ("configured",): 2.0},
    Metric.EVENTS_DEAD_LETTERED: {("revenue_invalid",): 5000.0, ("event_blank",): 7.0},
    Metric.RESETS: {("soft",): 1.0},
    Metric.WORKER_RESTARTS: {(): 2.0},
    Metric.CONSERVATION: {(): 0.0},
}


def _endpoint(url: str = "http://w-0:9400", health: str = "ready", *said: str) -> EndpointFigures:
    return EndpointFigures(url, WorkerFigures(_VALUES, _RATES, 125.0), health, said)


def _gone(url: str) -> EndpointFigures:
    return EndpointFigures(url, None, "unreachable", ("nothing listens there",))


def _picture(*endpoints: EndpointFigures) -> EndpointsPicture:
    parts = [each.figures for each in endpoints if each.figures]
    return EndpointsPicture(endpoints, figures_together(parts) if parts else None)


def _lines(picture: EndpointsPicture, width: int = 80, height: int = 24) -> list[str]:
    lines = [line.plain for line in picture_lines(picture, width, height)]
    assert max(map(len, lines)) <= width
    return lines


def _cells(lines: Sequence[str], first: str) -> list[str]:
    """Cells of the first line that begins so."""
    return next(line for line in lines if line.startswith(first)).split()


def test_picture_of_one_worker() -> None:
    """Rates, lag, phases, the endpoint and its reasons are shown at 80 columns."""
    lines = _lines(_picture(_endpoint()))
    assert lines[1].split() == ["12,346", "12,300", "45.2", "0.0", "3.0", "0.5"]
    assert "lag: 1,234 records, the oldest waits for 2 min 5 s; 2 partitions" in lines
    assert "time: wait 50 %, read 0 %, process 25 %, send 0 %, commit 25 %" in lines
    assert "since the start: 1 reset, 2 restarts" in lines
    row = ["http://w-0:9400", "ready", "1/2", "12,346", "1,234", "2", "min", "5", "s"]
    assert _cells(lines, "http://w-0:9400") == row
    assert _cells(lines, "revenue_invalid") == ["revenue_invalid", "45.0", "5,000"]
    assert _cells(lines, "event_blank") == ["event_blank", "0.2", "7"]
    assert len(lines) < 24


def test_picture_of_several_workers() -> None:
    """Sums come first, then those that need attention, with the reasons in words."""
    waiting = _endpoint("http://w-1:9400", "waiting", "worker 0: the broker is away")
    lines = _lines(_picture(_endpoint(), _gone("http://w-2:9400"), waiting))
    assert lines[1].split()[0] == "24,691"
    shown = [line.split()[0] for line in lines if line.startswith("http://") and ": " not in line]
    assert shown == ["http://w-2:9400", "http://w-1:9400", "http://w-0:9400"]
    assert _cells(lines, "http://w-2:9400")[1] == "unreachable"
    assert "http://w-2:9400: nothing listens there" in lines
    assert "http://w-1:9400: worker 0: the broker is away" in lines


def test_long_reason_is_folded_not_cut() -> None:
    """The end says what to do; where there is no room, the picture says where the rest is."""
    reason = "the circuit breaker is open: " + "many events " * 20 + "undo the change"
    picture = _picture(_endpoint("http://w-0:9400", "breaker_open", reason))
    assert any(line.endswith("undo the change") for line in _lines(picture))
    assert "… all of it: track-pipeline status --url" in _lines(picture, height=10)


def test_picture_without_an_answer() -> None:
    """When nothing answers, that is what it says."""
    lines = _lines(_picture(_gone("http://w-0:9400")))
    assert lines[0] == "no endpoint answers"
    assert lines[-1] == "nothing listens there"


def test_first_picture_has_no_rates() -> None:
    """Before the second reading rates are unknown, not zero; an absent lag is not known."""
    figures = WorkerFigures({}, None, None)
    lines = _lines(_picture(EndpointFigures("http://w-0", figures, "starting", ())))
    assert set(lines[1].split()) == {"-"}
    assert "lag: not known; 0 partitions" in lines
    assert "time: -" in lines


def test_conservation_that_is_broken_is_a_bug() -> None:
    """Events that are not accounted for are told in a line of their own."""
    values: Samples = {**_VALUES, Metric.CONSERVATION: {(): -3.0}, Metric.RESETS: {}}
    picture = _picture(EndpointFigures("u", WorkerFigures(values, None, None), "ready", ()))
    assert "conservation: -3 events of difference, which is a bug" in _lines(picture)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 24), (200, 10), (20, 5)])
def test_picture_fits_into_any_terminal(width: int, height: int) -> None:
    """Narrow terminals get fewer columns, low ones fewer rows, with their number."""
    many: Samples = {
        **_VALUES,
        Metric.EVENTS_DEAD_LETTERED: {(f"reason_{n}",): 1.0 for n in range(30)},
    }
    endpoints = [
        EndpointFigures(
            f"http://{'long' * 20}-{n}", WorkerFigures(many, _RATES, 1.0), "waiting", ("it waits",)
        )
        for n in range(40)
    ]
    lines = _lines(_picture(*endpoints), width, height)
    assert any(line.startswith("… and ") for line in lines)
    if height == 24:
        assert len(lines) <= height + 12


def test_text_of_an_endpoint_can_not_steer_the_terminal() -> None:
    """What another program answers is escaped."""
    lines = _lines(_picture(_endpoint("http://w", "\x1b[2J", "it \x1b[31m waits\n")))
    assert not any("\x1b" in line or "\n" in line for line in lines)


@pytest.mark.parametrize(
    ("rate", "shown"), [(None, None), (0.0, 0.0), (99.94, 99.9), (100.4, 100), (12345.6, 12346)]
)
def test_rate_has_a_decimal_when_it_is_small(rate: float | None, shown: float | None) -> None:
    """Small rates have one decimal."""
    assert rounded_rate(rate) == shown


def test_one_table_in_a_pipe() -> None:
    """A pipe gets a line for each endpoint, and exit code 1 when one could not be read."""
    with served_endpoint() as endpoint:
        endpoint.values[Metric.LAG_RECORDS] = {("0",): 7.0}
        ran = run("top", "--url", endpoint.url, "--interval", "0.1")
        assert (ran.code, ran.err) == (0, "")
        header, row = (line.split("\t") for line in ran.out.decode().splitlines())
        cells = dict(zip(header, row, strict=True))
        assert cells["endpoint"] == endpoint.url
        assert (cells["health"], cells["lag records"], cells["records/s"]) == ("ready", "7", "0")
        gone = closed_port()
        ran = run("top", "--url", endpoint.url, "--url", gone, "--interval", "0.1", "--once")
        assert ran.code == ExitCode.DIFFERENCE
        *_, last = ran.out.decode().splitlines()
        assert last.split("\t")[:2] == [gone, "unreachable"]
        assert "nothing listens there" in last


def test_one_json_document() -> None:
    """One document is printed by --json, with rates after one interval."""
    with served_endpoint() as endpoint:
        endpoint.values[Metric.RECORDS_CONSUMED] = {(): 5.0}
        ran = run("top", "--url", endpoint.url, "--interval", "0.1", "--json")
        document = json.loads(ran.out)
        assert document["total"]["per_second"]["records"] == 0
        assert document["endpoints"][0]["health"] == "ready"


def test_once_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture is printed once instead of being followed."""
    terminal = as_terminal(monkeypatch, 80)
    monkeypatch.setattr("pipeline.cli.top.is_terminal", lambda: True)
    with served_endpoint() as endpoint:
        ran = run("top", "--url", endpoint.url, "--interval", "0.1", "--once")
        assert ran.code == 0
        assert "lag: not known" in ran.out.decode() + "\n".join(terminal.lines())


def test_dumb_terminal_is_not_drawn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a movable cursor there is one result, as in a pipe."""
    as_terminal(monkeypatch, 80)
    assert can_draw()
    monkeypatch.setenv("TERM", "dumb")
    assert not can_draw()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "http.port: is not set; give --url"),
        (("--url", "file:///etc/passwd"), "is not the address of an endpoint"),
        (("--url", "http://h", "--interval", "0"), "--interval"),
    ],
)
def test_wrong_use_is_one_sentence_of_top(arguments: tuple[str, ...], said: str) -> None:
    """Wrong use is one sentence and its exit code."""
    ran = run("top", *arguments)
    assert ran.code == ExitCode.USAGE
    assert said in ran.err


def _resize(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def test_live_picture_follows_the_terminal() -> None:
    """A wider terminal shows more columns; Ctrl-C leaves the last picture, with exit code 0."""
    ours, theirs = pty.openpty()
    _resize(theirs, 40)
    variables = {**environment(), "TERM": "xterm", "NO_COLOR": "1"}
    with (
        served_endpoint() as endpoint,
        subprocess.Popen(
            command("top", "--url", endpoint.url, "--interval", "0.1"),
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        ) as process,
    ):
        for _ in range(3):
            endpoint.wait_for("/status")
        _resize(theirs, 80)
        os.close(theirs)
        for _ in range(3):
            endpoint.wait_for("/status")
        process.send_signal(signal.SIGINT)
        shown = read_terminal(ours)
        assert process.wait(TIMEOUT_S) == 0
    narrow, _, wide = shown.partition("aborts/s")
    assert "records/s" in narrow
    assert endpoint.url in wide.splitlines()[-2]
