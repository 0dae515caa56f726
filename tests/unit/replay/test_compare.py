"""Results of changed rules against what is in the topics."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from pipeline.cli.replay.dry_run_view import differences_sentence
from pipeline.core.contract import Identity
from pipeline.core.headers import TrackHeader
from pipeline.core.record import NO_PARTITION, Record, Role
from pipeline.reconcile.compare.difference_store import Verdicts
from pipeline.reconcile.compare.dry_run import Rehearsal
from pipeline.reconcile.compare.report import Report
from pipeline.reconcile.compare.run import Compared, CompareOptions, Comparison
from pipeline.reconcile.event_filters import Filters, processor_for
from tests.forged_headers import LATER, NAMES, TIME, Forged, event
from tests.unit.replay.comparing import kinds, plan_of, report_of

WARN: Final[dict[str, Any]] = {"rules": {"revenue_invalid": "warn"}}
BATCH = json.dumps(
    {"batch": [{"event": "E", "userId": "u"}, {"event": "F", "userId": "u"}, 3]}
).encode()


def sale(number: int, revenue: Any = 10, **properties: Any) -> bytes:
    """An event with money."""
    return event(number, properties={"revenue": revenue, "currency": "EUR", **properties})


def _edit(records: list[Record], at: int, **fields: Any) -> None:
    records[at] = records[at]._replace(**fields)


class TestKinds:
    """Each way in which a result and what is there can differ."""

    def test_nothing_differs(self) -> None:
        """Batches, letters, dropped events and gaps: all identical."""
        forged = Forged(on_other_type="drop", identify=[{"event": "*"}])
        forged.clean(event(1), BATCH, b"{", None, event(2, type="page"))
        forged.gap(NAMES.raw)
        forged.clean(sale(3), partition=1)
        report = report_of(forged)
        assert report.same
        assert kinds(report) == {"identical": 8}
        assert not +report.apart

    def test_changed(self) -> None:
        """Which fields, how often, and examples with the digits of both sides."""
        forged = Forged()
        forged.clean(*(event(n, properties={"revenue": f"1{n}.50"}) for n in range(4)))
        report = report_of(forged, default_currency="EUR")
        assert kinds(report) == {"changed": 4}
        assert report.fields == {"/properties/currency": 4}
        assert len(report.samples) == 3
        sample = report.samples[0].plain()
        assert sample["source"] == "raw/0/0"
        assert sample["place"] == "enriched/0/0"
        assert sample["changes"] == [
            {"field": "/properties/currency", "before": '"USD"', "after": '"EUR"'}
        ]

    @pytest.mark.parametrize(
        ("before", "after", "same"),
        [
            (b"1.10", b"1.1", False),
            (b"19.990000000000000001", b"19.990000000000000002", False),
            (b"18446744073709551616", b"18446744073709551617", False),
            (b"1.10", b"1.10 ", True),
        ],
    )
    def test_numbers_are_compared_as_text(self, before: bytes, after: bytes, same: bool) -> None:  # noqa: FBT001
        """Every digit counts; white space does not."""
        forged = Forged()
        forged.clean(event(1, properties={"n": 7}))
        (record,) = forged.of(Role.ENRICHED)
        value = record.value or b""
        _edit(forged.of(Role.ENRICHED), 0, value=value.replace(b'"n":7', b'"n":' + before))
        raw = forged.of_raw(0)
        own = (raw.value or b"").replace(b'"n": 7', b'"n": ' + after)
        forged.topics[NAMES.raw, 0] = [raw._replace(value=own)]
        report = report_of(forged)
        assert report.same == same
        assert report.fields == ({} if same else {"/properties/n": 1})

    def test_same_json(self) -> None:
        """Other bytes of the same JSON are identical, and said."""
        forged = Forged()
        forged.clean(event(1))
        value = json.dumps(json.loads(forged.of(Role.ENRICHED)[0].value or b"")).encode()
        _edit(forged.of(Role.ENRICHED), 0, value=value)
        report = report_of(forged)
        assert report.same
        assert report.apart["respelled"] == report.kinds["identical"] == 1

    def test_key_and_headers(self) -> None:
        """They are compared too, but for our own headers."""
        forged = Forged()
        forged.clean(event(1))
        found = forged.of(Role.ENRICHED)
        headers = [*found[0].headers, ("trace", b"1"), (TrackHeader.REPLAY, b"r1")]
        _edit(found, 0, key=b"other", headers=headers)
        report = report_of(forged)
        assert report.fields == {"key": 1, "header trace": 1}
        assert report.samples[0].changes[1] == ("header trace", '"1"', None)

    def test_newly_valid_and_newly_invalid(self) -> None:
        """By reason; the same events the other way round."""
        forged = Forged()
        forged.clean(sale(1, "1,50"), sale(2, "x"), sale(3))
        report = report_of(forged, **WARN)
        assert kinds(report) == {"identical": 1, "newly-valid": 2}
        assert report.reasons == {("newly-valid", "revenue_invalid"): 2}
        soft = Forged(**WARN)
        soft.clean(sale(1, "1,50"), sale(2, "x"), sale(3))
        report = report_of(soft, rules={"revenue_invalid": "reject"})
        assert kinds(report) == {"identical": 1, "newly-invalid": 2}
        (first, _) = report.samples
        assert (first.source, first.place) == ("raw/0/0", "enriched/0/0")
        assert first.detail.startswith("revenue is text")

    def test_other_reason(self) -> None:
        """Refused before and now, for other reasons."""
        forged = Forged()
        forged.clean(event(1, user="", properties={"revenue": "x"}))
        report = report_of(forged, **WARN)
        assert kinds(report) == {"other-reason": 1}

    def test_missing_and_without_raw(self) -> None:
        """Lost outputs, letters too; and outputs that no raw record gives."""
        forged = Forged()
        forged.clean(sale(1), b"{", event(2), event(3))
        forged.of(Role.ENRICHED).pop(0)
        forged.of(Role.DEAD_LETTER).clear()
        forged.topics[NAMES.raw, 0].pop(2)
        report = report_of(forged)
        assert kinds(report) == {"identical": 1, "missing": 2, "without-raw": 1}
        places = {(each.kind.value, each.source) for each in report.samples}
        assert places == {
            ("missing", "raw/0/0"),
            ("missing", "raw/0/1"),
            ("without-raw", "raw/0/2"),
        }
        (row,) = report.revenue.plain()["rows"]
        assert (row["kind"], row["before"], row["after"]) == ("missing", "0.00", "10.00")

    def test_dropped(self) -> None:
        """A setting drops what was a letter, and the other way round."""
        forged = Forged()
        forged.clean(event(1, type="page"), BATCH)
        assert kinds(report_of(forged, on_other_type="drop")) == {
            "newly-dropped": 1,
            "identical": 3,
        }
        forged = Forged(on_other_type="drop")
        forged.clean(event(1, type="page"))
        assert kinds(report_of(forged, on_other_type="dead-letter")) == {"newly-invalid": 1}

    def test_without_the_letters(self) -> None:
        """Only the enriched topic: what is not there and is enriched now is newly valid."""
        forged = Forged()
        forged.clean(sale(1, "1,50"), b"{", event(2))
        report = report_of(forged, roles=(Role.ENRICHED,), **WARN)
        assert kinds(report) == {"newly-valid": 1, "identical": 2}

    def test_a_batch_that_is_split_now(self) -> None:
        """A letter for the whole record before, single events now; and the other way round."""
        small: dict[str, Any] = {"limits": {"max_batch_output_bytes": 10}}
        forged = Forged(**small)
        forged.clean(BATCH)
        report = report_of(forged, limits={})
        assert kinds(report) == {"newly-valid": 2, "other-reason": 1}
        forged = Forged()
        forged.clean(BATCH)
        report = report_of(forged, **small)
        assert kinds(report) == {"newly-invalid": 2, "other-reason": 1}


class TestMoney:
    """What finance reads."""

    def test_before_and_after(self) -> None:
        """By kind and currency, exact; the sum says what would change."""
        forged = Forged(**WARN)
        forged.clean(sale(1, "0.10"), sale(2, "1,50"), event(3, properties={"revenue": 5}))
        changed = report_of(forged, default_currency="GBP", rules={"revenue_invalid": "reject"})
        document = changed.revenue.plain()
        rows = {(row["kind"], row["currency"]): row for row in document["rows"]}
        assert rows["changed", "USD"]["before"] == "5.00"
        assert rows["changed", "GBP"]["difference"] == "5.00"
        assert document["unreadable"] == {"before": 1, "after": 0}
        totals = {row["currency"]: row["difference"] for row in document["totals"]}
        assert totals == {"GBP": "5.00", "USD": "-5.00"}

    def test_newly_valid(self) -> None:
        """What was held back is added."""
        forged = Forged(currency={"extra_codes": []})
        coin = {"revenue": "0.1", "currency": "QQQ"}
        forged.clean(*(event(n, properties=coin) for n in range(3)))
        report = report_of(forged, currency={"extra_codes": ["QQQ"]})
        (row,) = report.revenue.plain()["rows"]
        assert (row["before"], row["after"], row["currency"]) == ("0.00", "0.30", "QQQ")


class TestSentAgain:
    """Redrives, replays and copies."""

    def _redriven(self, forged: Forged, raw: Record, **settings: Any) -> None:
        (output,) = forged.outputs(raw, **settings)
        headers = [*output.headers, (TrackHeader.REDRIVE, b"redrive-1")]
        forged.write(output._replace(headers=headers))

    def test_redriven_counts_as_valid(self) -> None:
        """A letter stays in its topic when it is sent again: the event is what is there."""
        forged = Forged()
        (raw,) = forged.clean(sale(1, "x"))
        self._redriven(forged, raw, **WARN)
        assert kinds(report_of(forged, **WARN)) == {"identical": 1}

    def test_repaired_events_are_no_difference(self) -> None:
        """The raw topic does not hold the repair: whatever the rules give, it is not what counts.

        They have a class of their own, with examples, but no part in fields and money.
        """
        for rules in ({}, WARN):
            forged = Forged()
            forged.clean(sale(1, "1,9"), sale(2))
            repaired = forged.of_raw(0)._replace(value=sale(1, 1.9))
            self._redriven(forged, repaired)
            report = report_of(forged, **rules)
            assert kinds(report) == {"identical": 1, "redriven": 1}
            assert report.same
            assert not report.fields
            assert not list(report.revenue.rows())
            (sample,) = report.samples
            assert (sample.kind.value, sample.place) == ("redriven", "enriched/0/1")
            assert "1 redriven event" in differences_sentence(report)

    def test_repair_that_makes_more_events(self) -> None:
        """A repaired batch may have items that the raw one has not: they are no strays either."""
        forged = Forged()
        forged.clean(BATCH[:-1])
        self._redriven_batch(forged, forged.of_raw(0)._replace(value=BATCH))
        assert kinds(report_of(forged)) == {"identical": 1, "redriven": 2}

    def _redriven_batch(self, forged: Forged, raw: Record) -> None:
        for output in forged.outputs(raw):
            if output.role is Role.ENRICHED:
                headers = [*output.headers, (TrackHeader.REDRIVE, b"redrive-1")]
                forged.write(output._replace(headers=headers))

    def test_redriven_event_whose_raw_record_is_gone(self) -> None:
        """A compacted raw topic may have lost it; nothing is wrong with the event."""
        forged = Forged()
        forged.clean(sale(1, "1,9"), event(2))
        self._redriven(forged, forged.of_raw(0)._replace(value=sale(1, 1.9)))
        del forged.topics[NAMES.raw, 0][0]
        assert kinds(report_of(forged)) == {"identical": 1, "redriven": 1}

    def test_headers_that_a_redrive_leaves_out(self) -> None:
        """They are no difference, of redriven events alone."""
        forged = Forged()
        raw = forged.send(sale(1), headers=[("X-B3-TraceId", b"1"), ("mine", b"2")])
        forged.process(raw)
        found = forged.of(Role.ENRICHED)
        kept = [header for header in found[0].headers if header[0] != "X-B3-TraceId"]
        _edit(found, 0, headers=kept)
        options = CompareOptions(dropped_headers=["x-b3-*"])
        assert report_of(forged, options=options).fields == {"header X-B3-TraceId": 1}
        _edit(found, 0, headers=[*kept, (TrackHeader.REDRIVE, b"r")])
        assert report_of(forged, options=options).same

    def test_newest_counts(self) -> None:
        """Of several enriched events of one source the last one; what is double is said."""
        forged = Forged()
        (raw,) = forged.clean(event(1))
        forged.process(raw, default_currency_when="always")
        report = report_of(forged, default_currency_when="always")
        assert report.same
        assert report.apart["doubled"] == 1
        forged = Forged()
        (raw,) = forged.clean(event(1))
        forged.process(raw, Identity(app="x", replay="r-1"))
        assert not +report_of(forged).apart

    def _copy(self, forged: Forged, of: str, value: bytes) -> Record:
        headers = [
            (TrackHeader.ORIGIN, of.encode()),
            (TrackHeader.ORIGIN_TIMESTAMP, str(TIME).encode()),
        ]
        return forged.send(value, headers=headers)

    def test_copies_are_paired_with_their_originals(self) -> None:
        """A repaired copy takes its original's place: one event, and no difference."""
        forged = Forged(accept_origin_headers=True)
        forged.clean(sale(1, "x"), event(2))
        forged.process(self._copy(forged, "raw/0/0", sale(1, 7)))
        report = report_of(forged)
        assert kinds(report) == {"identical": 2}
        assert report.apart["copies"] == 1
        changed = report_of(forged, default_currency_when="always")
        assert kinds(changed) == {"identical": 1, "changed": 1}

    def test_copies_behind_the_window(self) -> None:
        """The window ends before the copy: it still counts for its original, and for no other."""
        forged = Forged(accept_origin_headers=True)
        forged.clean(sale(1, "x"), event(2), event(3))
        forged.process(self._copy(forged, "raw/0/0", sale(1, 7)))
        forged.process(self._copy(forged, "raw/0/2", event(3)))
        assert kinds(report_of(forged, ends={0: 2, 1: 0})) == {"identical": 2}

    def test_copy_of_an_item(self) -> None:
        """Only that item of the batch is replaced."""
        forged = Forged(accept_origin_headers=True)
        forged.clean(BATCH)
        forged.process(self._copy(forged, "raw/0/0/2", event(3)))
        assert kinds(report_of(forged)) == {"identical": 3}


class TestNotCompared:
    """What the comparison can't know is counted apart."""

    def test_window(self) -> None:
        """Records that are not meant, and items that are not."""
        forged = Forged()
        forged.clean(event(1), event(2), BATCH)
        changed = report_of(
            forged,
            rehearse={"is_meant": lambda record: record.offset == 1},
            default_currency_when="always",
        )
        assert kinds(changed) == {"changed": 1}
        report = report_of(forged, ends={0: 1, 1: 0})
        assert kinds(report) == {"identical": 1}
        assert report.apart["outside"] == 4

    def test_items_that_are_not_meant(self) -> None:
        """Of a batch only those items are compared that the filters mean."""
        forged = Forged()
        forged.clean(BATCH)
        filters = Filters(events=frozenset({"E"}))
        rules = forged.settings.model_copy(update={"default_currency_when": "always"})
        processor = processor_for(rules, Identity(app="dry run"), filters)
        what = Compared(
            plan_of(forged, (Role.ENRICHED, Role.DEAD_LETTER)),
            lambda _, partition, __: partition,
            items=lambda record: filters.items(record.value),
        )
        with Verdicts() as verdicts:
            rehearsal = Rehearsal(processor, LATER)
            comparison = Comparison(what, processor, rehearsal, verdicts, CompareOptions())
            assert kinds(comparison.run(forged)) == {"changed": 1}

    def test_at_most(self) -> None:
        """What comes behind the last record is not missed."""
        forged = Forged()
        forged.clean(event(1), event(2), event(3))
        assert kinds(report_of(forged, rehearse={"most": 2})) == {"identical": 2}

    def test_not_yet_committed(self) -> None:
        """What the live group has not come to can't be there."""
        forged = Forged()
        forged.clean(event(1))
        forged.send(event(2))
        assert kinds(report_of(forged)) == {"identical": 1, "missing": 1}
        report = report_of(forged, more={"committed": forged.committed})
        assert kinds(report) == {"identical": 1}
        assert report.apart["ahead"] == 1

    def test_expired(self) -> None:
        """What retention has deleted from the compared topic is not missing."""
        forged = Forged()
        forged.clean(event(1), event(2), event(3))
        del forged.of(Role.ENRICHED)[:2]
        forged.begins[NAMES.enriched, 0] = 2
        report = report_of(forged)
        assert kinds(report) == {"identical": 1}
        assert report.apart["expired"] == 2

    def test_foreign(self) -> None:
        """Records of other programs."""
        forged = Forged()
        forged.of(Role.DEAD_LETTER).append(
            Record(b"x", None, [("other", b"1")], LATER, NAMES.dead_letter, 0, 0)
        )
        report = report_of(forged)
        assert report.same
        assert report.apart["foreign"] == 1


class TestSingleRecords:
    """Raw records from elsewhere, in any order."""

    def test_some_of_them(self) -> None:
        """Nothing is said of what is there besides; lines without coordinates are counted."""
        forged = Forged()
        forged.clean(sale(1, "x"), event(2), BATCH, event(3, properties={"revenue": 1}))
        records = [forged.of_raw(number) for number in (3, 0, 2)]
        records.append(Record(event(4), None, (), None, "a.ndjson", NO_PARTITION, 1))
        report = report_of(forged, records=records, default_currency="EUR", **WARN)
        assert kinds(report) == {"identical": 3, "newly-valid": 1, "changed": 1}
        assert report.apart["without_coordinates"] == 1

    def test_copies(self) -> None:
        """As from the topic."""
        forged = Forged(accept_origin_headers=True)
        forged.clean(sale(1, "x"))
        copy = forged.send(sale(1, 7), headers=[(TrackHeader.ORIGIN, b"raw/0/0")])
        forged.process(copy)
        assert kinds(report_of(forged, records=[forged.of_raw(0), copy])) == {"identical": 1}


class TestSamples:
    """Bounded, and without personal data."""

    def test_masked(self) -> None:
        """Unless they are to be revealed."""
        forged = Forged()
        forged.clean(event(1, properties={"mail": "a@example.com"}))
        found = forged.of(Role.ENRICHED)
        _edit(found, 0, value=(found[0].value or b"").replace(b"a@ex", b"b@ex"))
        (change,) = report_of(forged).samples[0].changes
        assert change == ("/properties/mail", "***", "***")
        (change,) = report_of(forged, options=CompareOptions(reveal=True)).samples[0].changes
        assert change == ("/properties/mail", '"b@example.com"', '"a@example.com"')

    def test_bounded(self) -> None:
        """So many of each reason, all of them counted."""
        forged = Forged()
        forged.clean(*(sale(n, "x") for n in range(9)))
        report = report_of(forged, options=CompareOptions(show=2), **WARN)
        assert report.kinds["newly-valid"] == 9
        assert len(report.samples) == 2

    def test_many_fields(self) -> None:
        """Names that differ from event to event do not fill the memory."""
        report = Report()
        for number in range(1005):
            report.count_field(f"/properties/{number}")
        report.count_field("/properties/0")
        assert (len(report.fields), report.more_fields) == (1000, 5)
        assert report.fields["/properties/0"] == 2

    def test_document(self) -> None:
        """The whole report is JSON."""
        forged = Forged()
        forged.clean(sale(1), sale(2, "x"), BATCH)
        document = report_of(forged, default_currency_when="always").plain()
        assert json.loads(json.dumps(document)) == document
        assert document["events"]["changed"] == 2
