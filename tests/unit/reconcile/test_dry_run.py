"""The dry run counts exactly what the rules make of raw records."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record
from pipeline.reconcile.compare.dry_run import DryRunCounts, DryRunProcessor
from tests.fake_topics import LATER, FakeTopics, event

BATCH = json.dumps(
    {"batch": [{"event": "E", "userId": "u"}, {"event": "F", "userId": "u"}, 3]}
).encode()


def _run(*values: bytes | None, limit: int | None = None, **settings: Any) -> DryRunCounts:
    fake = FakeTopics(**settings)
    records = [fake.send(value) for value in values]
    return DryRunProcessor(fake.processor(), LATER, limit=limit).run(records)


def test_every_outcome_is_counted() -> None:
    """Events are counted by outcome and reason, those of a batch one by one."""
    traits: dict[str, Any] = {"context": {"traits": {"plan": "pro"}}}
    counts = _run(
        event(1),
        BATCH,
        b"{",
        None,
        event(2, type="page"),
        event(3, **traits),
        on_other_type="drop",
        identify=[{"event": "*"}],
    )
    assert counts.to_dict() == {
        "records": 6,
        "left_out": 0,
        "enriched": 4,
        "identify": 1,
        "dead_letters": 3,
        "dropped": 1,
        "forwarded": 0,
        "reasons": {"not_an_object": 1, "invalid_json": 1, "null_value": 1},
        "dropped_reasons": {"unsupported_type": 1},
        "warnings": {"message_id_generated": 2},
        "crashed": 0,
    }


def test_warnings_are_counted_by_code() -> None:
    """Each warning counts, and the word in a property is none."""
    counts = _run(
        event(1, properties={"revenue": "1", "value": "2"}),
        event(2, properties={"text": '"warnings":[', "warnings": ["x y"]}),
    )
    assert counts.warnings == {"number_from_string": 2}


def test_unselected_records_are_not_processed() -> None:
    """Records that are not selected are read and counted, not processed."""
    fake = FakeTopics()
    records = [fake.send(event(n)) for n in range(5)]
    selected: Callable[[Record], bool] = lambda record: record.offset % 2 == 0  # noqa: E731
    counts = DryRunProcessor(fake.processor(), LATER, selected).run(records)
    assert (counts.records, counts.left_out, counts.enriched) == (3, 2, 3)


@pytest.mark.parametrize(("limit", "records"), [(0, 0), (2, 2), (9, 3)])
def test_limit_ends_the_run(limit: int, records: int) -> None:
    """The run ends after the given number of records."""
    assert _run(event(1), event(2), event(3), limit=limit).records == records


def test_bug_is_a_dead_letter() -> None:
    """A record on which the rules raise is a dead letter, as in the worker, and the run goes on."""

    class Broken(Processor):
        def process(self, record: Record, now: int) -> tuple[Output, ...]:
            if record.offset == 0:
                raise RuntimeError
            return super().process(record, now)

    fake = FakeTopics()
    records = [fake.send(event(n)) for n in range(2)]
    counts = DryRunProcessor(Broken(ContractSettings(), Identity(app="x")), LATER).run(records)
    assert (counts.crashed, counts.enriched) == (1, 1)
    assert counts.dead_letters == {"processing_error": 1}
