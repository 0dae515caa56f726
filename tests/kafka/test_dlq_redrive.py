"""Redrives on a real broker: once each, killed at any moment, raced, beside a running worker."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.core.headers import TrackHeader
from pipeline.core.record import Role
from pipeline.errors import ExitCode
from pipeline.identity import whoami
from tests.brokers import RECENT, Sent, Stored, produce, read_topic, set_topic_config
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate
from tests.unit.cli.program import Ran

pytestmark = pytest.mark.kafka

LENIENT: Final = {"TRACK_RULES__REVENUE_INVALID": "warn"}
"""A rule that was relaxed after the dead letters were written."""
MANY: Final = 1500


def _bad(number: int) -> Sent:
    event = {"event": "Order", "userId": f"u{number}", "properties": {"revenue": "x"}}
    value = json.dumps(event, separators=(",", ":")).encode()
    return Sent(
        value, b"k%d" % number, (("own", b"1"), ("traceparent", b"0")), RECENT + number, number % 3
    )


@pytest.fixture
def refused(pipeline: Pipeline) -> Pipeline:
    """Three dead letters, one in each partition, and a ledger."""
    return _refused(pipeline, range(3))


def _refused(pipeline: Pipeline, numbers: Iterable[int]) -> Pipeline:
    produce(pipeline.servers, pipeline.names.raw, map(_bad, numbers))
    worker = pipeline.start()
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert pipeline.run("topics", "create", "--ledger").code == 0
    return pipeline


def _redrive(pipeline: Pipeline, *flags: str, act: bool = True) -> Ran:
    executing = ("--execute",) if act else ()
    return pipeline.run("dlq", "redrive", "--json", *executing, *flags, env=LENIENT)


def _documents(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]


def _sources(records: Iterable[Stored]) -> Counter[bytes | None]:
    return Counter(dict(each.headers).get(TrackHeader.SOURCE) for each in records)


def _enriched(pipeline: Pipeline) -> list[Stored]:
    return read_topic(pipeline.servers, pipeline.names.enriched)


def test_as_the_worker_would_have(refused: Pipeline) -> None:
    """The outputs are those of a worker with these rules, plus headers that lead back."""
    plan = _redrive(refused, "--force", act=False)
    assert plan.code == 0
    (document,) = _documents(plan)
    assert document["send"] == 3
    assert _enriched(refused) == []
    assert _redrive(refused, "--force").code == 0
    found = _enriched(refused)
    expected = refused.expected({"rules": {"revenue_invalid": "warn"}})
    assert refused.found()[Role.ENRICHED] == expected[Role.ENRICHED]
    for each in found:
        headers = dict(each.headers)
        assert headers["own"] == b"1"
        assert "traceparent" not in headers
        assert (headers[TrackHeader.REDRIVE] or b"").startswith(b"redrive-")
        assert (
            headers[TrackHeader.REDRIVE_DEAD_LETTER]
            == f"{refused.names.dead_letter}/{each.partition}/0".encode()
        )
        assert each.timestamp == RECENT + each.partition


def test_nothing_is_sent_twice(refused: Pipeline) -> None:
    """A second redrive sends nothing; resolved dead letters are left out, and shown by --all."""
    assert _redrive(refused, "--force").code == 0
    (plan, *rest) = _documents(_redrive(refused, "--force"))
    assert (plan["send"], rest) == (0, [])
    assert set(_sources(_enriched(refused)).values()) == {1}
    assert "left out: 3 redriven" in refused.run("dlq", "list").err
    assert len(refused.run("dlq", "list", "--all", "--json").out.splitlines()) == 3
    (run,) = _documents(refused.run("dlq", "history", "--json"))
    assert (run["action"], run["dead_letters"], run["target"]) == (
        "redriven",
        3,
        refused.names.enriched,
    )


def test_other_rules_than_the_live_ones(refused: Pipeline) -> None:
    """A fix must be deployed before its dead letters are redriven."""
    ran = _redrive(refused)
    assert ran.code == ExitCode.USAGE
    assert "deploy the same version and settings first" in ran.err
    assert "Given here: rules.revenue_invalid (TRACK_RULES__REVENUE_INVALID)" in ran.err
    assert _enriched(refused) == []


def test_settings_that_are_forgotten(pipeline: Pipeline) -> None:
    """The usual cause of other rules is named: the worker's --config was not given."""
    produce(pipeline.servers, pipeline.names.raw, [_bad(1)])
    worker = pipeline.start(default_currency="EUR")
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert pipeline.run("topics", "create", "--ledger").code == 0
    ran = pipeline.run("dlq", "redrive")
    assert ran.code == ExitCode.USAGE
    assert "No setting of the rules is given here: is --config missing?" in ran.err


def test_dead_letters_that_fail_again(refused: Pipeline) -> None:
    """Events that fail again are counted and stay, or are reinserted with one more attempt."""
    ran = refused.run("dlq", "redrive", "--json", "--execute", "--reinsert-failing")
    assert ran.code == ExitCode.DIFFERENCE
    plan, done = _documents(ran)
    assert plan["not_sent"] == {"still fails: revenue_invalid": 3}
    assert done["done"] == 3
    reprocessor = _documents(refused.run("dlq", "list", "--json"))
    assert [each["attempt"] for each in reprocessor] == [2, 2, 2]
    limited = refused.run("dlq", "redrive", "--json", "--max-attempts", "2")
    assert _documents(limited)[0]["not_sent"] == {"failed 2 times or more": 3}


def test_reinserted_as_it_was(refused: Pipeline) -> None:
    """A repair that did not help leaves no trace in the new dead letter."""
    before = _documents(refused.run("dlq", "list", "--json", "--reveal"))
    flags = ("--reinsert-failing", "--set", "/properties/revenue=worse")
    assert refused.run("dlq", "redrive", "--execute", *flags).code == ExitCode.DIFFERENCE
    after = _documents(refused.run("dlq", "list", "--json", "--reveal"))
    assert [each["value"] for each in after] == [each["value"] for each in before]
    assert [each["attempt"] for each in after] == [2, 2, 2]


def test_discarded_dead_letters_are_left_out(refused: Pipeline) -> None:
    """Discarded dead letters are left out, and never sent."""
    discard = ("dlq", "discard", "--everything", "--because", "test data")
    assert refused.run(*discard).code == 0
    assert len(refused.run("dlq", "list", "--json").out.splitlines()) == 3
    assert refused.run(*discard, "--execute").code == 0
    assert "left out: 3 discarded" in refused.run("dlq", "list").err
    (plan,) = _documents(_redrive(refused, "--force", "--all"))
    assert plan["not_sent"] == {"already discarded": 3}
    assert _enriched(refused) == []
    assert "test data" in refused.run("dlq", "history").out.decode()


@pytest.mark.parametrize("command", ["discard", "restore"])
def test_marking_without_a_filter(refused: Pipeline, command: str) -> None:
    """A filter that was forgotten, or that selects too many, marks none."""
    marking = ("dlq", command, "--because", "x", "--execute")
    ran = refused.run(*marking)
    assert ran.code == ExitCode.USAGE
    assert "by a filter such as --reason" in ran.err
    assert refused.run(*marking, "--limit", "9").code == ExitCode.USAGE
    discard = ("dlq", "discard", "--because", "x", "--execute", "--everything")
    if command == "restore":
        assert refused.run(*discard).code == 0
    before = refused.run("dlq", "list", "--json").out
    ran = refused.run(*marking, "--everything", "--max", "2")
    assert ran.code == ExitCode.USAGE
    assert (
        f"3 dead letters would be {command.removesuffix('e')}ed, more than 2: say --max 3"
        in ran.err
    )
    assert refused.run("dlq", "list", "--json").out == before


def test_restore_undoes_a_discard(refused: Pipeline) -> None:
    """A restore undoes a discard only; the history has both, and the events can be sent."""
    assert _redrive(refused, "--force", "--offsets", "0:0-0").code == 0
    discard = ("dlq", "discard", "--everything", "--because", "by mistake", "--execute")
    assert refused.run(*discard).code == 0
    plan = refused.run("dlq", "restore", "--everything", "--json")
    assert _documents(plan)[0]["restore"] == 2
    assert len(refused.run("dlq", "list", "--json").out.splitlines()) == 0
    ran = refused.run("dlq", "restore", "--everything", "--execute", "--because", "still good")
    assert (ran.code, "2 dead letters done" in ran.out.decode()) == (0, True)
    assert len(refused.run("dlq", "list", "--json").out.splitlines()) == 2
    runs = _documents(refused.run("dlq", "history", "--json"))
    assert [(run["action"], run["dead_letters"], run["because"]) for run in runs] == [
        ("redriven", 1, None),
        ("discarded", 2, "by mistake"),
        ("restored", 2, "still good"),
    ]
    assert _documents(_redrive(refused, "--force", "--all"))[-1]["done"] == 2
    assert len(_enriched(refused)) == 3
    assert "No dead letters" in refused.run("dlq", "restore", "--everything", "--execute").err


def test_restore_of_one_discard(refused: Pipeline) -> None:
    """The named one of several discards is undone."""
    ids = []
    for partition in (0, 1):
        flags = ("--offsets", f"{partition}:0-0", "--because", "x", "--execute", "--json")
        ids.append(_documents(refused.run("dlq", "discard", *flags))[0]["id"])
    ran = refused.run("dlq", "restore", "--id", ids[1], "--execute", "--json")
    assert _documents(ran)[-1]["done"] == 1
    pending = _documents(refused.run("dlq", "list", "--json"))
    assert sorted(each["position"] for each in pending) == ["1/0", "2/0"]
    ran = refused.run("dlq", "restore", "--id", "discard-none")
    assert ran.code == ExitCode.USAGE
    assert "lists no discard discard-none" in ran.err


def test_more_than_the_maximum(refused: Pipeline) -> None:
    """More dead letters than --max are not sent."""
    ran = _redrive(refused, "--force", "--max", "2")
    assert ran.code == ExitCode.USAGE
    assert "say --max 3" in ran.err
    assert _enriched(refused) == []


def test_refused_by_the_broker(refused: Pipeline) -> None:
    """One that its topic does not accept is counted, and the others are sent."""
    names = refused.names
    noise = random.Random(1).randbytes(4000).hex()  # noqa: S311  what does not compress well
    big = {"event": "Order", "userId": "big", "properties": {"revenue": "x", "a": noise}}
    produce(refused.servers, names.raw, [Sent(json.dumps(big).encode(), b"k", (), RECENT, 0)])
    worker = refused.start()
    refused.wait_until_done()
    assert terminate(worker) == 0
    set_topic_config(refused.servers, names.enriched, "max.message.bytes", "3000")
    ran = _redrive(refused, "--force")
    assert ran.code == ExitCode.DIFFERENCE
    done = _documents(ran)[-1]
    assert (done["done"], sum(done["refused"].values())) == (3, 1)
    assert len(_enriched(refused)) == 3


def test_through_the_raw_topic(refused: Pipeline) -> None:
    """Raw records are sent only to a worker that trusts origin headers, which enriches them."""
    ran = _redrive(refused, "--force", "--to", "raw")
    assert ran.code == ExitCode.USAGE
    assert "accept_origin_headers" in ran.err
    lenient = {"accept_origin_headers": "true", "rules__revenue_invalid": "warn"}
    worker = refused.start(**lenient)
    produce(refused.servers, refused.names.raw, [_bad(9)])
    refused.wait_until_done()
    env = {**LENIENT, "TRACK_ACCEPT_ORIGIN_HEADERS": "true"}
    ran = refused.run("dlq", "redrive", "--execute", "--to", "raw", env=env)
    assert ran.code == 0, ran.err
    refused.wait_for(lambda: len(_enriched(refused)) >= 4, "enriching what was sent")
    assert terminate(worker) == 0
    raw = refused.names.raw
    expected = {f"{raw}/{partition}/0".encode() for partition in range(3)}
    assert {*_sources(_enriched(refused))} == {*expected, f"{raw}/0/1".encode()}


def test_export_and_import(refused: Pipeline, tmp_path: Path) -> None:
    """An edited export is sent once; a masked one, or one of another topic, is rejected."""
    masked = refused.run("dlq", "export")
    path = tmp_path / "export.ndjson"
    path.write_bytes(masked.out)
    ran = refused.run("dlq", "import", path)
    assert ran.code == ExitCode.USAGE
    assert "export with --reveal" in ran.err
    revealed = refused.run("dlq", "export", "--reveal").out
    path.write_bytes(revealed.replace(b'"revenue":"x"', b'"revenue":7.50'))
    for sent in (3, 0):
        ran = refused.run("dlq", "import", path, "--json", "--execute")
        assert _documents(ran)[0]["send"] == sent
    found = _enriched(refused)
    assert [b'"revenue":7.50' in (each.value or b"") for each in found] == [True] * 3
    (run,) = _documents(refused.run("dlq", "history", "--json"))
    assert run["repair"].startswith("import export.ndjson sha256:")
    path.write_bytes(path.read_bytes().replace(b'"topic_id":"', b'"topic_id":"other'))
    assert "is of another topic" in refused.run("dlq", "import", path).err


def test_import_from_a_pipe(refused: Pipeline) -> None:
    """What a pipe gives is read for the plan, and can still be sent."""
    edited = refused.run("dlq", "export", "--reveal").out.replace(b'"x"', b"7.50")
    read, write = os.pipe()
    with os.fdopen(write, "wb") as end:
        end.write(edited)
    ran = refused.run("dlq", "import", f"/dev/fd/{read}", "--json", "--execute")
    os.close(read)
    plan, done = _documents(ran)
    assert (ran.code, plan["send"], done["done"]) == (0, 3, 3)
    assert len(_enriched(refused)) == 3


def _start(pipeline: Pipeline, *flags: str) -> subprocess.Popen[bytes]:
    return pipeline.start_command(
        "dlq", "redrive", "--execute", "--force", "--json", *flags, env=LENIENT
    )


def _exactly_once(pipeline: Pipeline) -> None:
    raw = pipeline.names.raw
    expected = {f"{raw}/{n % 3}/{n // 3}".encode() for n in range(MANY)}
    assert _sources(_enriched(pipeline)) == Counter(dict.fromkeys(expected, 1))


def _committed(pipeline: Pipeline) -> int:
    """Number of events that can be read now: a redrive may be done before its transaction ends."""
    return len(read_topic(pipeline.servers, pipeline.names.enriched, to_open=True))


def test_killed_again_and_again(pipeline: Pipeline) -> None:
    """Killed at random moments and started again, a redrive sends every event once."""
    _refused(pipeline, range(MANY))
    dice = random.Random(5)  # noqa: S311  no secret
    killed = 0
    for _ in range(6):
        reader = _start(pipeline, "--rate", "600")
        goal = _committed(pipeline) + 1
        deadline = time.monotonic() + PATIENCE_S
        while reader.poll() is None and _committed(pipeline) < goal:
            assert time.monotonic() < deadline
        with suppress(subprocess.TimeoutExpired):
            reader.wait(dice.uniform(0, 0.3))
        killed += reader.poll() is None
        reader.kill()
        reader.wait()
    assert killed, "it was always done before it could be killed"
    assert _redrive(pipeline, "--force").code == 0
    _exactly_once(pipeline)
    runs = _documents(pipeline.run("dlq", "history", "--json"))
    assert sum(run["dead_letters"] for run in runs) == MANY


def test_interrupted_redrive_can_be_continued(pipeline: Pipeline) -> None:
    """Ctrl-C ends it after a transaction and reports the result; the same command continues."""
    _refused(pipeline, range(MANY))
    # So slow that it is not done before the signal comes, however busy the machine is.
    reader = _start(pipeline, "--rate", "25")
    pipeline.wait_for(lambda: bool(_enriched(pipeline)), "the first transaction")
    reader.send_signal(signal.SIGINT)
    assert reader.wait(PATIENCE_S) == ExitCode.INTERRUPTED
    done = json.loads(pipeline.text("command-1").splitlines()[-1])
    assert done["stopped"]
    assert 0 < done["done"] == len(_enriched(pipeline)) < MANY
    assert _redrive(pipeline, "--force").code == 0
    _exactly_once(pipeline)


def test_two_redrives_at_once(pipeline: Pipeline) -> None:
    """The older one stops and names who has taken over; every event is there once."""
    _refused(pipeline, range(MANY))
    # So slow that it is not done before the newer one is there, however busy the machine is.
    older = _start(pipeline, "--rate", "25")
    pipeline.wait_for(lambda: bool(_enriched(pipeline)), "the first transaction")
    newer = _start(pipeline)
    assert older.wait(PATIENCE_S) == ExitCode.FENCED
    assert newer.wait(PATIENCE_S) == 0
    _exactly_once(pipeline)
    topic = pipeline.names.dead_letter
    assert f"another dlq command has taken over topic {topic}: {whoami()} since" in pipeline.text(
        "command-1"
    )


def test_beside_a_worker(pipeline: Pipeline) -> None:
    """While a worker with the new rules runs, old and new events are there once."""
    old = range(MANY // 2)
    _refused(pipeline, old)
    worker = pipeline.start(rules__revenue_invalid="warn")
    produce(pipeline.servers, pipeline.names.raw, map(_bad, range(MANY // 2, MANY // 2 + 3)))
    pipeline.wait_until_done()
    reader = pipeline.start_command("dlq", "redrive", "--execute", "--rate", "400", env=LENIENT)
    for first in range(MANY // 2 + 3, MANY, 250):
        numbers = range(first, min(first + 250, MANY))
        produce(pipeline.servers, pipeline.names.raw, map(_bad, numbers))
    pipeline.wait_until_done()
    assert reader.wait(PATIENCE_S) == 0
    assert terminate(worker) == 0
    _exactly_once(pipeline)
