"""Text of events, topics and brokers, wherever people read it.

It can't drive the terminal, forge a line or turn the direction of what follows.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import structlog

from pipeline.cli import demo as demo_command
from pipeline.cli import explain as explain_command
from pipeline.core.record import Record
from pipeline.demo.check import OutcomeCheck
from pipeline.demo.run import DemoResult
from pipeline.errors import ExitCode, RefusedError
from pipeline.ports import CircuitBreakerTrip
from pipeline.settings.model import Settings
from pipeline.worker.observe import LogFormat, LogMeter, configure_logging
from tests.unit.cli.program import run
from tests.unit.core.test_escape import CATEGORIES

HOSTILE: Final = (
    "A\x1b[2J\x1b]0;title\x07 \u202egnp.exe\u2066 \u061c\u200e\u200f\u2028forged\u2029\x9b31m\r"
    "\n2026-01-01 [info ] forged\x00\x85 [red]B[/red] [/]"
)
SHOWN: Final = "A\\u001b[2J\\u001b]0;title\\u0007 \\u202egnp.exe\\u2066"


def _is_safe(text: str) -> bool:
    unsafe = {character for character in text if unicodedata.category(character) in CATEGORIES}
    return unsafe <= {"\n"}


@pytest.fixture
def logged(
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Callable[[LogFormat], Callable[[], str]]]:
    """Configures logging as the program does; gives what reads the lines. Undone in the end."""
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def configure(log_format: LogFormat) -> Callable[[], str]:
        configure_logging(log_format, "info")
        return lambda: capsys.readouterr().err

    yield configure
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


def _log_everything() -> int:
    """Everything that a worker may log with text of others in it; the number of lines."""
    meter = LogMeter(30)
    record = Record(b"", None, (), 1, HOSTILE, 0, 1)
    meter.isolated(record, HOSTILE)
    meter.bisecting(2, HOSTILE)
    meter.recovering("hard reset", RefusedError(HOSTILE), 1)
    meter.crashed(record, ValueError(HOSTILE))
    meter.tripped(CircuitBreakerTrip(HOSTILE, HOSTILE, 1, 2, 0.1, {HOSTILE: 1}))
    log = structlog.stdlib.get_logger("pipeline.worker")
    log.warning(HOSTILE)
    log.info("nested", settings={HOSTILE: [HOSTILE, (HOSTILE,)]}, number=1, nothing=None)
    logging.getLogger("of.a.library").warning("not ours: %s", HOSTILE)
    return 8


def test_json_lines_are_safe(logged: Callable[[LogFormat], Callable[[], str]]) -> None:
    """Each line is one JSON object, and the texts in it are safe for whoever extracts them."""
    read = logged("json")
    count = _log_everything()
    lines = read().splitlines()
    assert len(lines) == count
    for line in lines:
        assert line.isascii()
        for text in _texts(json.loads(line)):
            assert _is_safe(text)
    assert sum(SHOWN in json.dumps(json.loads(line)).replace("\\\\", "\\") for line in lines) == 8


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(key)
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_log_lines_are_coloured_only_on_terminals(
    logged: Callable[[LogFormat], Callable[[], str]],
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    *,
    coloured: bool,
) -> None:
    """Where standard error is no terminal, lines have colours only if they are forced."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    read = logged("console")
    _log_everything()
    assert ("\x1b[" in read()) is coloured


def test_sentences_are_safe_and_begin_with_their_time(
    logged: Callable[[LogFormat], Callable[[], str]],
) -> None:
    """Each line begins with its time, so none can be forged, and is safe to look at."""
    read = logged("console")
    count = _log_everything()
    text = read()
    assert _is_safe(text)
    assert len(text.split("\n")) == len(text.splitlines()) + 1 == count + 1
    assert all(re.match(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d ", each) for each in text.splitlines())
    assert "gnp.exe" in text


def _failing(error: Exception) -> Callable[..., None]:
    def callback(**_arguments: object) -> None:
        raise error

    return callback


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_are_safe(
    logged: Callable[[LogFormat], Callable[[], str]], log_format: LogFormat
) -> None:
    """A traceback that a library logs is safe to look at as well."""
    read = logged(log_format)
    try:
        _failing(ValueError(HOSTILE))()
    except ValueError:
        logging.getLogger("of.a.library").exception("failed")
    text = read()
    assert _is_safe(text)
    assert "Traceback" in text
    assert "gnp.exe" in text


@pytest.mark.parametrize(
    "error", [RefusedError(HOSTILE), OSError(2, HOSTILE, HOSTILE), KeyError(HOSTILE)]
)
def test_failures_are_safe(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The sentence, and the traceback, have no more lines than they should, each one safe."""
    monkeypatch.setattr(explain_command.explain, "callback", _failing(error))
    ran = run("explain")
    assert _is_safe(ran.err)
    assert all(line.startswith("track-pipeline: ") for line in ran.err.splitlines())
    assert "gnp.exe" in ran.err
    assert _is_safe(run("--traceback", "explain").err)


def test_explanations_are_safe() -> None:
    """Event, pointers and the file's name are all shown, and none of them acts."""
    event = {"event": HOSTILE, "userId": 5, HOSTILE: {HOSTILE: [HOSTILE]}, "timestamp": HOSTILE}
    for arguments in ([], ["--json"]):
        out = run("explain", *arguments, stdin=json.dumps(event).encode()).out.decode()
        assert _is_safe(out)
        assert SHOWN in out


def test_names_of_files_are_safe(tmp_path: Path) -> None:
    """A file's name is text like any other: in headlines, errors and summaries."""
    source = tmp_path / HOSTILE.replace("\x00", "").replace("/", "")
    dead_letters = f"{source}.dead"
    source.write_bytes(b'{"event":""}')
    for ran in (
        run("explain", source),
        run("explain", f"{source}.missing"),
        run("transform", source, "--dead-letters", dead_letters),
        run("transform", f"{source}.missing"),
        run("transform", source, "--dead-letters", source),
    ):
        assert _is_safe(ran.err)
        assert "gnp.exe" in ran.err + ran.out.decode()
    headline = run("explain", source).out.decode().splitlines()[0]
    assert headline.endswith(":1: dead letter")


def test_messages_of_brokers_are_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a broker reports while `check` waits for it is shown safely."""

    def told(_settings: Settings, warn: Callable[[str], None]) -> dict[str, Any]:
        warn(HOSTILE)
        return {}

    monkeypatch.setattr("pipeline.cli.check.checked_topics", told)
    ran = run("check", "--bootstrap-servers", "a:1")
    assert ran.code == ExitCode.OK
    assert _is_safe(ran.err)
    assert SHOWN in ran.err


def test_demo_is_safe(capsys: pytest.CaptureFixture[str]) -> None:
    """The demo's table of dead letters takes neither control characters nor markup."""
    details = json.dumps([{"pointer": f"/{HOSTILE}", "detail": HOSTILE}])
    findings = OutcomeCheck(
        1, 0, Counter({"event_blank": 1}), {"event_blank": (HOSTILE, details)}, 0, 0
    )
    demo_command._print_result(DemoResult(findings, []))  # noqa: SLF001  it needs a broker else
    out = capsys.readouterr().out
    assert _is_safe(out)
    assert SHOWN in out
    assert "[red]B[/red] [/]" in out


def test_summary_of_transform_quotes_no_event() -> None:
    """The summary quotes no text of events at all."""
    ran = run("transform", stdin=json.dumps({"event": HOSTILE, "batch": 1}).encode())
    assert _is_safe(ran.err)
    assert "gnp.exe" not in ran.err
