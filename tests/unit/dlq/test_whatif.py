"""What would become of letters now."""

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
from pipeline.core.record import INVALID_HEADERS, Output, Record
from pipeline.dlq import isolated_process as isolated
from pipeline.dlq.builtin_repairs import repair_of, set_value
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.header_formats import read_letter
from pipeline.dlq.reason_counts import MOST_REASONS, OTHER
from pipeline.dlq.recheck import Examiner, Kind, Report, Verdict
from pipeline.dlq.repair import EventRepair, no_repair
from pipeline.dlq.reprocess import Again, as_raw
from tests.hostile import HOSTILE
from tests.unit.dlq.letters import IDENTITY, NOW, SETTINGS, again, event, letter_of, letters_of, raw

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
    assert [problem.pointer for problem in both.problems] == ["/properties/currency"]


def test_repaired() -> None:
    """A repaired letter passes with the outputs that the worker would have written for it."""
    repair = repair_of([set_value("/userId=u7")], everywhere=True)
    verdict = Examiner(again(), repair).examine(letter_of(event(userId=None, messageId="m")), NOW)
    assert verdict.kind is Kind.PASSES
    good = event(userId="u7", messageId="m")
    assert verdict.outputs == Processor(SETTINGS, IDENTITY).process(raw(good), NOW)


def test_item_of_a_batch_is_what_it_would_have_been() -> None:
    """An item passes with its index and the times of the first time."""
    first, second = event(messageId="m1"), event(messageId="m2", userId=None)
    envelope = {"sentAt": "2026-01-01T00:00:00Z", "batch": [first, second]}
    (letter,) = letters_of(raw(envelope))
    repair = EventRepair("r", lambda item, _: {**item, "userId": "u1"})
    (output,) = Examiner(again(), repair).examine(letter, NOW).outputs
    good = {**envelope, "batch": [first, {**second, "userId": "u1"}]}
    assert output == Processor(SETTINGS, IDENTITY).process(raw(good), NOW)[1]


@pytest.mark.parametrize("in_batch", [False, True])
def test_repaired_letters_keep_generated_message_ids(*, in_batch: bool) -> None:
    """The id is that of the unrepaired event, which a replay under other rules gives it too."""
    sent: dict[str, Any] = event(properties={"revenue": "x"})
    value = {"batch": [event(), sent]} if in_batch else sent
    (letter,) = letters_of(raw(value))
    repair = repair_of([set_value("/properties/revenue=7")], everywhere=False)
    (output,) = Examiner(again(), repair).examine(letter, NOW).outputs
    replayed = Processor(LENIENT, IDENTITY).process(raw(value), NOW)[-1]
    assert _message_id(output) == _message_id(replayed)


def test_repaired_bytes_keep_generated_message_ids() -> None:
    """What did not parse gets one id, however often it is repaired; envelopes get none."""
    letter = letter_of(b"{'event': 'A', 'userId': 'u'}")

    def tried(change: bytes) -> Verdict:
        repair = EventRepair("r", None, lambda *_: change)
        return Examiner(again(), repair).examine(letter, NOW)

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
    assert verdict.detail.startswith("0/0: ")
    assert verdict.detail.endswith(" the raw record is raw/2/7")


def _crashed(value: Any) -> Output:
    processor = Processor(SETTINGS, IDENTITY)
    return processor.set_aside(raw(value), NOW, Reason.PROCESSING_ERROR, Stage.CRASH, "it died")


def _crash_letter(value: Any) -> DeadLetter:
    output = _crashed(value)
    return read_letter(Record(output.value, output.key, output.headers, NOW, "dead", 0, 0))


def test_crash_letters_are_tried_apart(examiner: Examiner) -> None:
    """What killed a process is tried in another one; by now it may pass."""
    verdict = examiner.examine(_crash_letter(event()), NOW)
    assert verdict.kind is Kind.PASSES
    assert verdict.outputs == Processor(SETTINGS, IDENTITY).process(raw(event()), NOW)


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


def test_report_of_many_reasons() -> None:
    """What other systems call a reason may be different each time: memory is bounded."""
    report, number = Report(), MOST_REASONS + 5
    for each in range(number):
        headers = [("dlq-reason", b"r%d" % each), ("dlq-step", b"s")]
        record = Record(b"{}", None, headers, NOW, "dead", 0, each)
        report.add(read_letter(record), Verdict(Kind.SAME))
    assert len(report.outcomes) == MOST_REASONS + 1
    assert report.outcomes[OTHER, Kind.SAME, ""].count == 5
    assert report.total() == number


def test_samples_are_those_that_a_repair_changes() -> None:
    """Changes of the fourth letter and of later ones are seen in the report."""
    repair = repair_of([set_value("/properties/currency=EUR")], everywhere=False)
    report, examiner = Report(), Examiner(again(), repair)
    bad = {"revenue": "x", "currency": "euro"}
    for number in range(6):
        properties = bad if number > 3 else {"revenue": "x"}
        letter = letter_of(event(properties=properties))
        report.add(letter, examiner.examine(letter, NOW))
    (outcome,) = report.outcomes.values()
    assert (outcome.count, report.changed) == (6, 2)
    assert [sample.after is None for sample in outcome.samples] == [True, False, False]


def test_headers_of_the_sender_are_kept() -> None:
    """A letter's raw record has the sender's headers and the four that name its origin."""
    letter = letter_of(
        {"event": "A"}, headers=(("traceparent", b"x"), (DlqHeader.REASON, b"forged"))
    )
    names = [name for name, _ in as_raw(letter).headers]
    assert names == [
        "traceparent",
        TrackHeader.ORIGIN,
        TrackHeader.ORIGIN_TIMESTAMP,
        DlqHeader.ATTEMPT,
        DlqHeader.FIRST_FAILED_AT,
    ]


def test_bug_of_the_rules(monkeypatch: pytest.MonkeyPatch, examiner: Examiner) -> None:
    """An exception of the rules is that letter's verdict, and ends nothing."""
    monkeypatch.setattr(Again, "outputs", lambda *_: os.strerror(1 / 0))  # type: ignore[arg-type]
    verdict = examiner.examine(letter_of({"event": "A"}), NOW)
    assert verdict.kind is Kind.CRASHES


def test_headers_that_can_not_be_read(examiner: Examiner) -> None:
    """A letter whose header names are no text is refused again, and loses no header on the way."""
    record = Record(b'{"event":"A","userId":"u"}', None, INVALID_HEADERS, NOW, "dead", 0, 0)
    verdict = examiner.examine(read_letter(record), NOW)
    assert (verdict.kind, verdict.detail) == (Kind.OTHER, "invalid_headers")


def _kill(*_: Any) -> Any:
    os._exit(13)


def _killing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process dies of whatever it is given."""
    monkeypatch.setattr(isolated, "_rules", _kill)


def test_letter_that_kills(monkeypatch: pytest.MonkeyPatch, examiner: Examiner) -> None:
    """A letter that kills the process that works on it is told so, and the next one is tried."""
    with monkeypatch.context() as patched:
        _killing(patched)
        verdict = examiner.examine(_crash_letter(event()), NOW)
    assert verdict.kind is Kind.CRASHES
    assert verdict.detail == "0/0: it kills the process that works on it"
    assert examiner.examine(_crash_letter(event()), NOW).kind is Kind.PASSES


def test_letter_that_kills_is_not_repaired_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair would decode in this process what kills one."""
    called: list[str] = []

    def change(event: dict[str, Any], letter: DeadLetter) -> dict[str, Any]:
        called.append(letter.place)
        return event

    made = Examiner(again(), EventRepair("r", change))
    with monkeypatch.context() as patched:
        _killing(patched)
        assert made.examine(_crash_letter(event()), NOW).kind is Kind.CRASHES
    assert called == []
    assert made.examine(_crash_letter(event()), NOW).kind is Kind.PASSES
    assert called == ["0/0"]
    made.end()
