"""Comparisons of outputs of different forms, and of framed raw records."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pipeline.avro.framing import prefix_of_id
from pipeline.avro.output_reader import OutputReader
from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.record import Role
from pipeline.core.time_window import ALL_TIME
from pipeline.reconcile.compare.comparison import Comparison, ComparisonTarget
from pipeline.reconcile.compare.difference_store import DifferenceStore
from pipeline.reconcile.compare.dry_run import DryRunProcessor
from pipeline.reconcile.compare.field_diff import CompareOptions
from pipeline.reconcile.compare.report import ComparisonReport
from pipeline.reconcile.event_filters import EVERY_EVENT, Filters, processor_for, selection
from pipeline.reconcile.json_outputs import JsonOutputs
from tests.avro_topics import AvroTopics
from tests.fake_topics import LATER, NAMES, event
from tests.unit.avro.schemas_of_records import EVENT, ID, body
from tests.unit.reconcile.comparing import kinds, ranges_of


def _compared(
    fake: AvroTopics, filters: Filters = EVERY_EVENT, **settings: Any
) -> ComparisonReport:
    """Compare as `compare.run` does: the results are JSON, and existing outputs are read so."""
    rules = ContractSettings.model_validate(fake.settings.model_dump() | settings)
    reads = fake.formats(rules)._replace(enriched=None, identify=None)
    processor = processor_for(rules, Identity(app="dry run"), filters, reads)
    outputs = JsonOutputs(fake, OutputReader(fake.schemas), [NAMES.enriched])
    target = ComparisonTarget(
        ranges_of(fake, (Role.ENRICHED, Role.DEAD_LETTER)),
        lambda _, partition, __: partition,
        items=lambda record: filters.items(processor.text(record)),
    )
    counted = DryRunProcessor(processor, LATER + 5, selection(ALL_TIME, filters, processor.text))
    with DifferenceStore(shared=True) as differences:
        report = Comparison(target, counted, differences, CompareOptions()).run(outputs)
    report.notes += outputs.notes()
    return report


def _framed(name: str = "e", user: str | None = "u") -> bytes:
    properties: dict[str, Any] = {"revenue": Decimal("5.00"), "currency": None, "tags": []}
    return prefix_of_id(ID) + body(EVENT, {"event": name, "userId": user, "properties": properties})


def test_equal_events_of_another_form_are_identical() -> None:
    """What was written as Avro is compared by its JSON form, however strings were escaped."""
    fake = AvroTopics("header")
    fake.clean(event(properties={"revenue": 1.5}), event(1).replace(b"Order", b"\\u004frder"), b"{")
    report = _compared(fake)
    assert kinds(report) == {"identical": 3}
    assert report.excluded["respelled"] == 1


def test_fields_that_differ_in_another_form_are_named() -> None:
    """The fields and the revenue of a changed Avro event are found."""
    fake = AvroTopics()
    fake.clean(event(properties={"revenue": 1.5}), event(1))
    report = _compared(fake, default_currency="EUR")
    assert kinds(report) == {"changed": 1, "identical": 1}
    assert dict(report.fields) == {"/properties/currency": 1}
    assert [(row.currency, row.before, row.after) for row in report.revenue.rows()] == [
        ("EUR", Decimal(0), Decimal("1.5")),
        ("USD", Decimal("1.5"), Decimal(0)),
    ]


def test_outputs_that_can_not_be_read_are_changed_and_noted() -> None:
    """One unreadable output does not end a comparison."""
    fake = AvroTopics()
    fake.clean(event(), event(1))
    records = fake.of(Role.ENRICHED)
    records[0] = records[0]._replace(value=prefix_of_id(99) + b"x")
    report = _compared(fake)
    assert kinds(report) == {"changed": 1, "identical": 1}
    (note,) = report.notes
    assert "schema id 99" in note


def test_filters_select_framed_events() -> None:
    """Filters read the decoded value of raw records."""
    fake = AvroTopics(input={"format": "avro"})
    fake.clean(_framed(user="a"), _framed(user="b"), _framed(user=None))
    report = _compared(fake, Filters(users=frozenset({"b"})))
    assert kinds(report) == {"identical": 1}
    assert kinds(_compared(fake)) == {"identical": 3}
