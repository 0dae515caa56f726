"""What the current rules would do with dead letters."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.core.dead_letter import pointer_to
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import INVALID_HEADERS, Output, Record, Role
from pipeline.dlq import reprocess
from pipeline.dlq.builtin_repairs import repair_of, set_value
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.header_formats import read_dead_letter
from pipeline.dlq.reason_counts import MOST_REASONS, OTHER
from pipeline.dlq.recheck import Rechecker, RecheckKind, RecheckReport, RecheckResult
from pipeline.dlq.repair import EventRepair, generated_id, no_repair
from pipeline.dlq.reprocess import Reprocessor, as_raw
from tests.hostile import HOSTILE
from tests.unit.dlq.dead_letters import (
    IDENTITY,
    NOW,
    SETTINGS,
    dead_letter_of,
    dead_letters_of,
    event,
    raw,
    reprocessor,
)

LENIENT = ContractSettings.model_validate({"rules": {"revenue_invalid": "warn"}})


@pytest.fixture
def rechecker() -> Iterator[Rechecker]:
    """Under the usual rules, without a repair."""
    made = Rechecker(reprocessor(), no_repair())
    yield made
    made.end()


def test_same_rules_same_reason(rechecker: Rechecker) -> None:
    """Under the rules that rejected them, all dead letters fail again for the same reason."""
    for row in HOSTILE:
        for dead_letter in dead_letters_of(
            raw(b"", headers=tuple(row.headers))._replace(value=row.value)
        ):
            result = rechecker.recheck(dead_letter, NOW)
            assert (result.kind, result.detail) == (RecheckKind.SAME, dead_letter.reason), row.name


@pytest.mark.parametrize("beside", [b"9" * 5000, b"1e99999999999999999999", rb'"\ud83d"'])
@pytest.mark.parametrize(
    "around", [b"%b", b'{"batch":[%b,1]}', rb'{"context":{"a":"\ud83d"},"batch":[%b,2]}']
)
def test_repairs_work_beside_what_no_rule_reads(beside: bytes, around: bytes) -> None:
    """An event is repaired whatever else is in it, and keeps the message id of its own bytes."""
    value = b'{"event":"E","userId":"u","n":%b,"properties":{"revenue":5,"currency":"euro"}}'
    dead_letter, *_ = dead_letters_of(raw(around % (value % beside)))
    repair = repair_of([set_value("/properties/currency=EUR")], everywhere=False)
    result = Rechecker(reprocessor(), repair).recheck(dead_letter, NOW)
    assert result.kind is RecheckKind.PASSES
    assert b'"currency":"EUR"' in (result.outputs[0].value or b"")
    assert generated_id(dead_letter).encode() in (result.outputs[0].value or b"")


def test_changed_rules_change_results() -> None:
    """A relaxed rule lets its dead letters pass, and another violation is reported."""
    fixed = Rechecker(reprocessor(LENIENT), no_repair())
    bad = {"revenue": "1.234,56"}
    assert fixed.recheck(dead_letter_of(event(properties=bad)), NOW).kind is RecheckKind.PASSES
    both = fixed.recheck(dead_letter_of(event(properties={**bad, "currency": "euro"})), NOW)
    assert both.kind is RecheckKind.OTHER
    assert both.detail == "currency_invalid"
    assert [problem.pointer for problem in both.problems] == ["/properties/currency"]


def test_repaired_events_pass() -> None:
    """A repaired dead letter passes with the outputs that the worker would have written."""
    repair = repair_of([set_value("/userId=u7")], everywhere=True)
    result = Rechecker(reprocessor(), repair).recheck(
        dead_letter_of(event(userId=None, messageId="m")), NOW
    )
    assert result.kind is RecheckKind.PASSES
    baseline = event(userId="u7", messageId="m")
    assert result.outputs == Processor(SETTINGS, IDENTITY).process(raw(baseline), NOW)


def test_item_of_a_batch_is_what_it_would_have_been() -> None:
    """A batch item passes with its index and its original times."""
    first, second = event(messageId="m1"), event(messageId="m2", userId=None)
    envelope = {"sentAt": "2026-01-01T00:00:00Z", "batch": [first, second]}
    (dead_letter,) = dead_letters_of(raw(envelope))
    repair = EventRepair("r", lambda item, _: {**item, "userId": "u1"})
    (output,) = Rechecker(reprocessor(), repair).recheck(dead_letter, NOW).outputs
    baseline = {**envelope, "batch": [first, {**second, "userId": "u1"}]}
    assert output == Processor(SETTINGS, IDENTITY).process(raw(baseline), NOW)[1]


@pytest.mark.parametrize("in_batch", [False, True])
def test_repaired_dead_letters_keep_generated_message_ids(*, in_batch: bool) -> None:
    """The id is that of the unrepaired event, which a replay under other rules gives it, too."""
    sent: dict[str, Any] = event(properties={"revenue": "x"})
    value = {"batch": [event(), sent]} if in_batch else sent
    (dead_letter,) = dead_letters_of(raw(value))
    repair = repair_of([set_value("/properties/revenue=7")], everywhere=False)
    (output,) = Rechecker(reprocessor(), repair).recheck(dead_letter, NOW).outputs
    replayed = Processor(LENIENT, IDENTITY).process(raw(value), NOW)[-1]
    assert _message_id(output) == _message_id(replayed)


def test_repaired_bytes_keep_generated_message_ids() -> None:
    """What did not parse gets one id, however often it is repaired; envelopes get none."""
    dead_letter = dead_letter_of(b"{'event': 'A', 'userId': 'u'}")

    def tried(change: bytes) -> RecheckResult:
        repair = EventRepair("r", None, lambda *_: change)
        return Rechecker(reprocessor(), repair).recheck(dead_letter, NOW)

    events = b'{"event":"A","userId":"u"}', b'{"event":"A","userId":"U"}'
    first, second = (_message_id(tried(each).outputs[0]) for each in events)
    assert first == second
    envelope = b'{"batch":[{"event":"A","userId":"u"}]}'
    assert tried(envelope).value == envelope


def _message_id(output: Output) -> str:
    found = json.loads(output.value or b"")["messageId"]
    assert type(found) is str
    return found


def test_left_out_and_failed() -> None:
    """Returning None leaves a dead letter out; an exception concerns that dead letter only."""
    dead_letter = dead_letter_of({"event": "A"})
    out = Rechecker(reprocessor(), EventRepair("r", lambda *_: None)).recheck(dead_letter, NOW)
    assert out.kind is RecheckKind.LEFT_OUT
    failed = Rechecker(reprocessor(), EventRepair("r", lambda *_: 1 / 0)).recheck(dead_letter, NOW)
    assert failed.kind is RecheckKind.REPAIR_FAILED
    assert "ZeroDivisionError" in failed.detail


def test_calls_that_are_dropped() -> None:
    """Calls of other types may be dropped by now."""
    rules = ContractSettings.model_validate({"on_other_type": "drop"})
    dead_letter = dead_letter_of(event(type="page"))
    assert (
        Rechecker(reprocessor(rules), no_repair()).recheck(dead_letter, NOW).kind
        is RecheckKind.DROPPED
    )


def test_calls_that_are_forwarded_pass() -> None:
    """Calls of other types may be forwarded by now, so that a redrive sends them there."""
    rules = ContractSettings.model_validate({"on_other_type": "forward"})
    dead_letter = dead_letter_of(event(type="page"))
    result = Rechecker(reprocessor(rules), no_repair()).recheck(dead_letter, NOW)
    assert result.kind is RecheckKind.PASSES
    assert [(output.role, output.value) for output in result.outputs] == [
        (Role.OTHER, dead_letter.value)
    ]


def test_pointer_names_the_raw_record(rechecker: Rechecker) -> None:
    """A dead letter that only refers to its raw record says where that is."""
    (refused,) = Processor(SETTINGS, IDENTITY).process(raw({"event": "A"}), NOW)
    pointer = pointer_to(refused)
    record = Record(pointer.value, None, pointer.headers, NOW, "dead", 0, 0)
    result = rechecker.recheck(read_dead_letter(record), NOW)
    assert result.kind is RecheckKind.POINTER
    assert result.detail.startswith("0/0: ")
    assert result.detail.endswith(" the raw record is raw/2/7")


def _crashed(value: Any) -> Output:
    processor = Processor(SETTINGS, IDENTITY)
    return processor.set_aside(raw(value), NOW, Reason.PROCESSING_ERROR, Stage.CRASH, "it died")


def _crashed_dead_letter(value: Any) -> DeadLetter:
    output = _crashed(value)
    return read_dead_letter(Record(output.value, output.key, output.headers, NOW, "dead", 0, 0))


def test_crash_dead_letters_are_tried_in_a_child_process(rechecker: Rechecker) -> None:
    """What killed a process is tried in another one; by now it may pass."""
    result = rechecker.recheck(_crashed_dead_letter(event()), NOW)
    assert result.kind is RecheckKind.PASSES
    assert result.outputs == Processor(SETTINGS, IDENTITY).process(raw(event()), NOW)


def test_report_adds_up() -> None:
    """A report counts by old reason and kind, and adds up what would still fail."""
    report, fixed = RecheckReport(), Rechecker(reprocessor(LENIENT), no_repair())
    for value in (event(properties={"revenue": "x"}), event(userId=None), event(userId=None)):
        dead_letter = dead_letter_of(value)
        report.add(dead_letter, fixed.recheck(dead_letter, NOW))
    counts = {key: outcome.count for key, outcome in report.outcomes.items()}
    assert counts == {
        ("revenue_invalid", RecheckKind.PASSES, ""): 1,
        ("no_user_anon_id", RecheckKind.SAME, ""): 2,
    }
    assert (report.total(), report.failing) == (3, 2)


def test_report_of_many_reasons() -> None:
    """Other systems may state another reason each time, but memory is bounded."""
    report, number = RecheckReport(), MOST_REASONS + 5
    for each in range(number):
        headers = [("dlq-reason", b"r%d" % each), ("dlq-step", b"s")]
        record = Record(b"{}", None, headers, NOW, "dead", 0, each)
        report.add(read_dead_letter(record), RecheckResult(RecheckKind.SAME))
    assert len(report.outcomes) == MOST_REASONS + 1
    assert report.outcomes[OTHER, RecheckKind.SAME, ""].count == 5
    assert report.total() == number


def test_samples_are_those_that_a_repair_changes() -> None:
    """A report shows changes of the fourth dead letter and of later ones, too."""
    repair = repair_of([set_value("/properties/currency=EUR")], everywhere=False)
    report, rechecker = RecheckReport(), Rechecker(reprocessor(), repair)
    bad = {"revenue": "x", "currency": "euro"}
    for number in range(6):
        properties = bad if number > 3 else {"revenue": "x"}
        dead_letter = dead_letter_of(event(properties=properties))
        report.add(dead_letter, rechecker.recheck(dead_letter, NOW))
    (outcome,) = report.outcomes.values()
    assert (outcome.count, report.changed) == (6, 2)
    assert [sample.after is None for sample in outcome.samples] == [True, False, False]


def test_headers_of_the_sender_are_kept() -> None:
    """The raw record has the headers of the sender, and those that a redrive adds."""
    dead_letter = dead_letter_of(
        {"event": "A"}, headers=(("traceparent", b"x"), (DlqHeader.REASON, b"forged"))
    )
    names = [name for name, _ in as_raw(dead_letter, dead_letter.value).headers]
    assert names == [
        "traceparent",
        TrackHeader.ORIGIN,
        "track.origin.timestamp",
        DlqHeader.ATTEMPT,
        "dlq.first.failed.at",
        TrackHeader.REDRIVE,
    ]


def test_bug_of_the_rules(monkeypatch: pytest.MonkeyPatch, rechecker: Rechecker) -> None:
    """An exception of the rules is the result for that dead letter, and ends nothing."""
    monkeypatch.setattr(Reprocessor, "outputs", lambda *_: os.strerror(1 / 0))  # type: ignore[arg-type]
    result = rechecker.recheck(dead_letter_of({"event": "A"}), NOW)
    assert result.kind is RecheckKind.CRASHES


def test_headers_that_can_not_be_read(rechecker: Rechecker) -> None:
    """A dead letter whose header names are not text is rejected again, with all its headers."""
    record = Record(b'{"event":"A","userId":"u"}', None, INVALID_HEADERS, NOW, "dead", 0, 0)
    result = rechecker.recheck(read_dead_letter(record), NOW)
    assert (result.kind, result.detail) == (RecheckKind.OTHER, "invalid_headers")


def _kill(*_: Any) -> Any:
    os._exit(13)


def _killing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process dies of whatever it is given."""
    monkeypatch.setattr(reprocess, "_prepare", _kill)


def test_dead_letter_that_kills(monkeypatch: pytest.MonkeyPatch, rechecker: Rechecker) -> None:
    """A dead letter that kills its process is reported as such, and the next one is tried."""
    with monkeypatch.context() as patched:
        _killing(patched)
        result = rechecker.recheck(_crashed_dead_letter(event()), NOW)
    assert result.kind is RecheckKind.CRASHES
    assert result.detail == "0/0: it kills the process that works on it"
    assert rechecker.recheck(_crashed_dead_letter(event()), NOW).kind is RecheckKind.PASSES


def test_dead_letter_that_kills_is_not_repaired_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair would decode in this process what kills one."""
    called: list[str] = []

    def change(event: dict[str, Any], dead_letter: DeadLetter) -> dict[str, Any]:
        called.append(dead_letter.position)
        return event

    made = Rechecker(reprocessor(), EventRepair("r", change))
    with monkeypatch.context() as patched:
        _killing(patched)
        assert made.recheck(_crashed_dead_letter(event()), NOW).kind is RecheckKind.CRASHES
    assert called == []
    assert made.recheck(_crashed_dead_letter(event()), NOW).kind is RecheckKind.PASSES
    assert called == ["0/0"]
    made.end()
