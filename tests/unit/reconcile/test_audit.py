"""The audit on forged topics finds and names every discrepancy, and excludes only what it must."""

from __future__ import annotations

import json
import random
import resource
from typing import Any, Final

import pytest

from pipeline.core.contract import Identity
from pipeline.core.dead_letter import pointer_to
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import Record, Role
from pipeline.core.time_window import Window
from pipeline.progress import Progress
from pipeline.reconcile.audit import EXCLUDED, AuditRequest, AuditResult, DiscrepancyKind
from pipeline.reconcile.ranges import OutputPartition
from tests.fake_topics import NAMES, TIME, FakeTopics, event

ENRICHED, DEAD_LETTER, IDENTIFY = Role.ENRICHED, Role.DEAD_LETTER, Role.IDENTIFY
OTHER = Role.OTHER
BATCH: Final = json.dumps(
    {"batch": [{"event": "E", "userId": "u"}, {"event": "F", "userId": "u"}, 3]}
).encode()
TRAITS: Final[dict[str, Any]] = {"context": {"traits": {"plan": "pro"}}}


def _counts(result: AuditResult) -> dict[str, int]:
    """Return the kinds that were found, with their counts."""
    return {kind.value: result.count(kind) for kind in DiscrepancyKind if result.count(kind)}


def _sole(result: AuditResult) -> tuple[str, str, str, str]:
    """Return the only discrepancy."""
    (discrepancy,) = result.discrepancies
    assert result.discrepancy_count == 1
    assert not result.ok
    return discrepancy.kind.value, discrepancy.source, discrepancy.output, discrepancy.detail


def _edit(records: list[Record], at: int, **fields: Any) -> None:
    records[at] = records[at]._replace(**fields)


def _with_header(record: Record, name: str, value: bytes) -> Record:
    kept = [header for header in record.headers if header[0] != name]
    return record._replace(headers=[*kept, (name, value)])


class TestCleanTopics:
    """What a worker writes adds up."""

    def test_every_kind_of_outcome_adds_up(self) -> None:
        """Events with any outcome, batches and identify messages add up on two partitions."""
        fake = FakeTopics(on_other_type="drop", identify=[{"event": "*"}])
        fake.clean(event(1), b"{", event(2, **TRAITS), BATCH, event(3, type="page"))
        fake.clean(None, event(4), event(5, type="screen"), partition=1)
        result = fake.audit()
        assert result.ok, result.discrepancies
        assert (result.records, result.events) == (8, 10)
        outcomes = result.enriched, result.dead_letters, result.dropped, result.identify
        assert outcomes == (5, 3, 2, 1)
        assert result.ranges == {"raw/0": (0, 5), "raw/1": (0, 3)}
        assert not result.excluded

    def test_forwarded_calls_add_up(self) -> None:
        """Calls that are forwarded, alone and from a batch, are outcomes like all others."""
        fake = FakeTopics(on_other_type="forward")
        batch = b'{"batch": [%s, %s]}' % (event(1), event(2, type="page"))
        fake.clean(batch, event(3, type="group"), event(4, type="trak"))
        result = fake.audit()
        assert result.ok, result.discrepancies
        assert (result.events, result.enriched, result.forwarded, result.dead_letters) == (
            4,
            1,
            2,
            1,
        )
        assert result.to_dict()["outcomes"]["forwarded"] == 2

    def test_empty_topics_add_up(self) -> None:
        """An audit of nothing finds nothing."""
        assert FakeTopics().audit().ok

    def test_commit_markers_are_not_missed(self) -> None:
        """Offsets without records need no outputs."""
        fake = FakeTopics()
        fake.clean(event(1))
        fake.gap(NAMES.raw)
        fake.gap(NAMES.enriched)
        fake.clean(event(2))
        assert fake.audit().ok

    def test_outputs_may_be_in_any_partition(self) -> None:
        """The headers say which event an output belongs to."""
        fake = FakeTopics(partitions=3)
        for partition in range(3):
            fake.clean(event(1), event(2), b"{", partition=partition)
        merged = [record for partition in range(3) for record in fake.of(ENRICHED, partition)]
        dead_letters = [
            record for partition in range(3) for record in fake.of(DEAD_LETTER, partition)
        ]
        spread = FakeTopics(partitions=3)
        spread.topics = {place: r for place, r in fake.topics.items() if place[0] == NAMES.raw}
        spread.committed, spread._next = fake.committed, dict(fake._next)  # noqa: SLF001  ours
        for topic, records in ((NAMES.enriched, merged), (NAMES.dead_letter, dead_letters)):
            for offset, record in enumerate(records):
                moved = record._replace(partition=0, offset=offset)
                spread.topics.setdefault((topic, 0), []).append(moved)
            spread._next[topic, 0] = len(records)  # noqa: SLF001  ours
        result = spread.audit(output_partitions=1)
        assert result.ok, result.discrepancies


class TestDiscrepancies:
    """Each discrepancy is counted once, with its coordinates."""

    def test_event_without_output_is_missing(self) -> None:
        """An event without any output is reported with its coordinates."""
        fake = FakeTopics()
        fake.clean(event(1), event(2), event(3))
        fake.of(ENRICHED).pop(1)
        kind, source, place, detail = _sole(fake.audit())
        assert (kind, source, place) == ("missing", "raw/0/1", "")
        assert "enriched event" in detail

    def test_item_without_output_is_missing(self) -> None:
        """A single event of a batch can be missing."""
        fake = FakeTopics()
        fake.clean(BATCH)
        fake.of(DEAD_LETTER).clear()
        assert _sole(fake.audit())[:2] == ("missing", "raw/0/0/2")

    def test_second_output_is_a_duplicate(self) -> None:
        """A second output is found in any partition, and the later one is named."""
        fake = FakeTopics()
        fake.clean(event(1), event(2))
        copy = fake.outputs(fake.of_raw(0))[0]._replace(partition=1)
        twin = fake.write(copy)
        assert _sole(fake.audit())[:3] == (
            "duplicated", "raw/0/0", f"enriched/1/{twin.offset}"
        )  # fmt: skip

    def test_two_outcomes_are_one_too_many(self) -> None:
        """A dead letter in addition to the enriched event is a duplicate."""
        fake = FakeTopics()
        (record,) = fake.clean(event(1))
        dead_letter = fake.processor().crashed(record, TIME)
        headers = [
            (name, b"validate" if name == DlqHeader.STAGE else value)
            for name, value in dead_letter.headers
        ]
        fake.write(dead_letter._replace(headers=headers))
        assert _sole(fake.audit())[:3] == ("duplicated", "raw/0/0", "dead-letters/0/0")

    @pytest.mark.parametrize(
        ("source", "named"),
        [
            (b"raw/0/1", "raw/0/1"),  # a commit marker
            (b"raw/0/0/0", "raw/0/0/0"),  # an item of what is no batch
            (b"raw/7/0", "raw/7/0"),
            (b"raw/0/99", "raw/0/99"),
            (b"nonsense", ""),
            (b"raw/0/" + b"9" * 5000, ""),
            (b"raw/0/-1", ""),
        ],
    )
    def test_output_without_event_is_orphaned(self, source: bytes, named: str) -> None:
        """An output is orphaned when it names no event of the raw topic."""
        fake = FakeTopics()
        (record,) = fake.clean(event(1))
        fake.gap(NAMES.raw)
        fake.clean(event(2))
        output = fake.outputs(record)[0]
        fake.write(
            output._replace(
                headers=[(TrackHeader.SOURCE, source), (TrackHeader.CONTRACT, b"x")]
                if named != "raw/0/0/0"
                else [(TrackHeader.SOURCE, source), *output.headers[1:]]
            )
        )
        assert _sole(fake.audit())[:3] == ("orphaned", named, "enriched/0/2")

    def test_output_of_the_last_marker_is_orphaned(self) -> None:
        """A commit marker at the end of the raw topic has no outputs."""
        fake = FakeTopics()
        (record,) = fake.clean(event(1))
        fake.gap(NAMES.raw)
        fake.committed[0] = 2
        (output,) = fake.outputs(record._replace(offset=1))
        fake.write(output)
        assert _sole(fake.audit())[:2] == ("orphaned", "raw/0/1")

    def test_dead_letter_of_a_good_event_is_a_mismatch(self) -> None:
        """An event must be in the topic that the rules give."""
        fake = FakeTopics()
        record = fake.send(event(1))
        fake.process(record, default_currency="EUR", rules={"id_not_string": "warn"})
        fake.of(ENRICHED).clear()
        (dead_letter,) = fake.outputs(fake.send(b"{", partition=1))
        headers = [(n, b"raw/0/0" if n == DlqHeader.SOURCE else v) for n, v in dead_letter.headers]
        fake.write(dead_letter._replace(headers=headers, partition=0))
        kind, source, place, detail = _sole(fake.audit())
        assert (kind, source, place) == ("mismatched", "raw/0/0", "dead-letters/0/0")
        assert detail == "a dead letter, but the rules give an enriched event"

    @pytest.mark.parametrize(
        ("role", "change", "detail_part"),
        [
            (ENRICHED, {"key": b"other"}, "the key"),
            (ENRICHED, {"timestamp": TIME - 1}, "timestamp"),
            (ENRICHED, {"timestamp": None}, "timestamp"),
            (ENRICHED, {"value": None}, "the value"),
            (DEAD_LETTER, {"key": b"other"}, "the key"),
            (DEAD_LETTER, {"value": b"[]"}, "the value"),
            (IDENTIFY, {"value": b"{}"}, "the value at"),
        ],
    )
    def test_any_change_of_an_output_is_a_mismatch(
        self, role: Role, change: dict[str, Any], detail_part: str
    ) -> None:
        """Value, key and timestamp must all be what the rules give."""
        fake = FakeTopics(identify=[{"event": "*"}])
        fake.clean(event(1, **TRAITS), b"{")
        _edit(fake.of(role), 0, **change)
        kind, _, place, detail = _sole(fake.audit())
        assert (kind, place) == ("mismatched", f"{fake.of(role)[0].topic}/0/0")
        assert detail_part in detail

    def test_one_digit_is_a_mismatch(self) -> None:
        """The detail is a JSON Pointer and shows no content."""
        fake = FakeTopics()
        fake.clean(event(1, properties={"revenue": 19.99, "sku": "secret"}))
        value = fake.of(ENRICHED)[0].value or b""
        _edit(fake.of(ENRICHED), 0, value=value.replace(b"19.99", b"19.98"))
        *_, detail = _sole(fake.audit())
        assert detail == "differs in the value at /properties/revenue"

    def test_other_bytes_are_a_mismatch(self) -> None:
        """The worker would not write the same JSON in other bytes."""
        fake = FakeTopics()
        fake.clean(event(1))
        value = fake.of(ENRICHED)[0].value or b""
        _edit(fake.of(ENRICHED), 0, value=value.replace(b'{"type"', b'{ "type"'))
        assert "the bytes of the value" in _sole(fake.audit())[3]

    def test_lost_header_is_a_mismatch(self) -> None:
        """The sender's headers are part of an output."""
        fake = FakeTopics()
        fake.process(fake.send(event(1), headers=[("trace", b"1")]))
        _edit(fake.of(ENRICHED), 0, headers=fake.of(ENRICHED)[0].headers[1:])
        assert _sole(fake.audit())[3] == "differs in the headers"

    @pytest.mark.parametrize("name", [DlqHeader.REASON, DlqHeader.REASONS, DlqHeader.STAGE])
    def test_wrong_reason_is_a_mismatch(self, name: str) -> None:
        """A dead letter must give the reason that the rules give."""
        fake = FakeTopics()
        fake.clean(b"{")
        dead_letters = fake.of(DEAD_LETTER)
        dead_letters[0] = _with_header(dead_letters[0], name, b"event_blank")
        assert name in _sole(fake.audit())[3]

    @pytest.mark.parametrize("value", [b"%s", b'{"batch": [%s]}'])
    def test_dropped_event_must_have_no_output(self, value: bytes) -> None:
        """An event that the rules drop has no output, alone or as the only item of a batch."""
        fake = FakeTopics(on_other_type="drop")
        (record,) = fake.clean(value % event(1, type="page"))
        (output,) = fake.outputs(record, on_other_type="dead-letter")
        contract = fake.processor().contract.encode()
        headers = [(n, contract if n == TrackHeader.CONTRACT else v) for n, v in output.headers]
        fake.write(output._replace(headers=headers))
        assert _sole(fake.audit())[3] == "a dead letter, but the rules drop the event"

    def test_each_fault_of_a_forwarded_call_is_found(self) -> None:
        """One is missing, one is there twice, one is changed, one is of no event."""
        fake = FakeTopics(on_other_type="forward")
        records = fake.clean(*(event(number, type="page") for number in range(3)))
        others = fake.of(OTHER)
        _edit(others, 0, value=b"{}")
        (twice,) = fake.outputs(records[1])
        fake.write(twice)
        fake.write(twice._replace(headers=[(TrackHeader.SOURCE, b"raw/0/9"), twice.headers[-1]]))
        del others[2]
        result = fake.audit()
        found = {each.kind.value: (each.source, each.detail) for each in result.discrepancies}
        assert found == {
            "missing": ("raw/0/2", "a forwarded call is expected"),
            "duplicated": ("raw/0/1", "a forwarded call in addition to the one outcome"),
            "mismatched": ("raw/0/0", found["mismatched"][1]),
            "orphaned": ("raw/0/9", "there is no such raw record"),
        }
        assert found["mismatched"][1].startswith("differs in the value at")

    @pytest.mark.parametrize("before", ["drop", "dead-letter"])
    def test_calls_from_before_they_were_forwarded_are_excused(self, before: str) -> None:
        """Outputs under the earlier setting need no forwarded call."""
        fake = FakeTopics(on_other_type="forward")
        for record in [fake.send(event(1)), fake.send(event(2, type="page"))]:
            fake.process(record, on_other_type=before)
        fake.clean(event(3, type="page"))
        result = fake.audit()
        assert result.ok, result.discrepancies
        assert result.excluded["perhaps_dropped"] == (before == "drop")

    def test_identify_messages_are_audited(self) -> None:
        """One message is missing, one is duplicated, one belongs to an event without traits."""
        fake = FakeTopics(identify=[{"event": "*"}])
        records = fake.clean(event(1, **TRAITS), event(2, **TRAITS), event(3))
        fake.of(IDENTIFY).pop(0)
        _, message = fake.outputs(records[1])
        fake.write(message)
        contract = message.headers[-1]
        fake.write(message._replace(headers=[(TrackHeader.SOURCE, b"raw/0/2"), contract]))
        result = fake.audit()
        assert _counts(result) == {"missing": 1, "duplicated": 1, "orphaned": 1}
        assert [discrepancy.source for discrepancy in result.discrepancies] == [
            "raw/0/0",
            "raw/0/1",
            "raw/0/2",
        ]

    def test_output_of_an_aborted_record_is_orphaned(self) -> None:
        """A raw record that was never committed has no outputs."""
        fake = FakeTopics()
        fake.clean(event(1), event(2))
        fake.topics[NAMES.raw, 0].pop(0)
        assert _sole(fake.audit())[:2] == ("orphaned", "raw/0/0")


class TestOrder:
    """Events of one key must be in the order in which they were sent."""

    @pytest.mark.parametrize(
        ("keys", "late"),
        [((b"k", b"k"), 1), ((b"k", b"other"), 0), ((None, None), 0)],
    )
    def test_order_counts_within_one_key(
        self, keys: tuple[bytes | None, bytes | None], late: int
    ) -> None:
        """Two neighbours in the wrong order are a discrepancy when they have the same key."""
        fake = FakeTopics()
        records = [fake.send(event(n), key) for n, key in enumerate((*keys, b"last"))]
        for number in (1, 0, 2):
            fake.process(records[number])
        fake.committed[0] = 3
        result = fake.audit()
        assert result.out_of_order == result.discrepancy_count == late
        if late:
            assert result.discrepancies[0].source == "raw/0/1"
            assert result.discrepancies[0].output == "enriched/0/0"

    def test_every_late_event_counts(self) -> None:
        """Each late event is found, even with many others in between."""
        fake = FakeTopics()
        records = [fake.send(event(n), b"%d" % (n % 5)) for n in range(40)]
        for record in records[20:] + records[:20]:
            fake.process(record)
        fake.committed[0] = 40
        assert _counts(fake.audit()) == {"out_of_order": 20}

    def test_late_event_of_another_key_hides_nothing(self) -> None:
        """A late event of another key does not hide the one that counts."""
        fake = FakeTopics()
        a1, b1, a2, b2 = (fake.send(event(n), key) for n, key in enumerate((b"a", b"b") * 2))
        for record in (a2, b1, b2, a1):
            fake.process(record)
        fake.committed[0] = 4
        assert _sole(fake.audit())[:3] == ("out_of_order", "raw/0/2", "enriched/0/0")

    def test_duplicate_is_not_late(self) -> None:
        """The second copy of an event is a duplicate; the first one decides the order."""
        fake = FakeTopics()
        records = fake.clean(event(1), event(2), event(3))
        for record in records:
            fake.process(record)
        assert _counts(fake.audit()) == {"duplicated": 3}

    def test_records_without_keys_have_no_order(self) -> None:
        """Records without a key may come in any order."""
        fake = FakeTopics()
        for record in reversed([fake.send(event(n), None) for n in range(9)]):
            fake.process(record)
        fake.committed[0] = 9
        assert fake.audit().ok

    def test_order_ends_where_the_partition_changes(self) -> None:
        """A key that went to another partition has no order to keep."""
        fake = FakeTopics()
        first, second = fake.send(event(1)), fake.send(event(2))
        fake.process(second)
        (output,) = fake.outputs(first)
        fake.write(output._replace(partition=1))
        fake.committed[0] = 2
        assert fake.audit().ok


class TestExclusions:
    """What is no discrepancy is counted with the word for it."""

    def test_when_and_by_whom_is_not_compared(self) -> None:
        """Time, program, attempt and Connect's headers of a dead letter may differ."""
        fake = FakeTopics()
        record = fake.send(b"{")
        fake.process(
            record, Identity(app="old/1", group="other"), dead_letter={"connect_headers": True}
        )
        dead_letters = fake.of(DEAD_LETTER)
        dead_letters[0] = _with_header(dead_letters[0], DlqHeader.ATTEMPT, b"7")
        dead_letters[0] = _with_header(
            dead_letters[0], DlqHeader.FIRST_FAILED_AT, b"2020-01-01T00:00:00.000Z"
        )
        assert fake.audit().ok

    def test_other_contract_is_checked_for_presence(self) -> None:
        """Under another contract every output is right that exists exactly once."""
        fake = FakeTopics()
        for number in range(4):
            fake.process(
                fake.send(event(number, properties={"revenue": 1})), default_currency="EUR"
            )
        fake.clean(event(9))
        assert fake.audit().excluded == {"other_rules": 4}
        _edit(fake.of(ENRICHED), 0, value=b"changed")
        assert fake.audit().ok
        fake.of(ENRICHED).pop(1)
        fake.process(fake.topics[NAMES.raw, 0][2], default_currency="EUR")
        fake.committed[0] = 5
        result = fake.audit()
        assert _counts(result) == {"missing": 1, "duplicated": 1}

    def test_other_contract_may_give_the_other_outcome(self) -> None:
        """An event that other rules enriched may be rejected by these."""
        fake = FakeTopics()
        value = event(1, properties={"currency": "XQX", "revenue": 1})
        fake.process(fake.send(value), currency={"extra_codes": ["XQX"]})
        assert fake.audit().ok

    @pytest.mark.parametrize("now_whole", [True, False])
    def test_other_contract_may_split_a_batch(self, *, now_whole: bool) -> None:
        """A batch may be whole under one contract and split under the other."""
        small: dict[str, Any] = {"limits": {"max_batch_output_bytes": 1}}
        fake = FakeTopics(**small) if now_whole else FakeTopics()
        other: dict[str, Any] = {"limits": {}} if now_whole else small
        fake.process(fake.send(BATCH), **other)
        assert fake.audit().ok
        fake.process(fake.topics[NAMES.raw, 0][0], **other)
        assert _counts(fake.audit()) == {"duplicated": 3 if now_whole else 1}

    def test_other_contract_may_have_dropped_events(self) -> None:
        """Calls of another type that other rules dropped are excluded while those rules applied."""
        fake = FakeTopics()
        drop: dict[str, Any] = {"on_other_type": "drop"}
        for number in range(3):
            fake.process(fake.send(event(number)), **drop)
            fake.process(fake.send(event(number, type="page")), **drop)
        fake.clean(event(7))
        fake.process(fake.send(event(8, type="page")), **drop)
        result = fake.audit()
        assert result.excluded["perhaps_dropped"] == 3
        assert _sole(result)[:2] == ("missing", "raw/0/7")

    def test_other_contract_may_give_other_identify_messages(self) -> None:
        """Other rules may have made more identify messages, or fewer."""
        fake = FakeTopics(identify=[{"event": "*"}])
        fake.process(fake.send(event(1, **TRAITS)), identify=[])
        fake.process(
            fake.send(event(2, **TRAITS)), identify=[{"event": "*"}], default_currency="EUR"
        )
        fake.clean(event(3, **TRAITS))
        assert fake.audit().ok
        fewer = FakeTopics(identify=[{"event": "never"}])
        fewer.process(fewer.send(event(1, **TRAITS)), identify=[{"event": "*"}])
        assert fewer.audit().ok
        fewer.process(fewer.topics[NAMES.raw, 0][0], identify=[{"event": "*"}])
        assert _counts(fewer.audit()) == {"duplicated": 2}

    @pytest.mark.parametrize("value", [event(1), BATCH, b"{", None])
    @pytest.mark.parametrize("stage", [Stage.PRODUCE, Stage.CRASH])
    def test_set_aside_record_has_one_dead_letter(self, value: bytes | None, stage: Stage) -> None:
        """A dead letter of stage produce or crash is the outcome of the whole record."""
        fake = FakeTopics(identify=[{"event": "*"}])
        record = fake.send(value)
        reason = Reason.TIMESTAMP_REFUSED
        dead_letter = fake.processor().set_aside(record, TIME, reason, stage, "refused")
        fake.write(dead_letter)
        fake.committed[0] = 1
        result = fake.audit()
        assert result.ok, result.discrepancies
        assert result.excluded == {"set_aside": 1}
        fake.write(dead_letter)
        assert _counts(fake.audit()) == {"duplicated": 1}
        fake.of(DEAD_LETTER).pop()
        _edit(fake.of(DEAD_LETTER), 0, value=b"?")
        assert _counts(fake.audit()) == {"mismatched": 1}

    def test_record_that_crashes_the_rules_is_dead_lettered(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A record on which the rules raise must have a dead letter."""
        fake = FakeTopics()
        record = fake.send(event(1))
        fake.write(fake.processor().crashed(record, TIME))
        fake.committed[0] = 1

        def stumble(*_: object) -> None:
            raise ArithmeticError

        monkeypatch.setattr(Processor, "process", stumble)
        result = fake.audit()
        assert (result.ok, result.dead_letters) == (True, 1), result.discrepancies

    def test_set_aside_record_has_no_other_outputs(self) -> None:
        """The events of a record that was set aside must not exist as well."""
        fake = FakeTopics()
        (record,) = fake.clean(BATCH)
        fake.write(fake.processor().crashed(record, TIME))
        assert _counts(fake.audit()) == {"duplicated": 3}

    def test_pointer_must_match_its_record(self) -> None:
        """A pointer must have the hash and size of the dead letter that it replaces."""
        fake = FakeTopics()
        record = fake.send(b"{" * 50)
        (dead_letter,) = fake.outputs(record)
        fake.write(pointer_to(dead_letter))
        fake.write(pointer_to(fake.processor().crashed(fake.send(event(1)), TIME)))
        fake.committed[0] = 2
        result = fake.audit()
        assert result.ok, result.discrepancies
        assert result.excluded == {"pointers": 2, "set_aside": 1}
        fake.of(DEAD_LETTER)[0] = fake.of(DEAD_LETTER)[0]._replace(
            value=(fake.of(DEAD_LETTER)[0].value or b"").replace(b'"size": 50', b'"size": 51')
        )
        assert _sole(fake.audit())[:2] == ("mismatched", "raw/0/0")

    def test_replays_and_redrives_are_excluded(self) -> None:
        """Outputs of a replay or a redrive are counted, not compared."""
        fake = FakeTopics()
        records = fake.clean(event(1), b"{")
        for record in records:
            fake.process(record, Identity(app="worker", replay="r1"))
        (output,) = fake.outputs(records[0])
        fake.write(output._replace(headers=[*output.headers, (TrackHeader.REDRIVE, b"d1")]))
        result = fake.audit()
        assert result.ok
        assert result.excluded == {"replayed": 2, "redriven": 1}

    def test_dead_letters_of_other_programs_are_excluded(self) -> None:
        """Another program may write to the same dead-letter topic."""
        fake = FakeTopics()
        fake.clean(b"{")
        dead_letter = fake.of(DEAD_LETTER)[0]
        other = [("__connect.errors.topic", b"x")]
        fake.of(DEAD_LETTER).append(dead_letter._replace(offset=1, headers=other))
        fake._next[NAMES.dead_letter, 0] = 2  # noqa: SLF001  ours
        assert fake.audit().excluded == {"foreign": 1}

    def test_outputs_of_another_pipeline_are_excluded(self) -> None:
        """Another pipeline may write to the same enriched topic."""
        fake = FakeTopics()
        (record,) = fake.clean(event(1))
        (output,) = fake.outputs(record._replace(topic="raw.other"))
        fake.write(output)
        assert fake.audit().excluded == {"outside": 1}

    def test_outputs_above_the_committed_offset_are_excluded(self) -> None:
        """What a running group writes during the audit is not checked."""
        fake = FakeTopics()
        records = [fake.send(event(n)) for n in range(4)]
        for record in records[:3]:
            fake.process(record)
        fake.committed[0] = 2
        result = fake.audit()
        assert (result.ok, result.records, result.excluded) == (True, 2, {"outside": 1})

    def test_outputs_of_deleted_raw_records_are_excluded(self) -> None:
        """Outputs are before the window when retention has deleted their raw records."""
        fake = FakeTopics()
        fake.clean(event(1), event(2), event(3))
        fake.topics[NAMES.raw, 0].pop(0)
        fake.begins[NAMES.raw, 0] = 1
        result = fake.audit()
        assert (result.ok, result.records, result.excluded) == (True, 2, {"before": 1})

    def test_expired_outputs_are_excluded(self) -> None:
        """Outputs that expired before their raw records are not missing; others are."""
        fake = FakeTopics()
        fake.clean(*(event(n) for n in range(6)))
        del fake.of(ENRICHED)[:2]
        fake.begins[NAMES.enriched, 0] = 2
        assert fake.audit().excluded == {"expired": 2}
        fake.of(ENRICHED).pop(1)
        assert _sole(fake.audit())[:2] == ("missing", "raw/0/3")

    @pytest.mark.parametrize(
        ("part", "has_gap"),
        [((0, 0, 9), False), ((5, 5, 9), True), ((5, 7, 9), False), ((9, 9, 9), True)],
    )
    def test_gap_is_where_reading_begins(
        self, part: tuple[int, int, int], *, has_gap: bool
    ) -> None:
        """Deleted outputs matter only when reading begins with the first that is left."""
        assert OutputPartition(*part).has_gap == has_gap

    def test_outputs_of_compacted_records_are_excluded(self) -> None:
        """An output may outlive a raw record that compaction has deleted."""
        fake = FakeTopics()
        fake.clean(event(1), event(2))
        fake.topics[NAMES.raw, 0].pop(0)
        result = fake.audit(raw_is_compacted=True)
        assert (result.ok, result.excluded) == (True, {"compacted": 1})

    def test_timestamps_of_the_broker_are_not_compared(self) -> None:
        """A topic with LogAppendTime has timestamps of its own."""
        fake = FakeTopics()
        fake.clean(event(1))
        _edit(fake.of(ENRICHED), 0, timestamp=TIME + 77)
        assert fake.audit(stamped_by_broker=frozenset({ENRICHED})).ok
        assert not fake.audit().ok

    def test_record_without_timestamp_has_any(self) -> None:
        """The output of a record without timestamp has one that depends on when it was made."""
        fake = FakeTopics()
        received = "2015-12-12T19:11:01.266Z"
        fake.process(fake.send(event(1, receivedAt=received), timestamp=None))
        _edit(fake.of(ENRICHED), 0, timestamp=1)
        assert fake.audit().ok

    def test_every_exclusion_has_a_meaning(self) -> None:
        """Every word for what is excluded has a meaning for the report."""
        fake = FakeTopics()
        fake.clean(event(1))
        fake.process(fake.topics[NAMES.raw, 0][0], Identity(app="a", replay="r"))
        assert set(fake.audit().excluded) <= set(EXCLUDED)


class TestCopies:
    """With accepted origin headers a copy's outputs are named after its origin."""

    def _copy(self, fake: FakeTopics, origin: bytes, value: bytes, partition: int = 0) -> Record:
        headers = [
            (TrackHeader.ORIGIN, origin),
            (TrackHeader.ORIGIN_TIMESTAMP, b"%d" % TIME),
            (DlqHeader.ATTEMPT, b"1"),
        ]
        return fake.send(value, headers=headers, partition=partition)

    def test_repaired_copy_has_an_outcome_of_its_own(self) -> None:
        """The dead letter and the enriched event of its repaired copy are both right."""
        fake = FakeTopics(accept_origin_headers=True)
        fake.clean(b"{", event(2))
        fake.process(self._copy(fake, b"raw/0/0", event(1), partition=1))
        result = fake.audit()
        assert result.ok, result.discrepancies
        assert (result.events, result.excluded) == (3, {"copies": 1})

    def test_copy_that_fails_again_is_no_duplicate(self) -> None:
        """A record and its copy have two dead letters of one source, and a third is a duplicate."""
        fake = FakeTopics(accept_origin_headers=True)
        fake.clean(b"{")
        copy = self._copy(fake, b"raw/0/0", b"{")
        fake.process(copy)
        assert fake.audit().ok
        fake.write(fake.outputs(copy)[0])
        assert _counts(fake.audit()) == {"duplicated": 1}

    def test_missing_outcome_of_a_copy_names_the_origin(self) -> None:
        """A copy without outcome is reported under the coordinates of its origin."""
        fake = FakeTopics(accept_origin_headers=True)
        fake.clean(b"{")
        self._copy(fake, b"raw/0/0", event(1))
        fake.committed[0] = 2
        kind, source, _, detail = _sole(fake.audit())
        assert (kind, source) == ("missing", "raw/0/0")
        assert "raw/0/1" in detail

    def test_copies_from_another_topic_are_audited(self) -> None:
        """Copies of items of another topic are compared one by one."""
        fake = FakeTopics(accept_origin_headers=True)
        for item in range(3):
            fake.process(self._copy(fake, b"old/3/4/%d" % item, event(item)))
        assert fake.audit().ok
        _edit(fake.of(ENRICHED), 1, value=b"{}")
        assert _sole(fake.audit())[:2] == ("mismatched", "old/3/4/1")

    def test_copy_above_the_committed_offset_may_have_its_outcome(self) -> None:
        """The outcome of a copy that is not committed yet may exist."""
        fake = FakeTopics(accept_origin_headers=True)
        fake.clean(b"{")
        copy = self._copy(fake, b"raw/0/0", event(1))
        assert fake.audit().ok
        fake.process(copy)
        fake.committed[0] = 1
        assert fake.audit().ok

    def test_origin_headers_need_the_setting(self) -> None:
        """Origin headers have no meaning unless they are accepted."""
        fake = FakeTopics()
        fake.process(self._copy(fake, b"raw/0/9", event(1)))
        assert fake.audit().ok


class TestWindow:
    """A window selects raw records by time."""

    def test_window_holds_record_by_record(self) -> None:
        """Outputs of records outside the window are neither missing nor orphaned."""
        fake = FakeTopics()
        for number, time in enumerate((10, 30, 20, 50, 40)):
            fake.process(fake.send(event(number), timestamp=TIME + time))
        window = Window(TIME + 20, TIME + 50)
        result = fake.audit(AuditRequest(window))
        assert (result.ok, result.records, result.excluded) == (True, 3, {"outside": 2})
        fake.of(ENRICHED).clear()
        result = fake.audit(AuditRequest(window))
        assert [discrepancy.source for discrepancy in result.discrepancies] == [
            "raw/0/1",
            "raw/0/2",
            "raw/0/4",
        ]

    def test_record_without_timestamp_is_in_no_window(self) -> None:
        """A window with bounds never selects a record without a timestamp."""
        fake = FakeTopics()
        fake.process(fake.send(event(1), timestamp=None))
        assert fake.audit(AuditRequest(Window(1, None))).records == 0


class TestResult:
    """The result has what the caller needs."""

    def test_first_of_each_kind_are_named(self) -> None:
        """All discrepancies are counted; the first of each kind are named, in order."""
        fake = FakeTopics()
        fake.clean(*(event(n) for n in range(9)))
        for record in fake.clean(event(20), event(21)):
            fake.process(record)
        del fake.of(ENRICHED)[:4]
        result = fake.audit(request=AuditRequest(show=1))
        assert (result.missing, result.duplicated) == (4, 2)
        assert [(o.kind, o.source) for o in result.discrepancies] == [
            ("missing", "raw/0/0"),
            ("duplicated", "raw/0/9"),
        ]
        assert result.to_dict()["discrepancies"][0]["source"] == "raw/0/0"

    def test_progress_is_reported_to_the_end(self) -> None:
        """Progress of each part of the work ends at its total."""
        fake = FakeTopics()
        fake.clean(*(event(n) for n in range(30)))
        reported: list[Progress] = []
        fake.audit(on_progress=reported.append)
        last = {step.what: step for step in reported}
        assert len(last) == 2
        assert all(step.done == step.total == 30 for step in last.values())

    @pytest.mark.parametrize("cache_kib", [1, 64 * 1024])
    def test_cache_size_changes_no_result(self, cache_kib: int) -> None:
        """A small cache finds the same as a large one."""
        fake, dice = FakeTopics(identify=[{"event": "*"}]), random.Random(7)  # noqa: S311
        records = [
            fake.send(event(n, **TRAITS), b"%d" % dice.randrange(50), dice.randrange(2))
            for n in range(3000)
        ]
        missing = set(dice.sample(range(3000), 40))
        duplicated = set(dice.sample(sorted(set(range(3000)) - missing), 30))
        for number, record in enumerate(records):
            for _ in range(0 if number in missing else 2 if number in duplicated else 1):
                fake.process(record)
        fake.committed = {0: 3000, 1: 3000}
        result = fake.audit(request=AuditRequest(cache_kib=cache_kib))
        # Each has an identify message beside it.
        assert _counts(result) == {"missing": 80, "duplicated": 60}

    def test_full_disk_names_the_option(self) -> None:
        """A full disk is an error that names --spill-dir."""
        fake = FakeTopics()
        fake.clean(*(event(n) for n in range(3000)))
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
        try:
            with pytest.raises(OSError, match="--spill-dir"):
                fake.audit(request=AuditRequest(cache_kib=1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
