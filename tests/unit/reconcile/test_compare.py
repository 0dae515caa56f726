"""Results of changed rules are compared with existing outputs."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

import pytest

from pipeline.cli.replay.dry_run_view import differences_sentence
from pipeline.core.contract import Identity
from pipeline.core.headers import TrackHeader
from pipeline.core.record import NO_PARTITION, Record, Role
from pipeline.reconcile.compare.comparison import Comparison, ComparisonTarget
from pipeline.reconcile.compare.difference_store import DifferenceStore
from pipeline.reconcile.compare.dry_run import DryRunProcessor
from pipeline.reconcile.compare.field_diff import CompareOptions
from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.reconcile.event_filters import Filters, processor_for
from tests.fake_topics import LATER, NAMES, TIME, FakeTopics, event
from tests.unit.reconcile.comparing import EVERY_ROLE, kinds, ranges_of, report_of

WARN: Final[dict[str, Any]] = {"rules": {"revenue_invalid": "warn"}}
BATCH = json.dumps(
    {"batch": [{"event": "E", "userId": "u"}, {"event": "F", "userId": "u"}, 3]}
).encode()


def sale(number: int, revenue: Any = 10, **properties: Any) -> bytes:
    """Return an event with revenue."""
    return event(number, properties={"revenue": revenue, "currency": "EUR", **properties})


def _edit(records: list[Record], at: int, **fields: Any) -> None:
    records[at] = records[at]._replace(**fields)


class TestKinds:
    """Results and existing outputs can differ in each of these ways."""

    def test_nothing_differs_under_the_same_rules(self) -> None:
        """Batches, dead letters, dropped events and gaps are all identical."""
        fake = FakeTopics(on_other_type="drop", identify=[{"event": "*"}])
        fake.clean(event(1), BATCH, b"{", None, event(2, type="page"))
        fake.gap(NAMES.raw)
        fake.clean(sale(3), partition=1)
        report = report_of(fake)
        assert report.same
        assert kinds(report) == {"identical": 8}
        assert not +report.excluded

    def test_changed_events_name_their_fields(self) -> None:
        """Fields are counted, and samples show the digits of both sides."""
        fake = FakeTopics()
        fake.clean(*(event(n, properties={"revenue": f"1{n}.50"}) for n in range(4)))
        report = report_of(fake, default_currency="EUR")
        assert kinds(report) == {"changed": 4}
        assert report.fields == {"/properties/currency": 4}
        assert len(report.samples) == 3
        sample = report.samples[0].to_dict()
        assert sample["source"] == "raw/0/0"
        assert sample["output"] == "enriched/0/0"
        assert sample["changes"] == [
            {"field": "/properties/currency", "before": '"USD"', "after": '"EUR"'}
        ]

    @pytest.mark.parametrize(
        ("before", "after", "same"),
        [
            (b"1.10", b"1.1", True),
            (b"1E+3", b"1e3", True),
            (b"1E-7", b"0.0000001", True),
            (b"19.990000000000000001", b"19.990000000000000002", False),
            (b"18446744073709551616", b"18446744073709551617", False),
            (b"1.10", b"1.10 ", True),
        ],
    )
    def test_numbers_are_compared_by_value(self, before: bytes, after: bytes, same: bool) -> None:  # noqa: FBT001
        """Every digit counts, but neither white space nor how a number is written."""
        fake = FakeTopics()
        fake.clean(event(1, properties={"n": 7}))
        (record,) = fake.of(Role.ENRICHED)
        value = record.value or b""
        _edit(fake.of(Role.ENRICHED), 0, value=value.replace(b'"n": 7', b'"n": ' + before))
        raw = fake.of_raw(0)
        own = (raw.value or b"").replace(b'"n": 7', b'"n": ' + after)
        fake.topics[NAMES.raw, 0] = [raw._replace(value=own)]
        report = report_of(fake)
        assert report.same == same
        assert report.fields == ({} if same else {"/properties/n": 1})

    def test_same_json_is_identical(self) -> None:
        """Other bytes of the same JSON are identical and counted as respelled."""
        fake = FakeTopics()
        fake.clean(event(1))
        value = json.dumps(json.loads(fake.of(Role.ENRICHED)[0].value or b"")).encode()
        _edit(fake.of(Role.ENRICHED), 0, value=value)
        report = report_of(fake)
        assert report.same
        assert report.excluded["respelled"] == report.kinds["identical"] == 1

    def test_key_and_headers_are_compared(self) -> None:
        """Key and headers are compared, except our own headers."""
        fake = FakeTopics()
        fake.clean(event(1))
        found = fake.of(Role.ENRICHED)
        headers = [*found[0].headers, ("trace", b"1"), (TrackHeader.REPLAY, b"r1")]
        _edit(found, 0, key=b"other", headers=headers)
        report = report_of(fake)
        assert report.fields == {"key": 1, "header trace": 1}
        assert report.samples[0].changes[1] == ("header trace", '"1"', None)

    def test_newly_valid_and_newly_invalid_events_have_reasons(self) -> None:
        """Events are counted by reason in both directions."""
        fake = FakeTopics()
        fake.clean(sale(1, "1,50"), sale(2, "x"), sale(3))
        report = report_of(fake, **WARN)
        assert kinds(report) == {"identical": 1, "newly-valid": 2}
        assert report.reasons == {("newly-valid", "revenue_invalid"): 2}
        soft = FakeTopics(**WARN)
        soft.clean(sale(1, "1,50"), sale(2, "x"), sale(3))
        report = report_of(soft, rules={"revenue_invalid": "reject"})
        assert kinds(report) == {"identical": 1, "newly-invalid": 2}
        (first, _) = report.samples
        assert (first.source, first.output) == ("raw/0/0", "enriched/0/0")
        assert first.detail.startswith("revenue is text")

    def test_reason_may_change(self) -> None:
        """An event may be rejected before and now, for different reasons."""
        fake = FakeTopics()
        fake.clean(event(1, user="", properties={"revenue": "x"}))
        report = report_of(fake, **WARN)
        assert kinds(report) == {"other-reason": 1}

    def test_missing_and_orphaned_outputs_are_found(self) -> None:
        """Missing enriched events and dead letters are found, and outputs without a raw record."""
        fake = FakeTopics()
        fake.clean(sale(1), b"{", event(2), event(3))
        fake.of(Role.ENRICHED).pop(0)
        fake.of(Role.DEAD_LETTER).clear()
        fake.topics[NAMES.raw, 0].pop(2)
        report = report_of(fake)
        assert kinds(report) == {"identical": 1, "missing": 2, "orphaned": 1}
        places = {(each.kind.value, each.source) for each in report.samples}
        assert places == {
            ("missing", "raw/0/0"),
            ("missing", "raw/0/1"),
            ("orphaned", "raw/0/2"),
        }
        (row,) = report.revenue.to_dict()["rows"]
        assert (row["kind"], row["before"], row["after"]) == ("missing", "0.00", "10.00")

    def test_setting_may_drop_events(self) -> None:
        """A setting may drop what was a dead letter, and the other way round."""
        fake = FakeTopics()
        fake.clean(event(1, type="page"), BATCH)
        assert kinds(report_of(fake, on_other_type="drop")) == {
            "newly-dropped": 1,
            "identical": 3,
        }
        fake = FakeTopics(on_other_type="drop")
        fake.clean(event(1, type="page"))
        assert kinds(report_of(fake, on_other_type="dead-letter")) == {"newly-invalid": 1}

    @pytest.mark.parametrize("before", ["drop", "dead-letter", "forward"])
    def test_setting_may_forward_calls(self, before: str) -> None:
        """Forwarded calls are compared with what there was for them, and are their raw bytes."""
        fake = FakeTopics(on_other_type=before)
        fake.clean(event(1, type="page"), event(2))
        report = report_of(fake, roles=EVERY_ROLE, on_other_type="forward")
        kind = "identical" if before == "forward" else "newly-forwarded"
        assert kinds(report) == Counter([kind, "identical"])

    def test_forwarded_calls_may_be_rejected_again(self) -> None:
        """Other rules may reject what was forwarded."""
        fake = FakeTopics(on_other_type="forward")
        fake.clean(event(1, type="page"))
        report = report_of(fake, roles=EVERY_ROLE, on_other_type="dead-letter")
        assert kinds(report) == {"newly-invalid": 1}

    def test_without_dead_letters_absent_events_are_newly_valid(self) -> None:
        """Nobody knows whether an event without output was rejected."""
        fake = FakeTopics()
        fake.clean(sale(1, "1,50"), b"{", event(2))
        report = report_of(fake, roles=(Role.ENRICHED,), **WARN)
        assert kinds(report) == {"newly-valid": 1, "identical": 2}

    def test_batch_may_be_split_or_joined(self) -> None:
        """A dead letter of a whole record may become single events, and the other way round."""
        small: dict[str, Any] = {"limits": {"max_batch_output_bytes": 10}}
        fake = FakeTopics(**small)
        fake.clean(BATCH)
        report = report_of(fake, limits={})
        assert kinds(report) == {"newly-valid": 2, "other-reason": 1}
        fake = FakeTopics()
        fake.clean(BATCH)
        report = report_of(fake, **small)
        assert kinds(report) == {"newly-invalid": 2, "other-reason": 1}


class TestRevenue:
    """The report says what a change does to the revenue."""

    def test_revenue_before_and_after_is_exact(self) -> None:
        """Revenue is exact by kind and currency, and the total says what would change."""
        fake = FakeTopics(**WARN)
        fake.clean(sale(1, "0.10"), sale(2, "1,50"), event(3, properties={"revenue": 5}))
        changed = report_of(fake, default_currency="GBP", rules={"revenue_invalid": "reject"})
        document = changed.revenue.to_dict()
        rows = {(row["kind"], row["currency"]): row for row in document["rows"]}
        assert rows["changed", "USD"]["before"] == "5.00"
        assert rows["changed", "GBP"]["difference"] == "5.00"
        assert document["unreadable"] == {"before": 1, "after": 0}
        totals = {row["currency"]: row["difference"] for row in document["totals"]}
        assert totals == {"GBP": "5.00", "USD": "-5.00"}

    def test_newly_valid_revenue_is_added(self) -> None:
        """Revenue that was blocked is added."""
        fake = FakeTopics(currency={"extra_codes": []})
        coin = {"revenue": "0.1", "currency": "QQQ"}
        fake.clean(*(event(n, properties=coin) for n in range(3)))
        report = report_of(fake, currency={"extra_codes": ["QQQ"]})
        (row,) = report.revenue.to_dict()["rows"]
        assert (row["before"], row["after"], row["currency"]) == ("0.00", "0.30", "QQQ")


class TestWrittenAgain:
    """Redrives, replays and copies write an event again."""

    def _redriven(self, fake: FakeTopics, raw: Record, **settings: Any) -> None:
        (output,) = fake.outputs(raw, **settings)
        headers = [*output.headers, (TrackHeader.REDRIVE, b"redrive-1")]
        fake.write(output._replace(headers=headers))

    def test_redriven_event_counts_more_than_its_dead_letter(self) -> None:
        """A dead letter stays in its topic when it is redriven, so the event counts."""
        fake = FakeTopics()
        (raw,) = fake.clean(sale(1, "x"))
        self._redriven(fake, raw, **WARN)
        assert kinds(report_of(fake, **WARN)) == {"identical": 1}

    def test_repaired_events_are_no_difference(self) -> None:
        """The raw topic does not hold the repair, so what the rules give does not count.

        They have a class of their own, with examples, but no part in fields and revenue.
        """
        for rules in ({}, WARN):
            fake = FakeTopics()
            fake.clean(sale(1, "1,9"), sale(2))
            repaired = fake.of_raw(0)._replace(value=sale(1, 1.9))
            self._redriven(fake, repaired)
            report = report_of(fake, **rules)
            assert kinds(report) == {"identical": 1, "redriven": 1}
            assert report.same
            assert not report.fields
            assert not list(report.revenue.rows())
            (sample,) = report.samples
            assert (sample.kind.value, sample.output) == ("redriven", "enriched/0/1")
            assert "1 redriven event" in differences_sentence(report)

    def test_repair_that_makes_more_events(self) -> None:
        """A repaired batch may have items that the raw one lacks, and they are not orphaned."""
        fake = FakeTopics()
        fake.clean(BATCH[:-1])
        self._redriven_batch(fake, fake.of_raw(0)._replace(value=BATCH))
        assert kinds(report_of(fake)) == {"identical": 1, "redriven": 2}

    def _redriven_batch(self, fake: FakeTopics, raw: Record) -> None:
        for output in fake.outputs(raw):
            if output.role is Role.ENRICHED:
                headers = [*output.headers, (TrackHeader.REDRIVE, b"redrive-1")]
                fake.write(output._replace(headers=headers))

    def test_redriven_event_whose_raw_record_is_gone(self) -> None:
        """A compacted raw topic may have lost the record, and nothing is wrong with the event."""
        fake = FakeTopics()
        fake.clean(sale(1, "1,9"), event(2))
        self._redriven(fake, fake.of_raw(0)._replace(value=sale(1, 1.9)))
        del fake.topics[NAMES.raw, 0][0]
        assert kinds(report_of(fake)) == {"identical": 1, "redriven": 1}

    def test_headers_that_a_redrive_leaves_out_are_no_difference(self) -> None:
        """Headers that a redrive leaves out are no difference, of redriven events alone."""
        fake = FakeTopics()
        raw = fake.send(sale(1), headers=[("X-B3-TraceId", b"1"), ("mine", b"2")])
        fake.process(raw)
        found = fake.of(Role.ENRICHED)
        kept = [header for header in found[0].headers if header[0] != "X-B3-TraceId"]
        _edit(found, 0, headers=kept)
        options = CompareOptions(dropped_headers=["x-b3-*"])
        assert report_of(fake, options=options).fields == {"header X-B3-TraceId": 1}
        _edit(found, 0, headers=[*kept, (TrackHeader.REDRIVE, b"r")])
        assert report_of(fake, options=options).same

    def test_last_output_counts(self) -> None:
        """Of several enriched events of one source the last counts; duplicates are reported."""
        fake = FakeTopics()
        (raw,) = fake.clean(event(1))
        fake.process(raw, default_currency_when="always")
        report = report_of(fake, default_currency_when="always")
        assert report.same
        assert report.excluded["duplicated"] == 1
        fake = FakeTopics()
        (raw,) = fake.clean(event(1))
        fake.process(raw, Identity(app="x", replay="r-1"))
        assert not +report_of(fake).excluded

    def _copy(self, fake: FakeTopics, of: str, value: bytes) -> Record:
        headers = [
            (TrackHeader.ORIGIN, of.encode()),
            (TrackHeader.ORIGIN_TIMESTAMP, str(TIME).encode()),
        ]
        return fake.send(value, headers=headers)

    def test_copies_are_paired_with_their_originals(self) -> None:
        """A repaired copy replaces its original, so there is one event and no difference."""
        fake = FakeTopics(accept_origin_headers=True)
        fake.clean(sale(1, "x"), event(2))
        fake.process(self._copy(fake, "raw/0/0", sale(1, 7)))
        report = report_of(fake)
        assert kinds(report) == {"identical": 2}
        assert report.excluded["copies"] == 1
        changed = report_of(fake, default_currency_when="always")
        assert kinds(changed) == {"identical": 1, "changed": 1}

    def test_copies_behind_the_window(self) -> None:
        """A copy after the window still counts for its original, and for no other."""
        fake = FakeTopics(accept_origin_headers=True)
        fake.clean(sale(1, "x"), event(2), event(3))
        fake.process(self._copy(fake, "raw/0/0", sale(1, 7)))
        fake.process(self._copy(fake, "raw/0/2", event(3)))
        assert kinds(report_of(fake, ends={0: 2, 1: 0})) == {"identical": 2}

    def test_copy_of_an_item_replaces_only_that(self) -> None:
        """A copy of an item replaces only that item of the batch."""
        fake = FakeTopics(accept_origin_headers=True)
        fake.clean(BATCH)
        fake.process(self._copy(fake, "raw/0/0/2", event(3)))
        assert kinds(report_of(fake)) == {"identical": 3}


class TestNotCompared:
    """What the comparison can't know is counted by itself."""

    def test_unselected_records_are_not_compared(self) -> None:
        """Only records of the window and of the selection are compared."""
        fake = FakeTopics()
        fake.clean(event(1), event(2), BATCH)
        changed = report_of(
            fake,
            dry_run={"is_selected": lambda record: record.offset == 1},
            default_currency_when="always",
        )
        assert kinds(changed) == {"changed": 1}
        report = report_of(fake, ends={0: 1, 1: 0})
        assert kinds(report) == {"identical": 1}
        assert report.excluded["outside"] == 4

    def test_unselected_items_are_not_compared(self) -> None:
        """Only the items of a batch are compared that the filters select."""
        fake = FakeTopics()
        fake.clean(BATCH)
        filters = Filters(events=frozenset({"E"}))
        rules = fake.settings.model_copy(update={"default_currency_when": "always"})
        processor = processor_for(rules, Identity(app="dry run"), filters)
        what = ComparisonTarget(
            ranges_of(fake, (Role.ENRICHED, Role.DEAD_LETTER)),
            lambda _, partition, __: partition,
            items=lambda record: filters.items(record.value),
        )
        with DifferenceStore() as difference_store:
            dry_run = DryRunProcessor(processor, LATER)
            comparison = Comparison(what, dry_run, difference_store, CompareOptions())
            assert kinds(comparison.run(fake)) == {"changed": 1}

    def test_records_behind_the_limit_are_not_missed(self) -> None:
        """Outputs of records after the limit are not orphaned."""
        fake = FakeTopics()
        fake.clean(event(1), event(2), event(3))
        assert kinds(report_of(fake, dry_run={"limit": 2})) == {"identical": 2}

    def test_uncommitted_records_are_not_missing(self) -> None:
        """Records that the live group has not committed yet can't have outputs."""
        fake = FakeTopics()
        fake.clean(event(1))
        fake.send(event(2))
        assert kinds(report_of(fake)) == {"identical": 1, "missing": 1}
        report = report_of(fake, more={"committed": fake.committed})
        assert kinds(report) == {"identical": 1}
        assert report.excluded["ahead"] == 1

    def test_expired_outputs_are_not_missing(self) -> None:
        """Outputs that retention has deleted from the compared topic are not missing."""
        fake = FakeTopics()
        fake.clean(event(1), event(2), event(3))
        del fake.of(Role.ENRICHED)[:2]
        fake.begins[NAMES.enriched, 0] = 2
        report = report_of(fake)
        assert kinds(report) == {"identical": 1}
        assert report.excluded["expired"] == 2

    def test_records_of_other_programs_are_counted(self) -> None:
        """Records of other programs in the compared topics are counted."""
        fake = FakeTopics()
        fake.of(Role.DEAD_LETTER).append(
            Record(b"x", None, [("other", b"1")], LATER, NAMES.dead_letter, 0, 0)
        )
        report = report_of(fake)
        assert report.same
        assert report.excluded["foreign"] == 1


class TestSingleRecords:
    """Raw records may come from elsewhere, in any order."""

    def test_other_outputs_are_not_reported(self) -> None:
        """Outputs of other records are not reported, and lines without coordinates are counted."""
        fake = FakeTopics()
        fake.clean(sale(1, "x"), event(2), BATCH, event(3, properties={"revenue": 1}))
        records = [fake.of_raw(number) for number in (3, 0, 2)]
        records.append(Record(event(4), None, (), None, "a.ndjson", NO_PARTITION, 1))
        report = report_of(fake, records=records, default_currency="EUR", **WARN)
        assert kinds(report) == {"identical": 3, "newly-valid": 1, "changed": 1}
        assert report.excluded["without_coordinates"] == 1

    def test_copies_from_elsewhere_replace_their_originals(self) -> None:
        """Copies replace their originals as in the topic."""
        fake = FakeTopics(accept_origin_headers=True)
        fake.clean(sale(1, "x"))
        copy = fake.send(sale(1, 7), headers=[(TrackHeader.ORIGIN, b"raw/0/0")])
        fake.process(copy)
        assert kinds(report_of(fake, records=[fake.of_raw(0), copy])) == {"identical": 1}


class TestSamples:
    """Samples are few, and show no personal data."""

    def test_samples_are_masked(self) -> None:
        """Samples are masked unless they are to be revealed."""
        fake = FakeTopics()
        fake.clean(event(1, properties={"mail": "a@example.com"}))
        found = fake.of(Role.ENRICHED)
        _edit(found, 0, value=(found[0].value or b"").replace(b"a@ex", b"b@ex"))
        (change,) = report_of(fake).samples[0].changes
        assert change == ("/properties/mail", "***", "***")
        (change,) = report_of(fake, options=CompareOptions(reveal=True)).samples[0].changes
        assert change == ("/properties/mail", '"b@example.com"', '"a@example.com"')

    def test_samples_are_bounded(self) -> None:
        """A few samples of each reason are shown, and all events are counted."""
        fake = FakeTopics()
        fake.clean(*(sale(n, "x") for n in range(9)))
        report = report_of(fake, options=CompareOptions(show=2), **WARN)
        assert report.kinds["newly-valid"] == 9
        assert len(report.samples) == 2

    def test_fields_are_bounded(self) -> None:
        """Field names that differ from event to event do not fill the memory."""
        report = ComparisonReport()
        for number in range(1005):
            report.count_field(f"/properties/{number}")
        report.count_field("/properties/0")
        assert (len(report.fields), report.more_fields) == (1000, 5)
        assert report.fields["/properties/0"] == 2

    def test_report_is_json(self) -> None:
        """The whole report can be written as JSON."""
        fake = FakeTopics()
        fake.clean(sale(1), sale(2, "x"), BATCH)
        document = report_of(fake, default_currency_when="always").to_dict()
        assert json.loads(json.dumps(document)) == document
        assert document["events"]["changed"] == 2
