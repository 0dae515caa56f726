"""The audit on forged topics: every offence is found and named, every exemption is one."""

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
from pipeline.reconcile.audit import APART, AuditOptions, AuditResult, Kind
from pipeline.reconcile.ranges import OutputPartition
from tests.forged_headers import NAMES, TIME, Forged, event

ENRICHED, LETTER, IDENTIFY = Role.ENRICHED, Role.DEAD_LETTER, Role.IDENTIFY
BATCH: Final = json.dumps(
    {"batch": [{"event": "E", "userId": "u"}, {"event": "F", "userId": "u"}, 3]}
).encode()
TRAITS: Final[dict[str, Any]] = {"context": {"traits": {"plan": "pro"}}}


def _counts(result: AuditResult) -> dict[str, int]:
    """The kinds that were found."""
    return {kind.value: result.count(kind) for kind in Kind if result.count(kind)}


def _sole(result: AuditResult) -> tuple[str, str, str, str]:
    """The only offence."""
    (offence,) = result.offences
    assert result.offending == 1
    assert not result.ok
    return offence.kind.value, offence.source, offence.place, offence.detail


def _edit(records: list[Record], at: int, **fields: Any) -> None:
    records[at] = records[at]._replace(**fields)


def _with_header(record: Record, name: str, value: bytes) -> Record:
    kept = [header for header in record.headers if header[0] != name]
    return record._replace(headers=[*kept, (name, value)])


class TestCleanTopics:
    """What a worker writes adds up."""

    def test_every_class(self) -> None:
        """Enriched, refused, dropped, batches and identify messages, on two partitions."""
        forged = Forged(on_other_type="drop", identify=[{"event": "*"}])
        forged.clean(event(1), b"{", event(2, **TRAITS), BATCH, event(3, type="page"))
        forged.clean(None, event(4), event(5, type="screen"), partition=1)
        result = forged.audit()
        assert result.ok, result.offences
        assert (result.records, result.events) == (8, 10)
        outcomes = result.enriched, result.dead_letters, result.dropped, result.identify
        assert outcomes == (5, 3, 2, 1)
        assert result.ranges == {"raw/0": (0, 5), "raw/1": (0, 3)}
        assert not result.apart

    def test_nothing(self) -> None:
        """Empty topics add up."""
        assert Forged().audit().ok

    def test_commit_markers(self) -> None:
        """Offsets without records are none that anybody misses."""
        forged = Forged()
        forged.clean(event(1))
        forged.gap(NAMES.raw)
        forged.gap(NAMES.enriched)
        forged.clean(event(2))
        assert forged.audit().ok

    def test_other_output_partitions(self) -> None:
        """Outputs may be in any partition: the headers tell whose they are."""
        forged = Forged(partitions=3)
        for partition in range(3):
            forged.clean(event(1), event(2), b"{", partition=partition)
        merged = [record for partition in range(3) for record in forged.of(ENRICHED, partition)]
        letters = [record for partition in range(3) for record in forged.of(LETTER, partition)]
        spread = Forged(partitions=3)
        spread.topics = {place: r for place, r in forged.topics.items() if place[0] == NAMES.raw}
        spread.committed, spread._next = forged.committed, dict(forged._next)  # noqa: SLF001  ours
        for topic, records in ((NAMES.enriched, merged), (NAMES.dead_letter, letters)):
            for offset, record in enumerate(records):
                moved = record._replace(partition=0, offset=offset)
                spread.topics.setdefault((topic, 0), []).append(moved)
            spread._next[topic, 0] = len(records)  # noqa: SLF001  ours
        result = spread.audit(output_partitions=1)
        assert result.ok, result.offences


class TestOffences:
    """Each is counted once, and its coordinates are named."""

    def test_lost(self) -> None:
        """An event without any output."""
        forged = Forged()
        forged.clean(event(1), event(2), event(3))
        forged.of(ENRICHED).pop(1)
        kind, source, place, detail = _sole(forged.audit())
        assert (kind, source, place) == ("lost", "raw/0/1", "")
        assert "enriched event" in detail

    def test_lost_item(self) -> None:
        """One event of a batch."""
        forged = Forged()
        forged.clean(BATCH)
        forged.of(LETTER).clear()
        assert _sole(forged.audit())[:2] == ("lost", "raw/0/0/2")

    def test_doubled(self) -> None:
        """A second output, wherever it is; the later one is named."""
        forged = Forged()
        forged.clean(event(1), event(2))
        copy = forged.outputs(forged.of_raw(0))[0]._replace(partition=1)
        twin = forged.write(copy)
        assert _sole(forged.audit())[:3] == (
            "doubled", "raw/0/0", f"enriched/1/{twin.offset}"
        )  # fmt: skip

    def test_two_outcomes(self) -> None:
        """A dead letter beside the enriched event is one outcome too many."""
        forged = Forged()
        (record,) = forged.clean(event(1))
        letter = forged.processor().crashed(record, TIME)
        headers = [
            (name, b"validate" if name == DlqHeader.STAGE else value)
            for name, value in letter.headers
        ]
        forged.write(letter._replace(headers=headers))
        assert _sole(forged.audit())[:3] == ("doubled", "raw/0/0", "letters/0/0")

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
    def test_invented(self, source: bytes, named: str) -> None:
        """An output that names no event of the raw topic, or nothing that could be one."""
        forged = Forged()
        (record,) = forged.clean(event(1))
        forged.gap(NAMES.raw)
        forged.clean(event(2))
        output = forged.outputs(record)[0]
        forged.write(
            output._replace(
                headers=[(TrackHeader.SOURCE, source), (TrackHeader.CONTRACT, b"x")]
                if named != "raw/0/0/0"
                else [(TrackHeader.SOURCE, source), *output.headers[1:]]
            )
        )
        assert _sole(forged.audit())[:3] == ("invented", named, "enriched/0/2")

    def test_invented_behind_the_last_record(self) -> None:
        """An output of a commit marker at the very end of the raw topic."""
        forged = Forged()
        (record,) = forged.clean(event(1))
        forged.gap(NAMES.raw)
        forged.committed[0] = 2
        (output,) = forged.outputs(record._replace(offset=1))
        forged.write(output)
        assert _sole(forged.audit())[:2] == ("invented", "raw/0/1")

    def test_letter_for_a_good_event(self) -> None:
        """The class is another one."""
        forged = Forged()
        record = forged.send(event(1))
        forged.process(record, default_currency="EUR", rules={"id_not_string": "warn"})
        forged.of(ENRICHED).clear()
        (letter,) = forged.outputs(forged.send(b"{", partition=1))
        headers = [(n, b"raw/0/0" if n == DlqHeader.SOURCE else v) for n, v in letter.headers]
        forged.write(letter._replace(headers=headers, partition=0))
        kind, source, place, detail = _sole(forged.audit())
        assert (kind, source, place) == ("different", "raw/0/0", "letters/0/0")
        assert detail == "a dead letter, but the rules give an enriched event"

    @pytest.mark.parametrize(
        ("role", "change", "told"),
        [
            (ENRICHED, {"key": b"other"}, "the key"),
            (ENRICHED, {"timestamp": TIME - 1}, "timestamp"),
            (ENRICHED, {"timestamp": None}, "timestamp"),
            (ENRICHED, {"value": None}, "the value"),
            (LETTER, {"key": b"other"}, "the key"),
            (LETTER, {"value": b"[]"}, "the value"),
            (IDENTIFY, {"value": b"{}"}, "the value at"),
        ],
    )
    def test_changed(self, role: Role, change: dict[str, Any], told: str) -> None:
        """Anything about an output that is another than it must be."""
        forged = Forged(identify=[{"event": "*"}])
        forged.clean(event(1, **TRAITS), b"{")
        _edit(forged.of(role), 0, **change)
        kind, _, place, detail = _sole(forged.audit())
        assert (kind, place) == ("different", f"{forged.of(role)[0].topic}/0/0")
        assert told in detail

    def test_one_digit(self) -> None:
        """One digit of a revenue, and the place of it in the event, without its content."""
        forged = Forged()
        forged.clean(event(1, properties={"revenue": 19.99, "sku": "secret"}))
        value = forged.of(ENRICHED)[0].value or b""
        _edit(forged.of(ENRICHED), 0, value=value.replace(b"19.99", b"19.98"))
        *_, detail = _sole(forged.audit())
        assert detail == "differs in the value at /properties/revenue"

    def test_other_bytes(self) -> None:
        """The same JSON in other bytes is not what the worker writes."""
        forged = Forged()
        forged.clean(event(1))
        value = forged.of(ENRICHED)[0].value or b""
        _edit(forged.of(ENRICHED), 0, value=value.replace(b'{"type"', b'{ "type"'))
        assert "the bytes of the value" in _sole(forged.audit())[3]

    def test_headers(self) -> None:
        """A header of the sender's that is gone."""
        forged = Forged()
        forged.process(forged.send(event(1), headers=[("trace", b"1")]))
        _edit(forged.of(ENRICHED), 0, headers=forged.of(ENRICHED)[0].headers[1:])
        assert _sole(forged.audit())[3] == "differs in the headers"

    @pytest.mark.parametrize("name", [DlqHeader.REASON, DlqHeader.REASONS, DlqHeader.STAGE])
    def test_wrong_verdict(self, name: str) -> None:
        """A letter must say what the rules say."""
        forged = Forged()
        forged.clean(b"{")
        letters = forged.of(LETTER)
        letters[0] = _with_header(letters[0], name, b"event_blank")
        assert name in _sole(forged.audit())[3]

    @pytest.mark.parametrize("value", [b"%s", b'{"batch": [%s]}'])
    def test_dropped_event_with_output(self, value: bytes) -> None:
        """An output of an event that the rules drop, alone or as a batch's only item."""
        forged = Forged(on_other_type="drop")
        (record,) = forged.clean(value % event(1, type="page"))
        (output,) = forged.outputs(record, on_other_type="dead-letter")
        contract = forged.processor().contract.encode()
        headers = [(n, contract if n == TrackHeader.CONTRACT else v) for n, v in output.headers]
        forged.write(output._replace(headers=headers))
        assert _sole(forged.audit())[3] == "a dead letter, but the rules drop the event"

    def test_identify_messages(self) -> None:
        """They are held to the same: one lost, one doubled, one for an event without traits."""
        forged = Forged(identify=[{"event": "*"}])
        records = forged.clean(event(1, **TRAITS), event(2, **TRAITS), event(3))
        forged.of(IDENTIFY).pop(0)
        _, message = forged.outputs(records[1])
        forged.write(message)
        contract = message.headers[-1]
        forged.write(message._replace(headers=[(TrackHeader.SOURCE, b"raw/0/2"), contract]))
        result = forged.audit()
        assert _counts(result) == {"lost": 1, "doubled": 1, "invented": 1}
        assert [offence.source for offence in result.offences] == ["raw/0/0", "raw/0/1", "raw/0/2"]

    def test_aborted_raw_record(self) -> None:
        """An output of a raw record that was never committed."""
        forged = Forged()
        forged.clean(event(1), event(2))
        forged.topics[NAMES.raw, 0].pop(0)
        assert _sole(forged.audit())[:2] == ("invented", "raw/0/0")


class TestOrder:
    """Events of a key stand in the order in which they were sent."""

    @pytest.mark.parametrize(
        ("keys", "late"),
        [((b"k", b"k"), 1), ((b"k", b"other"), 0), ((None, None), 0)],
    )
    def test_swapped(self, keys: tuple[bytes | None, bytes | None], late: int) -> None:
        """Two neighbours in the wrong order: an offence when they have one key."""
        forged = Forged()
        records = [forged.send(event(n), key) for n, key in enumerate((*keys, b"last"))]
        for number in (1, 0, 2):
            forged.process(records[number])
        forged.committed[0] = 3
        result = forged.audit()
        assert result.out_of_order == result.offending == late
        if late:
            assert result.offences[0].source == "raw/0/1"
            assert result.offences[0].place == "enriched/0/0"

    def test_far_apart(self) -> None:
        """Each late event is counted, also where many others are between."""
        forged = Forged()
        records = [forged.send(event(n), b"%d" % (n % 5)) for n in range(40)]
        for record in records[20:] + records[:20]:
            forged.process(record)
        forged.committed[0] = 40
        assert _counts(forged.audit()) == {"out_of_order": 20}

    def test_of_one_key_only(self) -> None:
        """A late event of another key, which looks the same, does not hide the one that counts."""
        forged = Forged()
        a1, b1, a2, b2 = (forged.send(event(n), key) for n, key in enumerate((b"a", b"b") * 2))
        for record in (a2, b1, b2, a1):
            forged.process(record)
        forged.committed[0] = 4
        assert _sole(forged.audit())[:3] == ("out_of_order", "raw/0/2", "enriched/0/0")

    def test_doubled_is_not_late(self) -> None:
        """The second copy of an event is doubled; the first one decides about the order."""
        forged = Forged()
        records = forged.clean(event(1), event(2), event(3))
        for record in records:
            forged.process(record)
        assert _counts(forged.audit()) == {"doubled": 3}

    def test_without_keys(self) -> None:
        """Records without a key have no order, however many there are."""
        forged = Forged()
        for record in reversed([forged.send(event(n), None) for n in range(9)]):
            forged.process(record)
        forged.committed[0] = 9
        assert forged.audit().ok

    def test_partitions_of_outputs(self) -> None:
        """Where a key went to another partition there is no order to keep."""
        forged = Forged()
        first, second = forged.send(event(1)), forged.send(event(2))
        forged.process(second)
        (output,) = forged.outputs(first)
        forged.write(output._replace(partition=1))
        forged.committed[0] = 2
        assert forged.audit().ok


class TestExemptions:
    """What is not an offence is counted and said."""

    def test_when_and_who(self) -> None:
        """When a letter was written, by whom, at which attempt, with Connect's headers or not."""
        forged = Forged()
        record = forged.send(b"{")
        forged.process(
            record, Identity(app="old/1", group="other"), dead_letter={"connect_headers": True}
        )
        letters = forged.of(LETTER)
        letters[0] = _with_header(letters[0], DlqHeader.ATTEMPT, b"7")
        letters[0] = _with_header(
            letters[0], DlqHeader.FIRST_FAILED_AT, b"2020-01-01T00:00:00.000Z"
        )
        assert forged.audit().ok

    def test_other_rules(self) -> None:
        """Under another contract anything is right that is there exactly once."""
        forged = Forged()
        for number in range(4):
            forged.process(
                forged.send(event(number, properties={"revenue": 1})), default_currency="EUR"
            )
        forged.clean(event(9))
        assert forged.audit().apart == {"other_rules": 4}
        _edit(forged.of(ENRICHED), 0, value=b"changed")
        assert forged.audit().ok
        forged.of(ENRICHED).pop(1)
        forged.process(forged.topics[NAMES.raw, 0][2], default_currency="EUR")
        forged.committed[0] = 5
        result = forged.audit()
        assert _counts(result) == {"lost": 1, "doubled": 1}

    def test_other_class_under_other_rules(self) -> None:
        """A letter then, an enriched event now."""
        forged = Forged()
        value = event(1, properties={"currency": "XQX", "revenue": 1})
        forged.process(forged.send(value), currency={"extra_codes": ["XQX"]})
        assert forged.audit().ok

    @pytest.mark.parametrize("now_whole", [True, False])
    def test_batch_under_other_rules(self, *, now_whole: bool) -> None:
        """Whole under one contract, split under the other, in both directions."""
        small: dict[str, Any] = {"limits": {"max_batch_output_bytes": 1}}
        forged = Forged(**small) if now_whole else Forged()
        other: dict[str, Any] = {"limits": {}} if now_whole else small
        forged.process(forged.send(BATCH), **other)
        assert forged.audit().ok
        forged.process(forged.topics[NAMES.raw, 0][0], **other)
        assert _counts(forged.audit()) == {"doubled": 3 if now_whole else 1}

    def test_dropped_under_other_rules(self) -> None:
        """Calls of another type that the rules of then dropped are not lost, as far as one sees."""
        forged = Forged()
        drop: dict[str, Any] = {"on_other_type": "drop"}
        for number in range(3):
            forged.process(forged.send(event(number)), **drop)
            forged.process(forged.send(event(number, type="page")), **drop)
        forged.clean(event(7))
        forged.process(forged.send(event(8, type="page")), **drop)
        result = forged.audit()
        assert result.apart["perhaps_dropped"] == 3
        assert _sole(result)[:2] == ("lost", "raw/0/7")

    def test_identify_under_other_rules(self) -> None:
        """Messages that other rules made, or did not make."""
        forged = Forged(identify=[{"event": "*"}])
        forged.process(forged.send(event(1, **TRAITS)), identify=[])
        forged.process(
            forged.send(event(2, **TRAITS)), identify=[{"event": "*"}], default_currency="EUR"
        )
        forged.clean(event(3, **TRAITS))
        assert forged.audit().ok
        fewer = Forged(identify=[{"event": "never"}])
        fewer.process(fewer.send(event(1, **TRAITS)), identify=[{"event": "*"}])
        assert fewer.audit().ok
        fewer.process(fewer.topics[NAMES.raw, 0][0], identify=[{"event": "*"}])
        assert _counts(fewer.audit()) == {"doubled": 2}

    @pytest.mark.parametrize("value", [event(1), BATCH, b"{", None])
    @pytest.mark.parametrize("stage", [Stage.PRODUCE, Stage.CRASH])
    def test_set_aside(self, value: bytes | None, stage: Stage) -> None:
        """A letter of stage produce or crash stands for the whole record, whatever is in it."""
        forged = Forged(identify=[{"event": "*"}])
        record = forged.send(value)
        reason = Reason.TIMESTAMP_REFUSED
        letter = forged.processor().set_aside(record, TIME, reason, stage, "refused")
        forged.write(letter)
        forged.committed[0] = 1
        result = forged.audit()
        assert result.ok, result.offences
        assert result.apart == {"set_aside": 1}
        forged.write(letter)
        assert _counts(forged.audit()) == {"doubled": 1}
        forged.of(LETTER).pop()
        _edit(forged.of(LETTER), 0, value=b"?")
        assert _counts(forged.audit()) == {"different": 1}

    def test_bug_of_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What stops the worker stops the audit's processing too: a letter must be there."""
        forged = Forged()
        record = forged.send(event(1))
        forged.write(forged.processor().crashed(record, TIME))
        forged.committed[0] = 1

        def stumble(*_: object) -> None:
            raise ArithmeticError

        monkeypatch.setattr(Processor, "process", stumble)
        result = forged.audit()
        assert (result.ok, result.dead_letters) == (True, 1), result.offences

    def test_set_aside_and_processed(self) -> None:
        """Its events must not be there as well."""
        forged = Forged()
        (record,) = forged.clean(BATCH)
        forged.write(forged.processor().crashed(record, TIME))
        assert _counts(forged.audit()) == {"doubled": 3}

    def test_pointers(self) -> None:
        """A pointer must name the bytes of the letter that it stands for."""
        forged = Forged()
        record = forged.send(b"{" * 50)
        (letter,) = forged.outputs(record)
        forged.write(pointer_to(letter))
        forged.write(pointer_to(forged.processor().crashed(forged.send(event(1)), TIME)))
        forged.committed[0] = 2
        result = forged.audit()
        assert result.ok, result.offences
        assert result.apart == {"pointers": 2, "set_aside": 1}
        forged.of(LETTER)[0] = forged.of(LETTER)[0]._replace(
            value=(forged.of(LETTER)[0].value or b"").replace(b'"size": 50', b'"size": 51')
        )
        assert _sole(forged.audit())[:2] == ("different", "raw/0/0")

    def test_replays_and_redrives(self) -> None:
        """Outputs of a replay or a redrive are counted apart."""
        forged = Forged()
        records = forged.clean(event(1), b"{")
        for record in records:
            forged.process(record, Identity(app="worker", replay="r1"))
        (output,) = forged.outputs(records[0])
        forged.write(output._replace(headers=[*output.headers, (TrackHeader.REDRIVE, b"d1")]))
        result = forged.audit()
        assert result.ok
        assert result.apart == {"replayed": 2, "redriven": 1}

    def test_other_letters(self) -> None:
        """Dead letters of other programs in the same topic."""
        forged = Forged()
        forged.clean(b"{")
        letter = forged.of(LETTER)[0]
        other = [("__connect.errors.topic", b"x")]
        forged.of(LETTER).append(letter._replace(offset=1, headers=other))
        forged._next[NAMES.dead_letter, 0] = 2  # noqa: SLF001  ours
        assert forged.audit().apart == {"foreign": 1}

    def test_other_sources(self) -> None:
        """Another pipeline's outputs in the same topic."""
        forged = Forged()
        (record,) = forged.clean(event(1))
        (output,) = forged.outputs(record._replace(topic="raw.other"))
        forged.write(output)
        assert forged.audit().apart == {"outside": 1}

    def test_above_the_committed_offset(self) -> None:
        """What a running group writes meanwhile is not judged."""
        forged = Forged()
        records = [forged.send(event(n)) for n in range(4)]
        for record in records[:3]:
            forged.process(record)
        forged.committed[0] = 2
        result = forged.audit()
        assert (result.ok, result.records, result.apart) == (True, 2, {"outside": 1})

    def test_raw_retention(self) -> None:
        """Raw records that were deleted: their outputs are before the window."""
        forged = Forged()
        forged.clean(event(1), event(2), event(3))
        forged.topics[NAMES.raw, 0].pop(0)
        forged.begins[NAMES.raw, 0] = 1
        result = forged.audit()
        assert (result.ok, result.records, result.apart) == (True, 2, {"before": 1})

    def test_output_retention(self) -> None:
        """Outputs that were deleted before their raw records; one from the middle is lost."""
        forged = Forged()
        forged.clean(*(event(n) for n in range(6)))
        del forged.of(ENRICHED)[:2]
        forged.begins[NAMES.enriched, 0] = 2
        assert forged.audit().apart == {"expired": 2}
        forged.of(ENRICHED).pop(1)
        assert _sole(forged.audit())[:2] == ("lost", "raw/0/3")

    @pytest.mark.parametrize(
        ("part", "is_cut"),
        [((0, 0, 9), False), ((5, 5, 9), True), ((5, 7, 9), False), ((9, 9, 9), True)],
    )
    def test_where_reading_begins(self, part: tuple[int, int, int], *, is_cut: bool) -> None:
        """Deleted outputs matter only where reading begins with the first that is left."""
        assert OutputPartition(*part).is_cut == is_cut

    def test_compacted_raw_topic(self) -> None:
        """A raw record that compaction has deleted leaves its output."""
        forged = Forged()
        forged.clean(event(1), event(2))
        forged.topics[NAMES.raw, 0].pop(0)
        result = forged.audit(raw_is_compacted=True)
        assert (result.ok, result.apart) == (True, {"compacted": 1})

    def test_timestamps_of_the_broker(self) -> None:
        """A topic that sets timestamps itself has other ones."""
        forged = Forged()
        forged.clean(event(1))
        _edit(forged.of(ENRICHED), 0, timestamp=TIME + 77)
        assert forged.audit(stamped_by_broker=frozenset({ENRICHED})).ok
        assert not forged.audit().ok

    def test_record_without_timestamp(self) -> None:
        """Its output's timestamp depends on when it was made: it is not compared."""
        forged = Forged()
        received = "2015-12-12T19:11:01.266Z"
        forged.process(forged.send(event(1, receivedAt=received), timestamp=None))
        _edit(forged.of(ENRICHED), 0, timestamp=1)
        assert forged.audit().ok

    def test_every_word_is_explained(self) -> None:
        """The words for what is not judged have a meaning each, for the report."""
        forged = Forged()
        forged.clean(event(1))
        forged.process(forged.topics[NAMES.raw, 0][0], Identity(app="a", replay="r"))
        assert set(forged.audit().apart) <= set(APART)


class TestCopies:
    """With accepted origin headers a copy's outputs are named after its origin."""

    def _copy(self, forged: Forged, origin: bytes, value: bytes, partition: int = 0) -> Record:
        headers = [
            (TrackHeader.ORIGIN, origin),
            (TrackHeader.ORIGIN_TIMESTAMP, b"%d" % TIME),
            (DlqHeader.ATTEMPT, b"1"),
        ]
        return forged.send(value, headers=headers, partition=partition)

    def test_repaired(self) -> None:
        """A letter and the enriched event of its repaired copy: two outcomes, both right."""
        forged = Forged(accept_origin_headers=True)
        forged.clean(b"{", event(2))
        forged.process(self._copy(forged, b"raw/0/0", event(1), partition=1))
        result = forged.audit()
        assert result.ok, result.offences
        assert (result.events, result.apart) == (3, {"copies": 1})

    def test_failed_again(self) -> None:
        """Two letters of one source; a third one is doubled."""
        forged = Forged(accept_origin_headers=True)
        forged.clean(b"{")
        copy = self._copy(forged, b"raw/0/0", b"{")
        forged.process(copy)
        assert forged.audit().ok
        forged.write(forged.outputs(copy)[0])
        assert _counts(forged.audit()) == {"doubled": 1}

    def test_lost(self) -> None:
        """The copy's outcome is missing: it is named by its origin."""
        forged = Forged(accept_origin_headers=True)
        forged.clean(b"{")
        self._copy(forged, b"raw/0/0", event(1))
        forged.committed[0] = 2
        kind, source, _, detail = _sole(forged.audit())
        assert (kind, source) == ("lost", "raw/0/0")
        assert "raw/0/1" in detail

    def test_of_another_topic(self) -> None:
        """Copies from elsewhere, item by item; one is changed."""
        forged = Forged(accept_origin_headers=True)
        for item in range(3):
            forged.process(self._copy(forged, b"old/3/4/%d" % item, event(item)))
        assert forged.audit().ok
        _edit(forged.of(ENRICHED), 1, value=b"{}")
        assert _sole(forged.audit())[:2] == ("different", "old/3/4/1")

    def test_not_committed_yet(self) -> None:
        """A copy above the committed offset may have its outcome already."""
        forged = Forged(accept_origin_headers=True)
        forged.clean(b"{")
        copy = self._copy(forged, b"raw/0/0", event(1))
        assert forged.audit().ok
        forged.process(copy)
        forged.committed[0] = 1
        assert forged.audit().ok

    def test_not_accepted(self) -> None:
        """Without the setting the headers are nobody's."""
        forged = Forged()
        forged.process(self._copy(forged, b"raw/0/9", event(1)))
        assert forged.audit().ok


class TestWindow:
    """Raw records of a time."""

    def test_times_out_of_order(self) -> None:
        """Record by record: what is outside is not judged, its outputs are no invention."""
        forged = Forged()
        for number, time in enumerate((10, 30, 20, 50, 40)):
            forged.process(forged.send(event(number), timestamp=TIME + time))
        window = Window(TIME + 20, TIME + 50)
        result = forged.audit(window)
        assert (result.ok, result.records, result.apart) == (True, 3, {"outside": 2})
        forged.of(ENRICHED).clear()
        result = forged.audit(window)
        assert [offence.source for offence in result.offences] == ["raw/0/1", "raw/0/2", "raw/0/4"]

    def test_without_a_time(self) -> None:
        """A record without a timestamp is in no window that has bounds."""
        forged = Forged()
        forged.process(forged.send(event(1), timestamp=None))
        assert forged.audit(Window(1, None)).records == 0


class TestReport:
    """What the caller gets."""

    def test_the_first_of_each_kind(self) -> None:
        """Only so many are named, all are counted, in the order of the kinds."""
        forged = Forged()
        forged.clean(*(event(n) for n in range(9)))
        for record in forged.clean(event(20), event(21)):
            forged.process(record)
        del forged.of(ENRICHED)[:4]
        result = forged.audit(options=AuditOptions(show=1))
        assert (result.lost, result.doubled) == (4, 2)
        assert [(o.kind, o.source) for o in result.offences] == [
            ("lost", "raw/0/0"),
            ("doubled", "raw/0/9"),
        ]
        assert result.plain()["offences"][0]["source"] == "raw/0/0"

    def test_progress(self) -> None:
        """Each part of the work is told to its end."""
        forged = Forged()
        forged.clean(*(event(n) for n in range(30)))
        heard: list[Progress] = []
        forged.audit(on_progress=heard.append)
        last = {step.what: step for step in heard}
        assert len(last) == 2
        assert all(step.done == step.total == 30 for step in last.values())

    @pytest.mark.parametrize("cache_kib", [1, 64 * 1024])
    def test_little_memory(self, cache_kib: int) -> None:
        """The size of the cache, which bounds the memory, changes nothing that is found."""
        forged, dice = Forged(identify=[{"event": "*"}]), random.Random(7)  # noqa: S311
        records = [
            forged.send(event(n, **TRAITS), b"%d" % dice.randrange(50), dice.randrange(2))
            for n in range(3000)
        ]
        lost = set(dice.sample(range(3000), 40))
        doubled = set(dice.sample(sorted(set(range(3000)) - lost), 30))
        for number, record in enumerate(records):
            for _ in range(0 if number in lost else 2 if number in doubled else 1):
                forged.process(record)
        forged.committed = {0: 3000, 1: 3000}
        result = forged.audit(options=AuditOptions(cache_kib=cache_kib))
        # Each has an identify message beside it.
        assert _counts(result) == {"lost": 80, "doubled": 60}

    def test_full_disk(self) -> None:
        """The sentence names the option that helps."""
        forged = Forged()
        forged.clean(*(event(n) for n in range(3000)))
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
        try:
            with pytest.raises(OSError, match="--spill-dir"):
                forged.audit(options=AuditOptions(cache_kib=1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
