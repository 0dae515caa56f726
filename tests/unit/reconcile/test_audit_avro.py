"""Audits of outputs that are Avro: events that are lost, doubled or changed are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import pytest

from pipeline.avro.framing import guid_header, prefix_of_fingerprint, prefix_of_id
from pipeline.avro.published import fingerprint, published
from pipeline.core.headers import VALUE_SCHEMA_ID
from pipeline.core.origin import without_schema_id
from pipeline.core.record import Record, Role
from pipeline.errors import RegistryUnavailableError
from pipeline.reconcile.audit import AuditRequest, AuditResult
from pipeline.reconcile.audit.forms import Framing
from tests.avro_topics import GUID, OLD_ID, AvroTopics
from tests.fake_topics import FakeTopics, event
from tests.unit.avro.schemas_of_records import EVENT, ID, KnownSchemas, body

ENRICHED: Final = Role.ENRICHED
FRAMINGS: Final[tuple[Framing, ...]] = ("prefix", "header", "single-object")
SIZES: Final = {"prefix": 5, "header": 0, "single-object": 10}
IDENTIFY: Final = [{"event": "Order Completed"}]


def _sale(revenue: float, number: int = 0) -> bytes:
    return event(
        number,
        properties={"revenue": revenue, "currency": "EUR"},
        context={"traits": {"plan": "x"}},
    )


def _audited(fake: FakeTopics) -> AuditResult:
    return fake.audit(AuditRequest(revenue=True))


def _payload(record: Record, framing: Framing) -> bytes:
    return (record.value or b"")[SIZES[framing] :]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_clean_avro_topics_are_clean(framing: Framing) -> None:
    """Enriched events and identify messages are as expected, and their revenue balances."""
    fake = AvroTopics(framing, identify=IDENTIFY)
    fake.clean(_sale(1.5), _sale(2.25, 1), b"{", event(2))
    result = _audited(fake)
    assert result.ok, result.discrepancies
    assert (result.enriched, result.dead_letters, result.identify) == (3, 1, 2)
    assert not result.excluded
    assert result.revenue is not None
    (row,) = result.revenue.totals()
    assert (row.sent, row.delivered) == (Decimal("3.75"), Decimal("3.75"))


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_changed_avro_event_is_named(framing: Framing) -> None:
    """The discrepancy names the field that differs."""
    fake = AvroTopics(framing)
    fake.clean(_sale(1.5))
    other = AvroTopics(framing)
    other.clean(_sale(1.7))
    (there,), (changed,) = fake.of(ENRICHED), other.of(ENRICHED)
    fake.of(ENRICHED)[0] = there._replace(value=changed.value)
    result = _audited(fake)
    assert result.mismatched == 1
    assert result.discrepancies[0].detail == "differs in the value at /properties/revenue"
    assert result.revenue is not None
    assert not result.revenue.ok


def test_lost_and_doubled_avro_events_are_found() -> None:
    """Presence does not depend on the form of the outputs."""
    fake = AvroTopics()
    fake.clean(_sale(1), _sale(2, 1))
    lost, kept = fake.of(ENRICHED)
    fake.of(ENRICHED)[:] = [kept, kept._replace(offset=2)]
    fake.gap(lost.topic)
    result = _audited(fake)
    assert (result.missing, result.duplicated, result.mismatched) == (1, 1, 0)


def test_a_wrong_column_beside_right_properties_is_found() -> None:
    """Columns repeat what `properties` holds; one that does not is no equal event."""
    fake = AvroTopics()
    fake.clean(_sale(1))
    (there,) = fake.of(ENRICHED)
    value = (there.value or b"").replace(b"\x02\x06EUR", b"\x02\x06USD")
    assert value != there.value
    fake.of(ENRICHED)[0] = there._replace(value=value)
    result = fake.audit()
    (found,) = result.discrepancies
    assert found.detail == "differs in a typed column of the value (its JSON form is the same)"


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("kind", ["old id", "guid", "single object"])
def test_another_framing_is_the_same_event(framing: Framing, kind: str) -> None:
    """A schema may get another id, and a topic another framing, without any event changing."""
    fake = AvroTopics(framing)
    fake.clean(_sale(1))
    (there,) = fake.of(ENRICHED)
    payload, headers = _payload(there, framing), [*without_schema_id(there.headers)]
    if kind == "old id":
        payload = prefix_of_id(OLD_ID) + payload
    elif kind == "guid":
        headers.append(guid_header(GUID))
    else:
        payload = prefix_of_fingerprint(fingerprint(published(ENRICHED))) + payload
    fake.of(ENRICHED)[0] = there._replace(value=payload, headers=headers)
    assert _audited(fake).ok


def _unframed(record: Record) -> Record:
    return record._replace(value=_payload(record, "prefix"))


def _unknown(record: Record) -> Record:
    return record._replace(value=prefix_of_id(99) + _payload(record, "prefix"))


def _of_another_record(record: Record) -> Record:
    return record._replace(value=prefix_of_id(ID) + _payload(record, "prefix"))


def _cut_off(record: Record) -> Record:
    return record._replace(value=(record.value or b"")[:-3])


def _as_json(record: Record) -> Record:
    plain = FakeTopics()
    plain.clean(_sale(1))
    return record._replace(value=plain.of(ENRICHED)[0].value)


@pytest.mark.parametrize(
    ("spoil", "detail"),
    [
        (_unframed, "is JSON, but the settings give Avro"),
        (_unknown, "can't be read: schema id 99 is unknown"),
        (_of_another_record, "can't be read: the Avro"),
        (_cut_off, "can't be read: the Avro data"),
        (_as_json, "is JSON, but the settings give Avro"),
    ],
)
def test_values_that_readers_can_not_use_are_mismatches(
    spoil: Callable[[Record], Record], detail: str
) -> None:
    """What is not framed Avro of the right schema is reported, with what it is."""
    fake = AvroTopics()
    fake.clean(_sale(1))
    fake.of(ENRICHED)[0] = spoil(fake.of(ENRICHED)[0])
    result = _audited(fake)
    assert result.mismatched == 1
    assert result.discrepancies[0].detail.startswith(detail), result.discrepancies


def test_a_topic_that_was_json_before_is_clean() -> None:
    """Outputs from before the switch are of another contract, whose presence is checked."""
    fake = AvroTopics(output={"format": "json"})
    fake.clean(_sale(1), _sale(2, 1))
    fake.settings = AvroTopics().settings
    fake.clean(_sale(3, 2))
    result = _audited(fake)
    assert result.ok, result.discrepancies
    assert result.excluded["other_rules"] == 2
    assert result.revenue is not None
    (row,) = result.revenue.totals()
    assert row.delivered == Decimal(6)


def test_a_topic_that_was_avro_before_is_clean() -> None:
    """The way back to JSON is audited likewise, and the revenue in Avro events is read."""
    fake = AvroTopics()
    fake.clean(_sale(1), _sale(2, 1))
    fake.settings = AvroTopics(output={"format": "json"}).settings
    fake.clean(_sale(3, 2))
    result = _audited(fake)
    assert result.ok, result.discrepancies
    assert result.revenue is not None
    (row,) = result.revenue.totals()
    assert row.delivered == Decimal(6)


def _framed(user: str | None) -> bytes:
    properties = {"revenue": Decimal("5.00"), "currency": "EUR", "tags": []}
    return prefix_of_id(ID) + body(EVENT, {"event": "e", "userId": user, "properties": properties})


def test_framed_raw_records_are_audited() -> None:
    """Raw records of any framing are processed again, and dead letters hold their bytes."""
    fake = AvroTopics(input={"format": "auto"})
    fake.clean(_framed("u"), _framed(None), _sale(1))
    result = _audited(fake)
    assert result.ok, result.discrepancies
    assert (result.enriched, result.dead_letters) == (2, 1)
    assert result.revenue is not None
    (row,) = result.revenue.totals()
    assert (row.delivered, row.blocked) == (Decimal(6), Decimal(5))


def test_schemas_that_became_known_are_no_mismatch() -> None:
    """A dead letter for an unknown schema was right when the registry did not know it."""
    fake = AvroTopics(input={"format": "avro"})
    known, fake.schemas = fake.schemas, KnownSchemas({})
    fake.clean(_framed("u"))
    result = fake.audit()
    assert (result.ok, result.dead_letters) == (True, 1)
    fake.schemas = known
    result = fake.audit()
    assert result.ok, result.discrepancies
    assert result.excluded == {"set_aside": 1}


@pytest.mark.parametrize("part", ["raw", "outputs"])
def test_an_audit_needs_the_registry_that_it_asks(part: str) -> None:
    """An outage ends the audit; what is not known is not taken for a mismatch."""
    fake = AvroTopics(input={"format": "avro" if part == "raw" else "json"})
    fake.clean(_framed("u") if part == "raw" else _sale(1))
    fake.schemas.outages = 1
    with pytest.raises(RegistryUnavailableError):
        fake.audit()


def test_a_header_of_a_sender_is_not_in_json_outputs() -> None:
    """A schema id that a sender has put on plain JSON is removed, also in what is expected."""
    fake = FakeTopics()
    record = fake.send(_sale(1), headers=[(VALUE_SCHEMA_ID, b"\x01" * 17)])
    fake.process(record)
    assert VALUE_SCHEMA_ID not in dict(fake.of(ENRICHED)[0].headers)
    assert fake.audit().ok
    assert json.loads(fake.of(ENRICHED)[0].value or b"")["event"] == "Order Completed"
