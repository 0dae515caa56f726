"""What would become of letters now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.core.deadletter import pointer_to
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import Output, Record
from pipeline.deadletters.again import Again, as_raw
from pipeline.deadletters.dialects import read_letter
from pipeline.deadletters.fixes import repair_of, set_value
from pipeline.deadletters.repair import EventRepair, no_repair
from pipeline.deadletters.whatif import Examiner, Kind, Report
from tests.deadletters.letters import (
    IDENTITY,
    NOW,
    SETTINGS,
    again,
    event,
    letter_of,
    letters_of,
    raw,
)
from tests.hostile import HOSTILE

LENIENT = ContractSettings.model_validate({"rules": {"revenue_invalid": "warn"}})


@pytest.fixture
def examiner() -> Iterator[Examiner]:
    """Under the usual rules, without a repair."""
    made = Examiner(again(), no_repair())
    yield made
    made.end()


def test_same_rules_same_reason(examiner: Examiner) -> None:
    """Under the rules that refused them, all letters fail again for the same reason."""
    for row in HOSTILE:
        for letter in letters_of(raw(b"", headers=tuple(row.headers))._replace(value=row.value)):
            verdict = examiner.examine(letter, NOW)
            assert (verdict.kind, verdict.detail) == (Kind.SAME, letter.reason), row.name


def test_changed_rules() -> None:
    """A rule that was relaxed lets its letters pass, and another violation is told."""
    fixed = Examiner(again(LENIENT), no_repair())
    bad = {"revenue": "1.234,56"}
    assert fixed.examine(letter_of(event(properties=bad)), NOW).kind is Kind.PASSES
    both = fixed.examine(letter_of(event(properties={**bad, "currency": "euro"})), NOW)
    assert both.kind is Kind.OTHER
    assert both.detail == "currency_invalid"


def test_repaired() -> None:
    """A repaired letter passes with the outputs that the worker would have written for it."""
    repair = repair_of([set_value("/userId=u7")], everywhere=True)
    verdict = Examiner(again(), repair).examine(letter_of({"event": "A"}), NOW)
    assert verdict.kind is Kind.PASSES
    (output,) = verdict.outputs
    expected = Processor(SETTINGS, IDENTITY).process(raw(b'{"event":"A","userId":"u7"}'), NOW)
    assert output == expected[0]


def test_item_of_a_batch_is_what_it_would_have_been() -> None:
    """An item passes with its index, generated message id and times of the first time."""
    envelope = {"sentAt": "2026-01-01T00:00:00Z", "batch": [event(), event(userId=None)]}
    (letter,) = letters_of(raw(envelope))
    repair = EventRepair("r", lambda item, _: {**item, "userId": "u1"})
    (output,) = Examiner(again(), repair).examine(letter, NOW).outputs
    twice = {**envelope, "batch": [event(), event()]}
    expected = Processor(SETTINGS, IDENTITY).process(raw(twice), NOW)[1]
    assert output == expected


def test_left_out_and_failed() -> None:
    """None leaves a letter out; a transform that raises is that letter's fault."""
    letter = letter_of({"event": "A"})
    out = Examiner(again(), EventRepair("r", lambda *_: None)).examine(letter, NOW)
    assert out.kind is Kind.LEFT_OUT
    failed = Examiner(again(), EventRepair("r", lambda *_: 1 / 0)).examine(letter, NOW)
    assert failed.kind is Kind.REPAIR_FAILED
    assert "ZeroDivisionError" in failed.detail


def test_dropped() -> None:
    """Calls of other types may be dropped by now."""
    rules = ContractSettings.model_validate({"on_other_type": "drop"})
    letter = letter_of(event(type="page"))
    assert Examiner(again(rules), no_repair()).examine(letter, NOW).kind is Kind.DROPPED


def test_pointer(examiner: Examiner) -> None:
    """A letter that only points to its raw record says where that is."""
    (refused,) = Processor(SETTINGS, IDENTITY).process(raw({"event": "A"}), NOW)
    pointer = pointer_to(refused)
    record = Record(pointer.value, None, pointer.headers, NOW, "dead", 0, 0)
    verdict = examiner.examine(read_letter(record), NOW)
    assert verdict.kind is Kind.POINTER
    assert "raw/2/7" in verdict.detail


def _crashed(value: Any) -> Output:
    processor = Processor(SETTINGS, IDENTITY)
    return processor.set_aside(raw(value), NOW, Reason.PROCESSING_ERROR, Stage.CRASH, "it died")


def test_crash_letters_are_tried_apart(examiner: Examiner) -> None:
    """What killed a process is tried in another one; by now it may pass."""
    letter = _crashed(event())
    record = Record(letter.value, letter.key, letter.headers, NOW, "dead", 0, 0)
    verdict = examiner.examine(read_letter(record), NOW)
    assert verdict.kind is Kind.PASSES
    expected = Processor(SETTINGS, IDENTITY).process(raw(event()), NOW)
    assert verdict.outputs == expected


def test_report() -> None:
    """Counts by old reason and fate; failing is what something stands in the way of."""
    report, fixed = Report(), Examiner(again(LENIENT), no_repair())
    for value in (event(properties={"revenue": "x"}), event(userId=None), event(userId=None)):
        letter = letter_of(value)
        report.add(letter, fixed.examine(letter, NOW))
    counts = {key: outcome.count for key, outcome in report.outcomes.items()}
    assert counts == {
        ("revenue_invalid", Kind.PASSES, ""): 1,
        ("no_user_anon_id", Kind.SAME, ""): 2,
    }
    assert (report.total(), report.failing) == (3, 2)


def test_headers_of_the_sender_are_kept() -> None:
    """A letter's raw record has the sender's headers and the four that name its origin."""
    letter = letter_of({"event": "A"}, headers=(("traceparent", b"x"), ("dlq.reason", b"forged")))
    names = [name for name, _ in as_raw(letter).headers]
    assert names == [
        "traceparent",
        "track.origin",
        "track.origin.timestamp",
        "dlq.attempt",
        "dlq.first.failed.at",
    ]


def test_bug_of_the_rules(monkeypatch: pytest.MonkeyPatch, examiner: Examiner) -> None:
    """An exception of the rules is that letter's verdict, and ends nothing."""
    monkeypatch.setattr(Again, "outputs", lambda *_: os.strerror(1 / 0))  # type: ignore[arg-type]
    verdict = examiner.examine(letter_of({"event": "A"}), NOW)
    assert verdict.kind is Kind.CRASHES
