"""What a redrive refuses, and dead letters that are not of the live worker, on a real broker."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.process import Processor
from pipeline.core.record import Record, Role
from pipeline.errors import ExitCode
from pipeline.topics import CreateOptions, ledger_spec
from tests.brokers import RECENT, Sent, Stored, create_topics, produce, read_topic, set_topic_config
from tests.kafka.worker_process import Pipeline, terminate
from tests.unit.cli.program import Ran

pytestmark = pytest.mark.kafka

LENIENT = {"TRACK_RULES__REVENUE_INVALID": "warn"}
"""A rule that was relaxed after the dead letters were written."""
BAD = b'{"event":"Order","userId":"u","properties":{"revenue":"x"}}'
GOOD = BAD.replace(b'"x"', b"7.5")


@pytest.fixture
def with_ledger(pipeline: Pipeline) -> Pipeline:
    """Topics and a ledger, all empty; no worker has ever run."""
    pipeline.admin.create([ledger_spec(pipeline.names, CreateOptions(1, 1, None, 30.0), None)])
    return pipeline


def _write_dead_letter(pipeline: Pipeline, replay: str = "") -> None:
    """A dead letter as a worker, or a replay, writes it."""
    processor = Processor(ContractSettings(), Identity(app="test", group="g", replay=replay))
    record = Record(BAD, b"k", [], RECENT, pipeline.names.raw, 2, 5)
    (dead_letter,) = processor.process(record, RECENT)
    assert dead_letter.role is Role.DEAD_LETTER
    sent = Sent(dead_letter.value, dead_letter.key, list(dead_letter.headers), RECENT, 2)
    produce(pipeline.servers, pipeline.names.dead_letter, [sent])


def _redrive(pipeline: Pipeline, *flags: str, env: Mapping[str, str] = LENIENT) -> Ran:
    return pipeline.run("dlq", "redrive", "--json", *flags, env=env)


def _plan(ran: Ran) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(ran.out.splitlines()[0])
    return plan


def _enriched(pipeline: Pipeline, suffix: str = "") -> list[Stored]:
    return read_topic(pipeline.servers, pipeline.names.enriched + suffix)


def test_without_a_ledger(pipeline: Pipeline) -> None:
    """Reading works without the ledger; writing says how to create it."""
    assert pipeline.run("dlq", "list").code == 0
    ran = pipeline.run("dlq", "redrive")
    assert ran.code == ExitCode.KAFKA
    said = shlex.split(ran.err.partition("create it with: track-pipeline ")[2])
    assert pipeline.run(*said).code == 0
    assert pipeline.run("dlq", "redrive").code == 0


def test_output_topics_have_no_dead_letters(with_ledger: Pipeline) -> None:
    """Dead letters are not sent to where they are read from."""
    ran = with_ledger.run("dlq", "redrive", "--topic", with_ledger.names.enriched)
    assert ran.code == ExitCode.USAGE
    assert f"{with_ledger.names.enriched} is the live topic of enriched events" in ran.err


@pytest.mark.parametrize("setting", ["retention.ms", "retention.bytes"])
def test_ledger_that_forgets(with_ledger: Pipeline, setting: str) -> None:
    """Nothing is sent while the ledger may forget it before the dead letter is gone."""
    _write_dead_letter(with_ledger)
    ledger = f"{with_ledger.names.dead_letter}.ledger"
    set_topic_config(with_ledger.servers, ledger, setting, "1000")
    ran = _redrive(with_ledger, "--execute")
    assert ran.code == ExitCode.KAFKA
    assert f"{ledger}: {setting} is 1000" in ran.err
    assert _enriched(with_ledger) == []


def test_raw_without_a_worker(with_ledger: Pipeline) -> None:
    """Nothing goes to the raw topic while it is not known whether origins are trusted there."""
    _write_dead_letter(with_ledger)
    ran = _redrive(with_ledger, "--to", "raw", "--execute", "--force")
    assert ran.code == ExitCode.USAGE
    assert "name the worker's group with --group" in ran.err
    assert read_topic(with_ledger.servers, with_ledger.names.raw) == []
    assert "its rules are not known" in _plan(_redrive(with_ledger))["note"]


def test_dead_letters_of_a_replay(with_ledger: Pipeline) -> None:
    """A replay's dead letters go to its own output, when they are requested and when it exists."""
    _write_dead_letter(with_ledger, replay="r1")
    plan = _plan(_redrive(with_ledger))
    assert plan["not_sent"] == {"of replay r1, which --replay names": 1}
    flags = ("--replay", "r1", "--execute")
    ran = _redrive(with_ledger, *flags)
    assert ran.code == ExitCode.KAFKA
    assert f"topics do not exist: {with_ledger.names.enriched}.replay.r1" in ran.err
    ran = _redrive(with_ledger, *flags, "--to", "raw")
    assert ran.code == ExitCode.USAGE
    output = f"{with_ledger.names.enriched}.replay.r1"
    create_topics(with_ledger.servers, output, partitions=3)
    assert _redrive(with_ledger, *flags).code == 0
    assert _enriched(with_ledger) == []
    (event,) = _enriched(with_ledger, ".replay.r1")
    headers = dict(event.headers)
    assert headers[TrackHeader.REPLAY] == b"r1"
    assert headers[TrackHeader.SOURCE] == f"{with_ledger.names.raw}/2/5".encode()


def test_reinserted_dead_letter_of_a_replay(with_ledger: Pipeline) -> None:
    """A dead letter of a replay that fails again is still one of the replay."""
    _write_dead_letter(with_ledger, replay="r1")
    create_topics(with_ledger.servers, f"{with_ledger.names.enriched}.replay.r1", partitions=3)
    flags = ("--replay", "r1", "--reinsert-failing", "--execute")
    assert _redrive(with_ledger, *flags, env={}).code == ExitCode.DIFFERENCE
    dead_letters = read_topic(with_ledger.servers, with_ledger.names.dead_letter)
    said = [dict(each.headers) for each in dead_letters]
    assert [each[DlqHeader.REPLAY] for each in said] == [b"r1", b"r1"]
    assert [each[DlqHeader.ATTEMPT] for each in said] == [b"1", b"2"]


def test_reinserted_ones_count(with_ledger: Pipeline) -> None:
    """`--max` limits also what would be reinserted."""
    for _ in range(2):
        _write_dead_letter(with_ledger)
    ran = _redrive(with_ledger, "--reinsert-failing", "--max", "1", "--execute", env={})
    assert ran.code == ExitCode.USAGE
    assert "say --max 2" in ran.err


def test_second_dead_letter_of_an_event(with_ledger: Pipeline) -> None:
    """One of two dead letters of an event is sent, whether in one run or in two."""
    for _ in range(2):
        _write_dead_letter(with_ledger)
    reprocessor = "already sent by another dead letter of the event"
    ran = _redrive(with_ledger, "--execute")
    assert (ran.code, _plan(ran)["not_sent"]) == (ExitCode.DIFFERENCE, {reprocessor: 1})
    assert _plan(_redrive(with_ledger))["not_sent"] == {reprocessor: 1}
    assert len(_enriched(with_ledger)) == 1


def test_import_of_a_dead_letter_without_an_event(with_ledger: Pipeline, tmp_path: Path) -> None:
    """A line that is twice in a file is sent once, also when its dead letter names no raw event."""
    produce(with_ledger.servers, with_ledger.names.dead_letter, [Sent(GOOD, b"k", (), RECENT, 0)])
    path = tmp_path / "export.ndjson"
    path.write_bytes(with_ledger.run("dlq", "export", "--reveal").out * 2)
    ran = with_ledger.run("dlq", "import", path, "--json", "--execute")
    assert _plan(ran)["send"] == 1
    assert len(_enriched(with_ledger)) == 1
    assert _plan(with_ledger.run("dlq", "import", path, "--json", "--limit", "1"))["not_sent"] == {
        "already redriven": 1
    }
    ran = with_ledger.run("dlq", "import", path, "--json", "--offsets", "1:0-9")
    assert _plan(ran)["not_sent"] == {}


def test_audit_after_a_redrive(with_ledger: Pipeline) -> None:
    """The audit finds every event once behind a redrive, and its revenue in the right place."""
    produce(with_ledger.servers, with_ledger.names.raw, [Sent(BAD, b"k"), Sent(GOOD, b"k")])
    worker = with_ledger.start()
    with_ledger.wait_until_done()
    assert terminate(worker) == 0
    assert _redrive(with_ledger, "--execute", "--set", "/properties/revenue=7", env={}).code == 0
    ran = with_ledger.run("audit", "--json", "--revenue")
    assert ran.code == 0, ran.out
    revenue = json.loads(ran.out)["revenue"]
    (total,) = revenue["totals"]
    assert (total["delivered"], total["redriven"], total["repaired"]) == ("7.50", "7.00", "7.00")
    assert (revenue["unreadable"]["blocked"], revenue["unreadable"]["replaced"]) == (0, 1)
    assert len(_enriched(with_ledger)) == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("event['properties']['revenue'] = float('nan')", "/properties/revenue is nan"),
        ("__import__('sys').exit(0)", "failed: SystemExit: 0, line 2"),
        ("__import__('os')._exit(0)", "ended its process (exit code 0)"),
    ],
)
def test_repair_that_fails(with_ledger: Pipeline, tmp_path: Path, body: str, said: str) -> None:
    """Nothing is sent and nothing counts as done: not without its revenue, and not in silence."""
    _write_dead_letter(with_ledger)
    path = tmp_path / "fix.py"
    path.write_text(f"def transform(event, dead_letter):\n    {body}\n    return event\n")
    ran = _redrive(with_ledger, "--transform", str(path), "--execute", env={})
    plan = _plan(ran)
    assert (ran.code, plan["send"], plan["not_sent"]) == (1, 0, {"repair failed": 1})
    assert said in plan["errors"][0]
    assert _enriched(with_ledger) == []
    assert b"Order" in with_ledger.run("dlq", "list").out


def test_history_of_nothing(pipeline: Pipeline) -> None:
    """Without a ledger there is no history, and the command says so."""
    ran = pipeline.run("dlq", "history", "--since", "1h")
    assert (ran.code, ran.out) == (0, b"")
    assert f"nothing was done with dead letters of {pipeline.names.dead_letter} from" in ran.err


def test_history_of_a_window(with_ledger: Pipeline) -> None:
    """Only runs that began in the window are listed."""
    _write_dead_letter(with_ledger)
    discard = ("dlq", "discard", "--everything", "--because", "x", "--execute")
    assert with_ledger.run(*discard).code == 0
    # A committed transaction is readable once its marker is written, which may be a moment later.
    with_ledger.wait_for(
        lambda: bool(with_ledger.run("dlq", "history", "--since", "1h").out), "the ledger's entry"
    )
    assert not with_ledger.run("dlq", "history", "--until", "1h").out


def test_discard_shows_its_plan(with_ledger: Pipeline) -> None:
    """What would be discarded is counted by reason, with its revenue; nothing is written."""
    _write_dead_letter(with_ledger)
    ran = with_ledger.run(
        "dlq", "discard", "--reason", "revenue_invalid", "--because", "x", "--json"
    )
    plan = json.loads(ran.out)
    assert (plan["discard"], plan["reasons"]) == (1, {"revenue_invalid": 1})
    assert plan["revenue"]["unreadable"] == 1
    assert read_topic(with_ledger.servers, f"{with_ledger.names.dead_letter}.ledger") == []
