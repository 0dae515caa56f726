"""`track-pipeline explain`: what each rule did, before and after, safe to look at."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.options import offline_processor
from pipeline.core.encode import encode_json
from pipeline.core.escape import escaped
from pipeline.core.record import NO_PARTITION, Record
from pipeline.errors import ExitCode
from pipeline.files.explain import explain
from pipeline.settings.model import Settings
from tests.hostile import HOSTILE, Hostile
from tests.support import read
from tests.unit.cli.program import TIMEOUT_S, command, environment, read_terminal, run

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(file.stem for file in GOLDEN.glob("*.json"))
UNSAFE = '{"event":"\u202eA\x7f[bold]","userId":" \u2066u ","properties":{"x":"\\u001b[31m"}}'


def effects(event: str, *arguments: str, **env: str) -> dict[str, dict[str, Any]]:
    """What was done to an event by `code pointer`, numbers as they were written."""
    ran = run("explain", "--json", *arguments, stdin=event.encode(), env=env)
    (only,) = read(ran.out)["events"]
    return {f"{effect['code']} {effect['pointer']}": effect for effect in only["effects"]}


@pytest.mark.parametrize("case", CASES)
def test_examples_are_explained_as_expected(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain text of each example is as expected; exit 1 exactly when an event is rejected."""
    monkeypatch.chdir(GOLDEN)
    ran = run("explain", f"{case}.json")
    expected = (GOLDEN / f"{case}.txt").read_text("utf-8")
    assert ran.out.decode() == expected
    refused = re.search(": dead letter$", expected, re.MULTILINE)
    assert ran.code == (ExitCode.DIFFERENCE if refused else ExitCode.OK)


def test_golden_files_belong_together() -> None:
    """Each example has its expected text, and each text its example."""
    assert CASES
    assert sorted(file.stem for file in GOLDEN.glob("*.txt")) == CASES


@pytest.mark.parametrize("case", CASES)
def test_json_has_the_same_content_as_the_text(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The document for machines names the same events and rules as the text for people."""
    monkeypatch.chdir(GOLDEN)
    ran = run("explain", "--json", f"{case}.json")
    lines = []
    for event in json.loads(ran.out)["events"]:
        lines.append(f"{event['source']}: {event['outcome'].replace('_', ' ')}")
        lines += [
            f"- {effect['kind']}: {effect['code']} {effect['pointer']}".rstrip()
            for effect in event["effects"]
        ]
    expected = (GOLDEN / f"{case}.txt").read_text("utf-8").splitlines()
    assert lines == [line for line in expected if line.startswith(("- ", f"{case}.json:"))]


def test_values_keep_their_digits() -> None:
    """Before and after are exact, also where a float would have rounded them."""
    found = effects('{"event":"A","userId":12345678901234567890,"properties":{"revenue":"1.10"}}')
    revenue = found["number_from_string /properties/revenue"]
    assert (revenue["before"], revenue["after"]) == ("1.10", "1.10")
    user = found["id_stringified /userId"]
    assert (user["before"], user["after"]) == ("12345678901234567890", "12345678901234567890")


def test_time_from_received_at_is_named() -> None:
    """A time from --received-at is distinguished from a default."""
    event = '{"event":"A","userId":"u","timestamp":"2015-12-12T19:11:01Z"}'
    given = effects(event, "--received-at", "2015-12-12T20:00:00Z")["default /receivedAt"]
    assert given["after"] == "2015-12-12T20:00:00.000Z"
    assert "--received-at" in given["meaning"]
    assert "sender's time is used" in effects(event)["default /receivedAt"]["meaning"]


def test_unparsable_time_is_reported_once() -> None:
    """A time that was left out is one effect, not a second one as a change."""
    found = effects('{"event":"A","userId":"u","messageId":"m","timestamp":"never"}')
    assert [name for name in found if name.endswith("/timestamp")] == [
        "timestamp_unparsable /timestamp"
    ]


def test_time_in_place_of_an_unparsable_one_is_a_change_of_its_own() -> None:
    """What was left out and what is there instead are told apart."""
    times = '"timestamp":"never","receivedAt":"2015-12-12T19:11:01Z"'
    found = effects('{"event":"A","userId":"u","messageId":"m",' + times + "}")
    left_out = found["timestamp_unparsable /timestamp"]
    assert (left_out["before"], "after" in left_out) == ("never", False)
    instead = found["timestamp_received /timestamp"]
    assert (instead["after"], "before" in instead) == ("2015-12-12T19:11:01.000Z", False)


def test_time_of_the_far_past_says_why_it_is_not_corrected() -> None:
    """With all times of a correction, the age of the event is the reason for none."""
    times = '"timestamp":"1970-01-01T00:00:00Z","sentAt":1449947461,"receivedAt":1449947462'
    found = effects('{"event":"A","userId":"u","messageId":"m",' + times + "}")
    assert "never set" in found["timestamp_original /timestamp"]["meaning"]


def test_halves_of_surrogate_pairs_are_explained() -> None:
    """The text is shown as it is now; a forwarded call with a half is printed as it was sent."""
    track = run("explain", stdin=b'{"event":"A","userId":"u","properties":{"title":"x \\ud83d"}}')
    lines = track.out.decode().splitlines()
    after = lines[lines.index("- warned: lone_surrogate_replaced /properties/title") + 2]
    assert after == '    "x \N{REPLACEMENT CHARACTER}"'
    page = b'{"type":"page","userId":"u","title":"x \\ud83d"}'
    forwarded = run("explain", stdin=page, env={"TRACK_ON_OTHER_TYPE": "forward"})
    assert (forwarded.code, forwarded.out.splitlines()[-1]) == (ExitCode.OK, page)


def test_names_with_slashes_and_tildes_are_found() -> None:
    """A member whose name has a slash or a tilde is found at its escaped pointer."""
    found = effects('{"event":"A","userId":"u","a/b":null,"~2":1,"a":{"b":1}}')
    assert not [name for name in found if "/a" in name or "~" in name]
    batch = b'{"batch":[{"event":"A","userId":"u","~2":1}],"context":{"x":1}}'
    assert run("explain", stdin=batch).code == ExitCode.OK


def test_write_key_is_not_shown() -> None:
    """A credential is not printed among the changes."""
    context = '"context":{"a":1,"query_parameters":{"writeKey":"hunter2","b":2}}'
    found = effects('{"event":"A","userId":"u","write_key":"hunter2",' + context + "}")
    assert "hunter2" not in json.dumps(found)
    removed = {name for name in found if name.startswith("removed ")}
    assert removed == {"removed /write_key", "removed /context/query_parameters/writeKey"}


def test_settings_decide_what_is_explained() -> None:
    """An event under other rules is explained by what those rules did."""
    event = '{"event":"A","userId":"u","properties":{"revenue":"1,00"}}'
    assert effects(event)["revenue_invalid /properties/revenue"]["kind"] == "rejected"
    warned = effects(event, TRACK_RULES__REVENUE_INVALID="warn")
    kept = warned["revenue_invalid /properties/revenue"]
    assert (kept["kind"], kept["before"], kept["after"]) == ("warned", "1,00", "1,00")


def test_dropped_events_are_explained() -> None:
    """A dropped event is named with its place in the batch; it counts as not enriched."""
    batch = (
        b'{"batch":[{"type":"page","userId":"u"},{"event":"A","userId":"u"},{"action":"alias"}]}'
    )
    ran = run("explain", "--json", stdin=batch, env={"TRACK_ON_OTHER_TYPE": "drop"})
    events = json.loads(ran.out)["events"]
    assert ran.code == ExitCode.DIFFERENCE
    assert [(event["source"], event["outcome"], len(event["records"])) for event in events] == [
        ("-:1:0", "dropped", 0),
        ("-:1:1", "enriched", 1),
        ("-:1:2", "dropped", 0),
    ]
    assert events[2]["effects"][0]["pointer"] == "/action"


def test_forwarded_calls_are_explained() -> None:
    """A forwarded call is shown as it is, with the field that says what it is; all is well."""
    page = b'{"type":"","action":"Page", "n":1e3}'
    env = {"TRACK_ON_OTHER_TYPE": "forward"}
    ran = run("explain", "--json", stdin=page, env=env)
    (event,) = json.loads(ran.out)["events"]
    assert (ran.code, event["outcome"]) == (ExitCode.OK, "other")
    (effect,) = event["effects"]
    assert (effect["code"], effect["pointer"], effect["kind"]) == ("forwarded", "/action", "kept")
    text = run("explain", stdin=page, env=env).out.decode()
    assert text.startswith("-:1: forwarded\n")
    assert "forwarded call:" in text


def test_identify_message_is_shown() -> None:
    """A record that a rule makes in addition to the event follows it."""
    event = b'{"event":"A","userId":"u","context":{"traits":{"t":1}}}'
    ran = run("explain", "--json", stdin=event, env={"TRACK_IDENTIFY": '[{"event":"*"}]'})
    (explained,) = json.loads(ran.out)["events"]
    assert [record["role"] for record in explained["records"]] == ["enriched", "identify"]


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_nothing_drives_the_terminal(arguments: list[str]) -> None:
    """Control characters and direction marks are shown as escapes, in every view."""
    out = run("explain", *arguments, stdin=UNSAFE.encode()).out.decode()
    assert out == escaped(out)
    assert "\\u202eA\\u007f[bold]" in out


def test_explanation_on_a_terminal_has_the_same_words() -> None:
    """The words are the same in colour, folded to the width; nothing in an event drives it."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command("explain"),
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**environment(), "TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"},
    ) as process:
        os.close(theirs)
        assert process.stdin is not None
        process.stdin.write(UNSAFE.encode())
        process.stdin.close()
        text = read_terminal(ours).replace("\r\n", "\n")
        assert process.wait(TIMEOUT_S) == ExitCode.OK
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)  # bold and dim
    assert plain == escaped(plain)
    assert "\\u202eA\\u007f[bold]" in plain
    for rule in ("warned: message_id_generated", "changed: trimmed"):
        assert f"- {rule}" in plain  # not by colour alone
    meanings = [line for line in plain.splitlines() if line.startswith("    ")]
    assert meanings
    assert {len(line) for line in meanings} <= set(range(81))


def test_one_event_per_line_gets_a_hint() -> None:
    """A user who gives a file of many events is pointed to the command for it."""
    ran = run("explain", stdin=b'{"event":"A","userId":"u"}\n{"event":"B","userId":"u"}\n')
    assert ran.code == ExitCode.DIFFERENCE
    assert "track-pipeline transform" in ran.err
    assert "hint" not in run("explain", stdin=b'{"event":\n"A"').err


def test_unusable_input_is_one_sentence(tmp_path: Path) -> None:
    """A missing file and binary data are one sentence each."""
    missing = tmp_path / "no"
    ran = run("explain", missing)
    assert (ran.code, ran.err) == (
        ExitCode.USAGE,
        f"track-pipeline: {missing}: can't be read: No such file or directory\n",
    )
    ran = run("explain", stdin=b"\x7fELF\0")
    assert (ran.code, ran.err) == (
        ExitCode.USAGE,
        "track-pipeline: standard input: is a program; expected JSON text\n",
    )


def test_records_of_a_topic_are_explained() -> None:
    """The events of a Kafka record are found by its coordinates, dropped ones by their turn."""
    batch = b'{"batch":[{"type":"page"},{"event":"A","userId":5},{"event":"","userId":"u"}]}'
    record = Record(batch, None, (), 1_449_947_461_266, "raw", 3, 42)
    settings = Settings(on_other_type="drop")
    dropped, enriched, refused = explain(offline_processor(settings), record, 1)
    assert [one.source for one in (dropped, enriched, refused)] == [
        "raw/3/42/0",
        "raw/3/42/1",
        "raw/3/42/2",
    ]
    stringified = next(e for e in enriched.effects if e.code == "id_stringified")
    assert (stringified.before, stringified.after) == (5, "5")
    assert refused.effects[-1].before == ""


@pytest.mark.parametrize("row", HOSTILE, ids=lambda row: row.name)
def test_hostile_events_are_explained(row: Hostile) -> None:
    """Whatever a record holds, each of its events is explained, and nothing raises."""
    record = Record(row.value, None, (), None, "f", NO_PARTITION, 1)
    explained = explain(offline_processor(Settings()), record, 1)
    outcomes = [
        next(e.code for e in one.effects if e.kind == "rejected")
        if one.outcome == "dead_letter"
        else one.outcome
        for one in explained
    ]
    assert tuple(outcomes) == row.outcomes
    for one in explained:
        assert read(encode_json(one.to_dict()))["source"] == one.source
