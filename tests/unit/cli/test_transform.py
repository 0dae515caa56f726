"""`track-pipeline transform`: every line has its outcome, whatever the file looks like."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.escape import escaped
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record
from pipeline.errors import ExitCode
from tests.hostile import HOSTILE, Hostile
from tests.support import read
from tests.unit.cli.program import TIMEOUT_S, Ran, command, environment, read_terminal, run

GOOD = b'{"event":"A","userId":"u","properties":{"x":19.990000000000000001}}'
BATCH = b'{"batch":[{"event":"B","userId":"u"},{"event":" ","userId":"u"}],"sentAt":1449947461}'


def dead_letters(file: Path) -> list[dict[str, Any]]:
    """Parse the dead letters of a file, in order."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def value_of(dead_letter: dict[str, Any]) -> bytes:
    """The original bytes of a dead letter."""
    if dead_letter["encoding"] == "base64":
        return base64.b64decode(dead_letter["value"], validate=True)
    assert dead_letter["encoding"] == "utf-8"
    return str(dead_letter["value"]).encode()


def counts(ran: Ran) -> dict[str, Any]:
    """The summary of a run with --json, which is all that is on standard error."""
    summary: dict[str, Any] = json.loads(ran.err.splitlines()[0])
    return summary


def test_lines_of_every_kind_are_read(tmp_path: Path) -> None:
    """Blank lines are skipped but counted; CRLF and a last line without an end are lines."""
    source = tmp_path / "events.ndjson"
    source.write_bytes(GOOD + b"\r\n\n \t\r\n" + BATCH + b"\nnope\n" + GOOD)
    ran = run("transform", source, "--json", "--dead-letters", tmp_path / "dead")
    assert ran.code == ExitCode.OK
    assert [read(line)["event"] for line in ran.out.splitlines()] == ["A", "B", "A"]
    assert b"19.990000000000000001" in ran.out
    assert counts(ran) == {
        "lines": 6,
        "blank": 2,
        "events": 5,
        "enriched": 3,
        "identify": 0,
        "dead_letters": 2,
        "dropped": 0,
        "forwarded": 0,
        "reasons": {"event_blank": 1, "invalid_json": 1},
        "complete": True,
    }
    assert [dead_letter["source"] for dead_letter in dead_letters(tmp_path / "dead")] == [
        f"{source}:4:1",
        f"{source}:5",
    ]


def test_other_calls_are_written_to_their_own_file(tmp_path: Path) -> None:
    """Other calls are lines of that file, byte for byte; without it they are only counted."""
    page, env = b'{ "type":"page", "n":1e3 }', {"TRACK_ON_OTHER_TYPE": "forward"}
    lines = page + b"\n" + GOOD + b"\n"
    other = tmp_path / "other"
    ran = run("transform", "--json", "--other", other, stdin=lines, env=env)
    assert (ran.code, other.read_bytes(), len(ran.out.splitlines())) == (0, page + b"\n", 1)
    assert (counts(ran)["events"], counts(ran)["forwarded"]) == (2, 1)
    without = run("transform", stdin=lines, env=env).err
    assert "only counted; --other FILE keeps them" in without


@pytest.mark.parametrize(
    ("name", "env", "sentence"),
    [
        ("-", {"TRACK_ON_OTHER_TYPE": "forward"}, "go to standard output; name a file"),
        ("x", {}, "no call is forwarded; set on_other_type"),
    ],
)
def test_unusable_file_for_other_calls(name: str, env: dict[str, str], sentence: str) -> None:
    """Neither standard output nor a setting that forwards nothing goes with --other."""
    ran = run("transform", "--other", name, stdin=GOOD, env=env)
    assert ran.code == ExitCode.USAGE
    assert sentence in " ".join(ran.err.split())


def test_dead_letter_is_complete(tmp_path: Path) -> None:
    """A dead letter says where, why in full, at which stage, and holds the value as text."""
    dead = tmp_path / "dead"
    run("transform", "-", "--dead-letters", dead, stdin=b'{"event":"","properties":5}\n')
    (dead_letter,) = dead_letters(dead)
    reasons = dead_letter.pop("reasons")
    assert dead_letter == {
        "source": "-:1",
        "reason": "event_blank",
        "stage": "validate",
        "encoding": "utf-8",
        "value": '{"event":"","properties":5}',
    }
    assert [(reason["code"], reason["pointer"]) for reason in reasons] == [
        ("event_blank", "/event"),
        ("no_user_anon_id", ""),
        ("properties_not_object", "/properties"),
    ]
    assert all(reason["detail"] for reason in reasons)


def test_dead_letters_give_their_bytes_back(tmp_path: Path) -> None:
    """What is not UTF-8 is kept as base64, of a batch item the envelope around it."""
    bad = b'{"event":"\xff"}'
    dead = tmp_path / "dead"
    run("transform", "--dead-letters", dead, stdin=GOOD + b"\n" + bad + b"\r\n" + BATCH)
    whole, item = dead_letters(dead)
    assert (whole["encoding"], value_of(whole)) == ("base64", bad)
    assert value_of(item) == b'{"batch":[{"event":" ","userId":"u"}],"sentAt":1449947461}'


def test_identify_messages_follow_their_events(tmp_path: Path) -> None:
    """With a rule in the settings, identify messages follow their events."""
    config = tmp_path / "track.toml"
    config.write_text('[[identify]]\nevent = "Button Clicked"\n')
    event = b'{"event":"Button Clicked","userId":"u","context":{"traits":{"username":"t"}}}\n'
    ran = run("transform", "--config", config, "--json", stdin=event + GOOD)
    assert [read(line)["type"] for line in ran.out.splitlines()] == ["track", "identify", "track"]
    assert (counts(ran)["enriched"], counts(ran)["identify"]) == (2, 1)


def test_received_at_is_the_missing_kafka_timestamp() -> None:
    """`--received-at` replaces the Kafka timestamp that a file does not have."""
    ran = run("transform", "--received-at", "2015-12-12T20:11:01.266+01:00", stdin=GOOD)
    assert read(ran.out)["receivedAt"] == "2015-12-12T19:11:01.266Z"
    assert "receivedAt" not in read(run("transform", stdin=GOOD).out)


@pytest.mark.parametrize("text", ["yesterday", "1969-12-31T23:59:59Z", "0001-01-01T00:00+05:00"])
def test_received_at_must_be_a_time(text: str) -> None:
    """Text that is not a time is rejected before anything is read."""
    ran = run("transform", "--received-at", text, stdin=GOOD)
    assert (ran.code, ran.out) == (ExitCode.USAGE, b"")
    assert f"'{text}' is not a time after 1970" in ran.err


def test_strict_decides_the_exit_code() -> None:
    """Rejected events end with 1 only under --strict; everything is written either way."""
    mixed = b"nope\n" + GOOD
    for arguments, code in (([], ExitCode.OK), (["--strict"], ExitCode.DIFFERENCE)):
        ran = run("transform", *arguments, stdin=mixed)
        assert (ran.code, ran.out.count(b"\n")) == (code, 1)
    assert run("transform", "--strict", stdin=GOOD).code == ExitCode.OK


def test_dropped_events_are_counted() -> None:
    """Events that a setting drops are neither written nor rejected."""
    page = b'{"type":"page","userId":"u"}\n'
    ran = run("transform", "--json", "--strict", stdin=page, env={"TRACK_ON_OTHER_TYPE": "drop"})
    assert (ran.code, ran.out) == (ExitCode.OK, b"")
    assert (counts(ran)["dropped"], counts(ran)["dead_letters"]) == (1, 0)


def test_summary_is_aligned_text() -> None:
    """Without a terminal the summary is plain text with the meaning of each reason."""
    ran = run("transform", stdin=b"nope\n\n" + GOOD)
    assert ran.err == (
        "lines           3  1 blank\n"
        "events          2\n"
        "enriched        1\n"
        "dead letters    1  only counted; --dead-letters FILE keeps them\n"
        "  invalid_json  1  "
        "the value is not one JSON document that can be read exactly\n"
    )


def test_several_inputs_are_read_in_order(tmp_path: Path) -> None:
    """Files and standard input are read in the order given; lines count from 1 in each."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"\n" + name.encode())
    dead = tmp_path / "dead"
    run("transform", tmp_path / "b", "-", tmp_path / "a", "--dead-letters", dead, stdin=b"x")
    assert [
        (dead_letter["source"], dead_letter["value"]) for dead_letter in dead_letters(dead)
    ] == [
        (f"{tmp_path / 'b'}:2", "b"),
        ("-:1", "x"),
        (f"{tmp_path / 'a'}:2", "a"),
    ]


def test_file_name_may_be_any_bytes(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 is read like any other."""
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.ndjson")
    Path(name).write_bytes(GOOD + b"\nnope\n")
    dead = tmp_path / "dead"
    ran = run("transform", name, "--dead-letters", dead)
    assert (ran.code, ran.out.count(b"\n")) == (ExitCode.OK, 1)
    assert dead_letters(dead)[0]["source"] == f"{tmp_path}/\ufffd.ndjson:2"


def test_long_line_arrives_whole(tmp_path: Path) -> None:
    """The dead letter of an event that is too large is that event, to the last byte."""
    line = b'{"event":"A","userId":"u","properties":{"x":"' + b"y" * 5_000_000 + b'"}}'
    dead = tmp_path / "dead"
    ran = run("transform", "--json", "--dead-letters", dead, stdin=line + b"\n" + GOOD)
    assert counts(ran)["reasons"] == {"event_too_large": 1}
    assert (counts(ran)["enriched"], value_of(dead_letters(dead)[0])) == (1, line)


def _fits_a_line(row: Hostile) -> bool:
    value = row.value
    return (
        value is not None
        and bool(value.strip())
        and not {b"\n", b"\r"} & {value[i : i + 1] for i in range(len(value))}
    )


@pytest.mark.parametrize("row", [r for r in HOSTILE if _fits_a_line(r)], ids=lambda r: r.name)
def test_hostile_lines_harm_no_other_line(tmp_path: Path, row: Hostile) -> None:
    """A hostile line has the outcomes of its row, and its neighbours stay unharmed."""
    assert row.value is not None
    source, dead = tmp_path / "events", tmp_path / "dead"
    source.write_bytes(b"\n".join((GOOD, row.value, GOOD)))
    ran = run("transform", source, "--json", "--dead-letters", dead)
    expected = Counter(row.outcomes)
    good = expected.pop("enriched", 0)
    assert ran.code == ExitCode.OK
    assert counts(ran)["enriched"] == good + 2
    assert counts(ran)["reasons"] == expected
    found = dead_letters(dead)
    assert Counter(dead_letter["reason"] for dead_letter in found) == expected
    if len(row.outcomes) == 1 and found:
        assert value_of(found[0]) == row.value


def test_bug_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that our own code fails on becomes a dead letter; the other lines are processed."""
    process = Processor.process

    def failing(self: Processor, record: Record, now: int) -> tuple[Output, ...]:
        if record.offset == 2:
            raise AssertionError
        return process(self, record, now)

    monkeypatch.setattr(Processor, "process", failing)
    dead = tmp_path / "dead"
    ran = run("transform", "--dead-letters", dead, stdin=b"\n".join((GOOD, b"{}", GOOD)))
    assert (ran.code, ran.out.count(b"\n")) == (ExitCode.OK, 2)
    assert ran.err.startswith("-:2: a bug in this program stopped the line (AssertionError)")
    (dead_letter,) = dead_letters(dead)
    assert (dead_letter["reason"], dead_letter["stage"], dead_letter["value"]) == (
        "processing_error",
        "crash",
        "{}",
    )


def test_events_and_summary_are_safe_on_a_terminal(tmp_path: Path) -> None:
    """Whatever would drive the terminal is shown as escaped JSON; the summary fits its width."""
    source = tmp_path / "events"
    hostile = '{"event":"\u202eA\x7f\\u001b[31m","userId":"u"}'
    source.write_text(f"{hostile}\nnope\n", "utf-8")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command("transform", source),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**environment(), "TERM": "xterm", "COLUMNS": "60", "NO_COLOR": "1"},
    ) as process:
        os.close(theirs)
        text = read_terminal(ours)
        assert process.wait(TIMEOUT_S) == ExitCode.OK
    event = next(line for line in text.splitlines() if line.startswith('{"type"'))
    assert json.loads(event)["event"] == "\u202eA\x7f\x1b[31m"
    assert event == escaped(event)
    summary = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()[-2:]
    assert summary == [
        "  invalid_json  1  the value is not one JSON document that",
        "                   can be read exactly",
    ]


def test_progress_is_shown_on_a_terminal(tmp_path: Path) -> None:
    """With events going to a file, the terminal shows how far each input is."""
    source = tmp_path / "events"
    source.write_bytes((GOOD + b"\n") * 100)
    ours, theirs = pty.openpty()
    with (
        (tmp_path / "out").open("wb") as out,
        subprocess.Popen(
            command("transform", source),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=theirs,
            env={**environment(), "TERM": "xterm", "COLUMNS": "200"},
        ) as process,
    ):
        os.close(theirs)
        text = read_terminal(ours)
        assert process.wait(TIMEOUT_S) == ExitCode.OK
    assert str(source) in text
    assert "100 enriched, 0 rejected" in text
    assert (tmp_path / "out").read_bytes().count(b"\n") == 100
