"""Commands that read dead letters, on a real broker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from pipeline.core.record import Record
from pipeline.dlq.export import read_dead_letters
from pipeline.errors import ExitCode
from pipeline.files.lines import open_input
from tests.brokers import RECENT, Sent, produce, read_topic
from tests.kafka.worker_process import Pipeline, terminate
from tests.unit.cli.program import Ran

pytestmark = pytest.mark.kafka

EVENTS = (
    {"event": "Order", "userId": "u1", "properties": {"revenue": "1.234,56"}},
    {"event": "Order", "userId": "u2", "properties": {"revenue": 5, "currency": "euro"}},
    {"event": "Order", "userId": "ann@example.com", "properties": {"revenue": "x"}},
    {"event": "Seen", "userId": "u3"},
    {"event": "Seen", "context": {"traits": {"name": "Ann"}, "ip": "10.0.0.1"}},
)


@pytest.fixture(scope="module")
def refused(module_pipeline: Pipeline) -> Pipeline:
    """Four dead letters of three reasons, and one good event."""
    raw = module_pipeline.names.raw
    values = [json.dumps(each, separators=(",", ":")).encode() for each in EVENTS]
    produce(module_pipeline.servers, raw, [Sent(v, b"k", (), RECENT, 0) for v in values])
    worker = module_pipeline.start()
    module_pipeline.wait_until_done()
    assert terminate(worker) == 0
    return module_pipeline


def _dlq(pipeline: Pipeline, *arguments: str | Path) -> Ran:
    return pipeline.run("dlq", *arguments)


def _documents(ran: Ran) -> list[dict[str, Any]]:
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def test_list_has_a_header_in_a_pipe(refused: Pipeline) -> None:
    """Dead letters are listed in order; a pipe gets a header and tabs."""
    found = _documents(_dlq(refused, "list", "--json"))
    assert [each["reason"] for each in found] == [
        "revenue_invalid",
        "currency_invalid",
        "revenue_invalid",
        "no_user_anon_id",
    ]
    assert [each["source"] for each in found] == [
        f"{refused.names.raw}/0/{offset}" for offset in (0, 1, 2, 4)
    ]
    header, *rows = _dlq(refused, "list").out.decode().splitlines()
    assert header.split("\t") == ["position", "failed at", "reason", "event", "source", "detail"]
    assert [row.split("\t")[2] for row in rows] == [each["reason"] for each in found]


@pytest.mark.parametrize(
    ("filters", "offsets"),
    [
        (("--reason", "revenue_invalid"), [0, 2]),
        (("--reason", "revenue_invalid", "--reason", "no_user_anon_id"), [0, 2, 3]),
        (("--event", "Seen"), [3]),
        (("--pointer", "/properties/currency"), [1]),
        (("--detail-regex", "ISO [0-9]+"), [1]),
        (("--user", "u2"), [1]),
        (("--source", "{raw}/0/4"), [3]),
        (("--source", "other"), []),
        (("--stage", "validate", "--limit", "2"), [0, 1]),
        (("--attempt", "2"), []),
        (("--since", "1h"), [0, 1, 2, 3]),
        (("--until", "1h"), []),
        (("--offsets", "0:1-2"), [1, 2]),
        (("--offsets", "1:-"), []),
        (("--source-until", "2000-01-01"), []),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_filters_select_dead_letters(
    refused: Pipeline, filters: tuple[str, ...], offsets: list[int]
) -> None:
    """Each filter selects the dead letters that it should."""
    given = [each.format(raw=refused.names.raw) for each in filters]
    ran = _dlq(refused, "list", "--json", *given)
    assert [each["position"] for each in _documents(ran)] == [f"0/{offset}" for offset in offsets]
    assert ("No dead letters" in ran.err) == (not offsets)


def test_check_tries_the_current_rules(refused: Pipeline) -> None:
    """Nothing passes under the same rules; with other rules, or repaired, some do."""
    ran = _dlq(refused, "check", "--json")
    assert ran.code == ExitCode.DIFFERENCE
    report = json.loads(ran.out)
    assert (report["dead_letters"], report["passing"], report["failing"]) == (4, 0, 4)
    fixed = _dlq(
        refused, "check", "--reason", "currency_invalid", "--set", "/properties/currency=EUR"
    )
    assert fixed.code == 0
    assert '+    "currency": "EUR"' in fixed.out.decode()
    assert "1 of 1 dead letters would pass now" in fixed.out.decode()


def test_check_with_a_file(refused: Pipeline, tmp_path: Path) -> None:
    """A transform that fails on one dead letter is reported, and the others are tried."""
    path = tmp_path / "fix.py"
    path.write_text(
        "def transform(event, _):\n    event['properties']['revenue'] = 7\n    return event\n"
    )
    report = json.loads(_dlq(refused, "check", "--json", "--transform", path).out)
    fates = {each["now"]: each["dead_letters"] for each in report["outcomes"]}
    assert fates == {"passes": 2, "same reason": 1, "repair failed": 1}
    failed = _dlq(refused, "check", "--transform", path)
    assert "0/3: fix.py" in failed.out.decode()
    assert "KeyError: 'properties'" in failed.out.decode()


def test_show_marks_violations(refused: Pipeline) -> None:
    """The location of a violation is marked, and personal data is hidden until revealed."""
    shown = _dlq(refused, "show", "0/2").out.decode()
    assert "◄ revenue_invalid" in shown
    assert "ann@example.com" not in shown
    assert "same reason: revenue_invalid" in shown
    assert "ann@example.com" in _dlq(refused, "show", "0/2", "--reveal").out.decode()
    traits = _dlq(refused, "show", f"{refused.names.raw}/0/4").out.decode()
    assert "Ann" not in traits
    assert "10.0.0.1" not in traits


def test_show_writes_raw_bytes(refused: Pipeline) -> None:
    """The rejected bytes are written, and nothing else."""
    expected = json.dumps(EVENTS[1], separators=(",", ":")).encode()
    assert _dlq(refused, "show", "0/1", "--raw").out == expected


def test_show_the_newest(refused: Pipeline) -> None:
    """Without a name the newest dead letter is shown, and with -n so many."""
    (newest,) = _documents(_dlq(refused, "show", "--json"))
    assert newest["position"] == "0/3"
    several = _documents(_dlq(refused, "show", "--json", "-n", "3"))
    assert [each["position"] for each in several] == ["0/1", "0/2", "0/3"]
    assert _dlq(refused, "show", "0/99").code == ExitCode.DIFFERENCE


def test_export_can_be_read_back(refused: Pipeline, tmp_path: Path) -> None:
    """Exported dead letters come back as they are in the topic; no file is overwritten."""
    path = tmp_path / "export.ndjson"
    ran = _dlq(refused, "export", "--reveal", "--output", path)
    assert (ran.code, ran.out) == (0, b"")
    assert "4 dead letters written" in ran.err
    with open_input(str(path)) as source:
        exported = list(read_dead_letters(source.input))
    stored = read_topic(refused.servers, refused.names.dead_letter)
    assert [each.dead_letter.record for each in exported] == [
        Record(each.value, each.key, each.headers, each.timestamp, refused.names.dead_letter, 0, n)
        for n, each in enumerate(stored)
    ]
    reprocessor = _dlq(refused, "export", "--output", path)
    assert reprocessor.code == ExitCode.USAGE
    assert "export.ndjson: exists already" in reprocessor.err
    reprocessor = _dlq(refused, "export", "--reveal", "--output", path, "--overwrite")
    assert (reprocessor.code, reprocessor.out) == (0, b"")
    assert _dlq(refused, "export", "--reveal", "--output", "-").out == path.read_bytes()


def test_export_is_masked(refused: Pipeline) -> None:
    """Personal data is masked unless --reveal is given, and the export says so."""
    ran = _dlq(refused, "export")
    assert b"example.com" not in ran.out
    assert b"Ann" not in ran.out
    assert all(document["masked"] for document in _documents(ran))
    assert "masked" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("list", "--topic", "none"), ExitCode.KAFKA, "topic none does not exist"),
        (("list", "--since", "soon"), ExitCode.USAGE, "is not a valid time"),
        (("list", "--since", "1h", "--until", "2h"), ExitCode.USAGE, "--since must be earlier"),
        (("list", "--source", "a/b"), ExitCode.USAGE, "are numbers"),
        (("list", "--detail-regex", "("), ExitCode.USAGE, "not a regular expression"),
        (("list", "--offsets", "1"), ExitCode.USAGE, "PARTITION:FIRST-LAST"),
        (
            ("redrive", "--offsets", "0:5-2"),
            ExitCode.USAGE,
            "the first offset is behind the last one",
        ),
        (("list", "--offsets", "0:1-2", "--offsets", "0:5-6"), ExitCode.USAGE, "named once only"),
        (("list", "--offsets", "9:0-"), ExitCode.USAGE, "but no 9"),
        (("show", "9/9"), ExitCode.USAGE, "track-pipeline: {dead_letter} has the"),
        (
            ("show", "0/99999"),
            ExitCode.DIFFERENCE,
            "there is no dead letter 0/99999; partition 0 ends at ",
        ),
        (("check", "--transform", "none.py"), ExitCode.USAGE, "none.py: No such file"),
        (("check", "--set", "currency=EUR"), ExitCode.USAGE, "not a JSON Pointer"),
        (("show", "a/b/c"), ExitCode.USAGE, "are numbers"),
        (("show", "abc"), ExitCode.USAGE, "give its PARTITION/OFFSET, such as 0/27"),
        (("list", "--topic", "{raw}"), ExitCode.USAGE, "is the raw topic: dead letters are in"),
        (("summary", "--topic", "{enriched}"), ExitCode.USAGE, "read without --topic"),
        (("show", "--raw", "-n", "2"), ExitCode.USAGE, "--raw writes one dead letter"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_use_is_one_sentence(
    refused: Pipeline, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """Wrong use is one sentence and its exit code."""
    names = refused.names._asdict()
    ran = _dlq(refused, *(each.format(**names) for each in arguments))
    assert ran.code == code
    assert said.format(**names) in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("filters", "suggestion"),
    [
        (("--reason", "revenue_invald"), "did you mean revenue_invalid?"),
        (("--stage", "validat"), "did you mean validate?"),
        (("--stage", "VALUE_CONVERTER"), "valid: decode, split"),
        (("--reason", "DataException"), ""),
    ],
)
def test_misspelled_filters_get_a_suggestion(
    refused: Pipeline, filters: tuple[str, ...], suggestion: str
) -> None:
    """A filter that matches nothing says so, and names what was probably intended."""
    ran = _dlq(refused, "summary", *filters)
    assert (ran.code, ran.out) == (0, b"")
    topic = refused.names.dead_letter
    assert f"No dead letters match these filters (4 in {topic}).\n" in ran.err
    assert suggestion in ran.err
    assert ("track-pipeline" in ran.err) == bool(suggestion)


def test_open_transactions_are_not_waited_for(refused: Pipeline) -> None:
    """A writer that died within a transaction blocks nobody: what is committed is shown."""
    writer = Producer({"bootstrap.servers": refused.servers, "transactional.id": "died"})
    writer.init_transactions(30)
    writer.begin_transaction()
    writer.produce(refused.names.dead_letter, b"x", partition=0)
    assert writer.flush(30) == 0
    ran = refused.run("dlq", "list", "--json", env={"TRACK_TRANSACTION_TIMEOUT_MS": "1000"})
    assert len(_documents(ran)) == 4
    writer.abort_transaction(30)
