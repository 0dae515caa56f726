"""`dlq summary` and `dlq why` on a real broker."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from pipeline.errors import ExitCode
from tests.brokers import RECENT, Sent, produce
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate
from tests.unit.cli.program import Ran

pytestmark = pytest.mark.kafka

BAD, GOOD = 60, 90
"""Dead letters and good events."""


def _event(number: int, library: str, **properties: Any) -> dict[str, Any]:
    return {
        "event": "Order Completed",
        "userId": f"u{number}",
        "context": {"library": {"name": library, "version": "4.2.0"}},
        "properties": properties,
    }


def _events() -> list[dict[str, Any]]:
    """Good ones of several libraries; all bad amounts come from one of them."""
    libraries = ("analytics-ios", "analytics.js", "analytics-python", "analytics-android")
    baseline = [_event(n, libraries[n % 4], revenue=n, currency="EUR") for n in range(GOOD)]
    bad = [_event(n, "analytics-android", revenue=f"{n},00") for n in range(BAD - 2)]
    broken = [
        {"event": "Seen", "context": {"traits": {"plan": "gold"}, "ip": "10.0.0.1"}},
        {"event": "ann@example.com", "properties": {"revenue": "12.50"}},
    ]
    return [*baseline, *bad, *broken]


@pytest.fixture(scope="module")
def refused(module_pipeline: Pipeline) -> Pipeline:
    """58 dead letters of one reason and 2 of another one, and good events of the same time."""
    raw = module_pipeline.names.raw
    values = [json.dumps(each).encode() for each in _events()]
    sent = [Sent(value, b"k", (), RECENT + n, n % 3) for n, value in enumerate(values)]
    produce(module_pipeline.servers, raw, sent)
    worker = module_pipeline.start()
    module_pipeline.wait_until_done()
    assert terminate(worker) == 0
    return module_pipeline


def _dlq(pipeline: Pipeline, *arguments: str | Path) -> Ran:
    return pipeline.run("dlq", *arguments)


def _document(ran: Ran) -> dict[str, Any]:
    assert ran.code == 0, ran.err
    document: dict[str, Any] = json.loads(ran.out)
    return document


def _run_again(pipeline: Pipeline, command: str) -> Ran:
    program, *words = shlex.split(command)
    assert program == "track-pipeline"
    return pipeline.run(*words)


def test_summary_as_json_document(refused: Pipeline) -> None:
    """Reasons have count, times, detail patterns and an example; blocked revenue is added up."""
    found = _document(_dlq(refused, "summary", "--json"))
    first, second = found["groups"]
    assert (found["dead_letters"], first["dead_letters"], second["dead_letters"]) == (
        BAD,
        BAD - 2,
        2,
    )
    assert first["key"] == {"reason": "revenue_invalid"}
    assert found["first_failed_at"] <= first["first_failed_at"] <= first["last_failed_at"]
    assert sum(first["over_time"]) == BAD - 2
    assert [kind["dead_letters"] for kind in first["details"]] == [BAD - 2]
    assert found["revenue"] == {
        "blocked": {"USD": "12.50"},
        "unreadable": BAD - 2,
        "dead_letters": BAD - 1,
    }
    sample = json.loads(_dlq(refused, "show", first["sample"], "--json").out)
    assert sample["reason"] == "revenue_invalid"


def test_summary_as_text(refused: Pipeline) -> None:
    """The table has each group and its share, and ends with a command that can be run."""
    lines = _dlq(refused, "summary").out.decode().splitlines()
    assert lines[0].startswith(f"{BAD} dead letters in {refused.names.dead_letter}, rejected 20")
    assert lines[2].split()[:3] == ["58", "97", "%"]
    assert "blocked revenue: 12.50 USD and 58 amounts without a usable value or currency" in lines
    word, _, command = lines[-1].partition(": ")
    assert word == "next"
    assert "--reason revenue_invalid" in command
    assert b"58 dead letters" in _run_again(refused, command).out


def test_summary_by_combinations(refused: Pipeline) -> None:
    """Several dimensions group by combination; personal data is masked until revealed."""
    by = ("--by", "library", "--by", "/context/traits/plan", "--by", "event")
    found = _document(_dlq(refused, "summary", "--json", *by))
    keys = {tuple(group["key"].values()): group["dead_letters"] for group in found["groups"]}
    assert keys == {
        ("analytics-android/4.2.0", "(absent)", "Order Completed"): BAD - 2,
        (None, "***", "Seen"): 1,
        (None, "(absent)", "***"): 1,
    }
    revealed = _dlq(refused, "summary", "--reveal", *by).out.decode()
    assert '"gold"' in revealed
    assert "ann@example.com" in revealed


@pytest.mark.parametrize("by", ["event", "library", "stage", "source", "pointer", "hour"])
def test_next_command_selects_the_largest_group(refused: Pipeline, by: str) -> None:
    """The command at the end of a summary selects the dead letters of its largest group."""
    found = _document(_dlq(refused, "summary", "--json", "--by", by))
    why = _document(_run_again(refused, f"{found['next']} --json"))
    assert why["dead_letters"] == max(group["dead_letters"] for group in found["groups"])


def test_top_hides_small_groups(refused: Pipeline) -> None:
    """The number of groups that are not shown is printed."""
    out = _dlq(refused, "summary", "--by", "/userId", "--top", "3").out.decode()
    assert "… and 56 more groups of 56 dead letters (--top)" in out


def test_summary_without_dead_letters(refused: Pipeline) -> None:
    """An empty selection is reported, and is no failure."""
    ran = _dlq(refused, "summary", "--event", "none")
    assert (ran.code, ran.out) == (0, b"")
    assert "No dead letters" in ran.err
    assert _document(_dlq(refused, "summary", "--json", "--event", "none"))["groups"] == []


def test_why_finds_the_library(refused: Pipeline) -> None:
    """The library that all bad amounts come from is found, and that the amounts are text."""
    found = _document(_dlq(refused, "why", "--reason", "revenue_invalid", "--json"))
    assert (found["compared_with"], found["good_events"]) == ("same time", GOOD)
    findings = {(each["about"], each["value"]): each for each in found["findings"]}
    library = findings["library version", "analytics-android 4.2.0"]
    assert (library["dead_letters"], library["good_events"]) == (BAD - 2, 22)
    assert findings["type", "/properties/revenue is text"]["good_share"] == 0
    assert findings["member", "/properties/currency"]["lacks"] is True
    assert ("event", "Order Completed") not in findings


def test_why_beside_an_open_transaction(refused: Pipeline) -> None:
    """Stable events are compared, without waiting for the transaction of another program."""
    other = Producer(
        {
            "bootstrap.servers": refused.servers,
            "transactional.id": refused.names.enriched,
            "transaction.timeout.ms": 600_000,
            "log_level": 0,
        }
    )
    other.init_transactions(PATIENCE_S)
    other.begin_transaction()
    for partition in range(3):
        other.produce(refused.names.enriched, b"{}", partition=partition)
    other.flush(PATIENCE_S)
    try:
        found = _document(_dlq(refused, "why", "--json"))
        assert (found["good_events"], found["compared_with"]) == (GOOD, "same time")
    finally:
        other.abort_transaction(PATIENCE_S)


def test_why_as_text(refused: Pipeline) -> None:
    """A sentence names the largest difference, above a table and commands that can be run."""
    out = _dlq(refused, "why", "--reason", "revenue_invalid").out.decode()
    assert "against 0 % of good events; first seen" in out
    assert "analytics-android 4.2.0" in out
    commands = [line.partition(": ")[2] for line in out.splitlines()[-2:]]
    assert b"revenue_invalid" in _run_again(refused, commands[0]).out
    assert _run_again(refused, commands[1]).code == ExitCode.DIFFERENCE


def test_why_among_events_of_one_library(refused: Pipeline) -> None:
    """With a filter on the library, the good events are of the same library."""
    found = _document(_dlq(refused, "why", "--library", "analytics-android", "--json"))
    assert (found["compared_with_alike_only"], found["good_events"]) == (True, 22)
    assert all(each["about"] != "library" for each in found["findings"])


def test_why_without_good_events(refused: Pipeline) -> None:
    """Without good events the report says so, and shows what dead letters have in common."""
    ran = _dlq(refused, "why", "--enriched-topic", "none-of-this-name")
    assert ran.code == 0
    assert "none-of-this-name does not exist" in ran.err
    assert "could be read to compare with" in ran.out.decode()
    assert "analytics-android 4.2.0" in ran.out.decode()
    nobody = _dlq(refused, "why", "--event", "none")
    assert (nobody.code, nobody.out) == (0, b"")


def test_resolved_dead_letters_are_left_out(refused: Pipeline) -> None:
    """What was discarded is not counted, and its number is printed; --all includes it."""
    assert refused.run("topics", "create", "--ledger").code == 0
    done = _dlq(refused, "discard", "--event", "Seen", "--because", "test", "--execute")
    assert done.code == 0, done.err
    found = _document(_dlq(refused, "summary", "--json"))
    assert (found["dead_letters"], found["left_out"]) == (BAD - 1, {"discarded": 1})
    assert "1 discarded" in _dlq(refused, "why").err
    assert _document(_dlq(refused, "summary", "--json", "--all"))["dead_letters"] == BAD


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("summary", "--by", "reasons"), "'reasons' is none of reason, event"),
        (("summary", "--top", "0"), "--top"),
        (("why", "--top", "x"), "--top"),
    ],
)
def test_wrong_use_is_one_sentence(
    refused: Pipeline, arguments: tuple[str, ...], said: str
) -> None:
    """Wrong use is one sentence and its exit code."""
    ran = _dlq(refused, *arguments)
    assert ran.code == ExitCode.USAGE
    assert said in ran.err
