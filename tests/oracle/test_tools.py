"""Topics that were written under contract version 1, and today's tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import pytest

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.headers import TrackHeader
from pipeline.core.offset_metadata import OffsetMetadata, read_offset_metadata
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record, Role
from pipeline.dlq.candidates import RedriveRules, RedriveSelector
from pipeline.dlq.header_formats import read_dead_letter
from pipeline.dlq.ledger import Ledger
from pipeline.dlq.recheck import Rechecker, RecheckKind
from pipeline.dlq.repair import no_repair
from pipeline.dlq.reprocess import Reprocessor
from pipeline.reconcile.audit import AuditRequest
from pipeline.worker.circuit_breaker import CircuitBreaker, CircuitBreakerRules
from tests.fake_topics import LATER, FakeTopics, event
from tests.oracle.contract_1.contract import ContractSettings as SettingsOfVersion1
from tests.oracle.contract_1.contract import Identity as IdentityOfVersion1
from tests.oracle.contract_1.process import Processor as ProcessorOfVersion1
from tests.oracle.contract_1.record import Record as RecordOfVersion1
from tests.unit.reconcile.comparing import kinds, report_of

IDENTITY: Final = Identity(app="worker", group="live")
RULES: Final = CircuitBreakerRules("after-change", 1000, 0.1, None)
TITLE: Final = rb'{"event":"Article Read","userId":"u","properties":{"title":"A sale \ud83d"}}'
LONG: Final = b'{"event":"Scored","userId":"u","properties":{"score":%b}}' % (b"9" * 5000)
BATCH: Final = b'{"batch":[%b,%b]}' % (
    event(1),
    event(2, properties={"x": 0}).replace(b"0", b"NaN"),
)


class TopicsOfVersion1(FakeTopics):
    """Topics of a worker of contract version 1."""

    def outputs(
        self, record: Record, identity: Identity | None = None, **settings: Any
    ) -> Sequence[Output]:
        """Outputs that such a worker has written for a raw record."""
        who = IdentityOfVersion1(**(identity or IDENTITY).model_dump())
        rules = SettingsOfVersion1.model_validate(settings)
        outputs = ProcessorOfVersion1(rules, who).process(RecordOfVersion1(*record), LATER)
        return [Output(Role(each.role.value), *each[1:]) for each in outputs]


def _contract_1() -> str:
    return ProcessorOfVersion1(SettingsOfVersion1(), IdentityOfVersion1(app="worker")).contract


@pytest.fixture
def rechecker() -> Iterator[Rechecker]:
    """Under today's rules."""
    made = Rechecker(Reprocessor(ContractSettings(), IDENTITY), no_repair())
    yield made
    made.end()


@pytest.mark.parametrize(
    "sent",
    [
        b'{"event":"E","userId":"u","properties":{"a":1e3,"b":0.0000001,"c":1.10,"revenue":1e1}}',
        b'{ "event": "E", "userId": "u",\n\t"properties": { "a": [ 1, 2 ], "b": { } } }',
        rb'{"event":"E","userId":"u","properties":{"\u0061":"\u00e9 \/","a":"\u00e9"}}',
        b'{"event":"E","userId":"u","extra":1,"extra":2,"properties":{"a":1,"b":2,"a":3}}',
        b'{"event":"E","anonymousId":"a","context":{"traits":{"b":1e2}},"traits":{"a":1,"b":100}}',
        b'{"batch":[{"event":"E","userId":"u","context":{"b":1}}],"context":{"a":1e0,"b":2}}',
    ],
)
def test_another_spelling_is_no_difference(sent: bytes) -> None:
    """Events of version 1 with the same values as today's are identical, and counted."""
    fake = TopicsOfVersion1()
    fake.clean(sent)
    (before,) = fake.of(Role.ENRICHED)
    (after, *_) = fake.processor().process(fake.of_raw(0), LATER)
    assert before.value != after.value
    report = report_of(fake)
    assert report.same, report.samples
    assert kinds(report) == {"identical": 1}
    assert (report.excluded["other_rules"], report.excluded["respelled"]) == (1, 1)


def test_a_comparison_shows_what_version_2_changes() -> None:
    """What version 2 accepts is newly valid, item by item."""
    fake = TopicsOfVersion1()
    fake.clean(TITLE, LONG, BATCH, event(3, properties={"value": "high"}), event(4, action="x"))
    report = report_of(fake)
    assert kinds(report) == {"newly-valid": 4, "identical": 2}
    reasons = {reason for (kind, reason) in report.reasons if kind == "newly-valid"}
    assert reasons == {"invalid_utf8", "invalid_json", "value_invalid"}


@pytest.mark.parametrize("sent", [TITLE, LONG, event(1, properties={"value": "high"})])
def test_dead_letters_that_version_2_accepts_pass(sent: bytes, rechecker: Rechecker) -> None:
    """A dead letter of version 1 would be enriched now; the event is what a replay would write."""
    fake = TopicsOfVersion1()
    (record,) = fake.clean(sent)
    (found,) = fake.of(Role.DEAD_LETTER)
    assert dict(found.headers)[TrackHeader.CONTRACT] == _contract_1().encode()
    result = rechecker.recheck(read_dead_letter(found), LATER)
    assert result.kind is RecheckKind.PASSES
    (replayed,) = fake.processor(IDENTITY).process(record, LATER)
    assert result.outputs == (replayed,)
    rules = RedriveRules("enriched")
    selector = RedriveSelector(rechecker, rules, Ledger("topic"))
    (candidate,) = selector.select([read_dead_letter(found)], LATER)
    assert (candidate.skip_reason, candidate.result.outputs) == ("", (replayed,))


def test_the_dead_letter_of_a_batch_gives_an_outcome_for_each_item(rechecker: Rechecker) -> None:
    """Version 1 rejected a batch for one item. Now only that item fails again."""
    fake = TopicsOfVersion1()
    (record,) = fake.clean(BATCH)
    (found,) = fake.of(Role.DEAD_LETTER)
    result = rechecker.recheck(read_dead_letter(found), LATER)
    assert (result.kind, result.detail) == (RecheckKind.SAME, "invalid_json")
    assert [output.role for output in result.outputs] == [Role.ENRICHED, Role.DEAD_LETTER]
    assert result.outputs[0] == fake.processor(IDENTITY).process(record, LATER)[0]


def test_dead_letters_that_fail_again_have_the_same_reason(rechecker: Rechecker) -> None:
    """What both versions reject is rejected again."""
    fake = TopicsOfVersion1()
    fake.clean(b"{", event(1, userId=None), event(2, properties={"revenue": "1.234,56"}))
    for dead_letter in map(read_dead_letter, fake.of(Role.DEAD_LETTER)):
        result = rechecker.recheck(dead_letter, LATER)
        assert (result.kind, result.detail) == (RecheckKind.SAME, dead_letter.reason)


def test_an_audit_checks_that_events_of_version_1_exist() -> None:
    """Other rules may give other contents; revenue of version 1 counts where it is equal."""
    fake = TopicsOfVersion1()
    fake.clean(event(1, properties={"revenue": 1.10, "x": 1}), TITLE, event(2))
    fake.clean(event(3, properties={"revenue": "00420"}))
    result = fake.audit(AuditRequest(revenue=True))
    assert (result.ok, result.excluded) == (True, {"other_rules": 4})
    assert result.revenue is not None
    assert [row.delivered for row in result.revenue.totals()] == [Decimal("1.1")]
    assert result.revenue.excluded == 1
    fake.of(Role.ENRICHED).pop(0)
    assert not fake.audit().ok


def test_the_breaker_watches_the_change_to_version_2() -> None:
    """A commit of version 1 arms the breaker, also when the settings are the same."""
    committed = OffsetMetadata(_contract_1(), 0.02, 0, 0, LATER, origin=False).encode()
    note = read_offset_metadata(committed)
    assert note is not None
    today = Processor(ContractSettings(), IDENTITY).contract
    breaker = CircuitBreaker(RULES, today, origin=False)
    breaker.inherit([note])
    assert breaker.armed
    hash_1 = _contract_1().partition(";")[2]
    accepting = CircuitBreaker(RULES._replace(accept=hash_1), today, origin=False)
    accepting.inherit([note])
    assert accepting.armed
