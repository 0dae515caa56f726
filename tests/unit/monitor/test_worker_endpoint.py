"""What a worker's endpoint says, in words, and as an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, Literal

import pytest

from pipeline.demo.local_kafka.ports import free_port
from pipeline.errors import ExitCode
from pipeline.metrics.server import JSON, Response, serving, text
from tests.unit.cli.program import run
from tests.unit.cli.terminal import as_terminal

WORKER: Final[dict[str, Any]] = {
    "worker": None,
    "instance": "w1",
    "pid": 12,
    "state": "running",
    "reasons": [],
    "partitions": 3,
    "lag_records": 5,
    "lag_seconds": 2.5,
    "last_commit_at": "2026-11-26T17:20:01Z",
    "committed_records": 1234,
}
STATUS: Final[dict[str, Any]] = {
    "version": "0.1.0",
    "contract": "1;0123456789ab",
    "started_at": "2026-11-26T17:00:00Z",
    "live": True,
    "ready": True,
    "summary": "ready; 5 records behind, the oldest waits for 2.5 s",
    "lag_records": 5,
    "lag_seconds": 2.5,
    "workers": [WORKER],
    "breaker": None,
}


@contextmanager
def _endpoint(body: bytes) -> Iterator[str]:
    routes = {
        "/status": lambda _: Response(HTTPStatus.OK, JSON, body),
        "/": lambda _: text(HTTPStatus.OK, "ok"),
    }
    with serving("127.0.0.1", 0, routes) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _worker(**changed: Any) -> Iterator[str]:
    with _endpoint(json.dumps({**STATUS, **changed}).encode()) as url:
        yield url


def test_workers_are_a_table_in_a_pipe() -> None:
    """One line for each worker, with its endpoint."""
    with _worker() as one, _worker(workers=[WORKER, WORKER]) as two:
        ran = run("status", "--url", one, "--url", two + "/status")
    lines = [line.split("\t") for line in ran.out.decode().splitlines()]
    assert ran.code == ExitCode.OK
    assert [line[0] for line in lines] == ["url", one, two, two]
    assert lines[1][1:] == ["", "w1", "12", "running", "3", "5", "2.5", "1234", lines[1][-1]]


def test_terminal_gets_words_within_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The summary comes first."""
    from pipeline.cli.status_view import print_reports  # noqa: PLC0415
    from pipeline.monitor import StatusLimits, ask_worker  # noqa: PLC0415

    with _worker() as url:
        terminal = as_terminal(monkeypatch, 80)
        print_reports({url: ask_worker(url)}, StatusLimits())
    lines = terminal.lines()
    assert lines[0] == f"{url}: ready; 5 records behind, the oldest waits for 2.5 s"
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("needs", "says"), [("ready", "not ready, see below"), ("live", "no broker answers")]
)
def test_terminal_gets_each_reason_once(
    monkeypatch: pytest.MonkeyPatch, needs: Literal["ready", "live"], says: str
) -> None:
    """The error of the check has it; where the check does not fail, the report does."""
    from pipeline.cli.status_view import print_reports  # noqa: PLC0415
    from pipeline.monitor import StatusLimits, ask_worker  # noqa: PLC0415

    with _worker(ready=False, summary="no broker answers") as url:
        terminal = as_terminal(monkeypatch, 80)
        print_reports({url: ask_worker(url)}, StatusLimits(needs=needs))
    assert terminal.lines()[0] == f"{url}: {says}"


def test_health_can_not_be_required_of_the_cluster() -> None:
    """Kafka does not know it, and a check that can never fail would be worse than none."""
    ran = run("status", "--require", "live")
    assert ran.code == ExitCode.USAGE
    assert "--require needs --url" in ran.err


def test_json_has_what_the_endpoint_says() -> None:
    """One document for each endpoint."""
    with _worker() as url:
        ran = run("status", "--url", url, "--json")
    assert json.loads(ran.out) == {"url": url, **STATUS}


@pytest.mark.parametrize(
    ("changed", "flags", "sentence"),
    [
        ({"ready": False, "summary": "it is starting"}, (), "not ready: it is starting"),
        ({"live": False, "ready": False, "summary": "it hangs"}, (), "not live: it hangs"),
        ({}, ("--fail-above-lag", "4"), "5 records wait; the limit is 4"),
        ({}, ("--fail-above-seconds", "2"), "the oldest record waits for 2.5 s; the limit is 2 s"),
        ({"lag_records": None}, ("--fail-above-lag", "4"), "the lag is not known"),
    ],
)
def test_unwell_worker_is_exit_code_1_with_the_reason(
    changed: dict[str, Any], flags: tuple[str, ...], sentence: str
) -> None:
    """A script decides by the code, a person by the sentence."""
    with _worker(**changed) as url:
        ran = run("status", "--url", url, *flags)
    assert (ran.code, ran.err) == (ExitCode.DIFFERENCE, f"track-pipeline: {url}: {sentence}\n")


def test_line_of_a_foreign_endpoint_can_not_be_forged() -> None:
    """What another program says stays on one line, without escape sequences."""
    with _worker(ready=False, summary="fine\nw-1: ready\x1b[2J") as url:
        ran = run("status", "--url", url)
    assert "\nw-1: ready" not in ran.err
    assert "\x1b" not in ran.err + ran.out.decode()


def test_worker_that_waits_is_live() -> None:
    """A container is replaced when that helps: not because the brokers are away."""
    with _worker(ready=False, summary="no Kafka broker answers") as url:
        assert run("status", "--url", url, "--require", "live").code == ExitCode.OK
    with _worker(ready=False, live=False, summary="it hangs") as url:
        assert run("status", "--url", url, "--require", "live").code == ExitCode.DIFFERENCE


def test_worker_that_can_not_be_reached_is_exit_code_5() -> None:
    """The others are shown all the same."""
    nobody = f"http://127.0.0.1:{free_port()}"
    with _worker() as url:
        ran = run("status", "--url", nobody, "--url", url)
    assert ran.code == ExitCode.KAFKA
    assert f"track-pipeline: {nobody}: nothing listens there: is the worker running" in ran.err
    assert url in ran.out.decode()


@pytest.mark.parametrize("body", [b"<html>", b'{"status": "ok"}', b""])
def test_something_else_is_one_sentence(body: bytes) -> None:
    """A URL that is not a worker's ends with exit code 5, not with a traceback."""
    with _endpoint(body) as url:
        ran = run("status", "--url", url)
    assert ran.code == ExitCode.KAFKA
    assert f"{url}: what answers there is no endpoint of track-pipeline" in ran.err


def test_text_that_is_no_url_is_wrong_usage() -> None:
    """A file can't be read this way."""
    ran = run("status", "--url", "file:///etc/passwd")
    assert ran.code == ExitCode.USAGE
    assert "is not the address of an endpoint" in ran.err


def test_status_without_a_broker_or_a_url_is_wrong_usage() -> None:
    """The sentence names the option."""
    ran = run("status")
    assert ran.code == ExitCode.USAGE
    assert "--bootstrap-servers" in ran.err
