"""One record that the broker refuses, or that kills processes, is found; its neighbours go on."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.reasons import Reason
from pipeline.core.record import Output, Record, Role
from pipeline.errors import RecordRefusedError, RefusedError
from pipeline.ports import Batch, Span
from pipeline.worker.bisection import QUARANTINED, SubBatch, bisect, remainder, split
from pipeline.worker.memory_broker import MemoryBroker, MemorySession
from tests.unit.worker.harness import Guard, processor, work

REFUSED = b"poison"
TOPIC = "track.raw"


def _event(number: int, poison: bool) -> bytes:  # noqa: FBT001  a property of the event
    name = REFUSED.decode() if poison else "Fine"
    return json.dumps({"event": name, "userId": f"u{number}"}).encode()


class _RefusingSession(MemorySession):
    """Its broker refuses outputs of `roles` whose value holds the poison."""

    roles: frozenset[Role]

    def commit(self, *args: object, **kwargs: object) -> None:
        """See `ports.Session`."""
        for output in self._pending:
            if output.role in self.roles and REFUSED in (output.value or b""):
                raise RecordRefusedError("too large", Reason.ENRICHED_TOO_LARGE, output.role)
        super().commit(*args, **kwargs)  # type: ignore[arg-type]


class _RefusingBroker(MemoryBroker):
    """Opens such sessions."""

    def __init__(self, *roles: Role, batch: int = 100) -> None:
        super().__init__(batch=batch)
        self.roles = frozenset(roles)

    def open(self) -> MemorySession:
        """See `ports.Broker`."""
        super().open()
        session = _RefusingSession(self, self.epoch)
        session.roles = self.roles
        return session


def _sources(outputs: list[Output], role: Role) -> list[int]:
    """Offsets of the records that the outputs of a role are from."""
    name = TrackHeader.SOURCE if role is Role.ENRICHED else DlqHeader.SOURCE
    return [
        int((dict(output.headers)[name] or b"").split(b"/")[2])
        for output in outputs
        if output.role is role
    ]


@pytest.mark.parametrize("poison", [{0}, {49}, {20}, {3, 4, 30}, set(range(50))])
def test_only_the_rejected_records_are_dead_lettered(poison: set[int]) -> None:
    """Wherever they are in the batch, and however many, their neighbours are enriched in order."""
    broker = _RefusingBroker(Role.ENRICHED)
    for number in range(50):
        broker.append(_event(number, number in poison))
    meter = work(broker, 50, max_resets=0)
    assert _sources(broker.outputs, Role.ENRICHED) == sorted(set(range(50)) - poison)
    assert _sources(broker.outputs, Role.DEAD_LETTER) == sorted(poison)
    for dead_letter in (o for o in broker.outputs if o.role is Role.DEAD_LETTER):
        headers = dict(dead_letter.headers)
        assert headers[DlqHeader.REASON] == b"enriched_too_large"
        assert headers[DlqHeader.STAGE] == b"produce"
        assert REFUSED in (dead_letter.value or b"")
    assert [record.offset for record, _ in meter.isolations] == sorted(poison)
    assert meter.recoveries == []


def test_only_the_rejected_call_is_dead_lettered() -> None:
    """A call that its topic rejects is a dead letter of its whole record; the rest is forwarded."""
    broker = _RefusingBroker(Role.OTHER)
    good, bad = (
        b'{"type":"page"}',
        b'{"batch":[{"type":"page","name":"poison"},%s]}' % _event(1, poison=False),
    )
    for number in range(8):
        broker.append(bad if number == 5 else good)
    work(broker, 8, max_resets=0, contract=processor(on_other_type="forward"))
    (dead_letter,) = (output for output in broker.outputs if output.role is Role.DEAD_LETTER)
    headers = dict(dead_letter.headers)
    assert (dead_letter.value, headers[DlqHeader.STAGE]) == (bad, b"produce")
    assert headers[DlqHeader.SOURCE] == f"{TOPIC}/0/5".encode()
    forwarded = [output.value for output in broker.outputs if output is not dead_letter]
    assert forwarded == [good] * 7


def test_a_rejected_dead_letter_keeps_its_reasons_in_a_pointer() -> None:
    """A dead letter that its topic rejects is replaced by a pointer that keeps the reasons."""
    broker = _RefusingBroker(Role.DEAD_LETTER)
    for number in range(8):
        broker.append(b'{"event":"poison"}' if number == 5 else _event(number, poison=False))
    work(broker, 8, max_resets=0)
    (dead_letter,) = (output for output in broker.outputs if output.role is Role.DEAD_LETTER)
    headers = dict(dead_letter.headers)
    assert (headers[DlqHeader.REASON], headers[DlqHeader.POINTER]) == (b"no_user_anon_id", b"1")
    assert json.loads(dead_letter.value or b"")[DlqHeader.POINTER] == f"{TOPIC}/0/5"


def test_an_event_rejected_everywhere_leaves_a_pointer() -> None:
    """When its dead letter is rejected too, a pointer says where the record is."""
    broker = _RefusingBroker(Role.ENRICHED, Role.DEAD_LETTER)
    broker.append(_event(0, poison=True))
    work(broker, 1, max_resets=0)
    (dead_letter,) = broker.outputs
    headers = dict(dead_letter.headers)
    assert (headers[DlqHeader.REASON], headers[DlqHeader.POINTER]) == (b"enriched_too_large", b"1")


class _RefusingAllDeadLetters(_RefusingSession):
    """Its dead-letter topic takes nothing."""

    def commit(self, *args: object, **kwargs: object) -> None:
        """See `ports.Session`."""
        if any(output.role is Role.DEAD_LETTER for output in self._pending):
            raise RecordRefusedError(
                "no dead letters here", Reason.TIMESTAMP_REFUSED, Role.DEAD_LETTER
            )
        MemorySession.commit(self, *args, **kwargs)  # type: ignore[arg-type]


def test_a_topic_that_rejects_even_pointers_stops_the_worker() -> None:
    """Nothing is skipped: the worker stops and says why; what came before is committed."""
    broker = MemoryBroker()
    for number in range(4):
        broker.append(b"[]" if number == 2 else _event(number, poison=False))

    def open_one() -> MemorySession:
        broker.epoch += 1
        return _RefusingAllDeadLetters(broker, broker.epoch)

    broker.open = open_one  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="no dead letters here"):
        work(broker, 4)
    assert broker.committed == {(TOPIC, 0): 2}
    assert _sources(broker.outputs, Role.ENRICHED) == [0, 1]


def test_quarantined_records_are_not_processed() -> None:
    """A quarantined record goes to the dead-letter topic unread; its neighbours are enriched."""
    broker = MemoryBroker()
    for number in range(5):
        broker.append(_event(number, poison=False))
    guard = Guard(quarantined=[Span(TOPIC, 0, 3, 3)])
    work(broker, 5, guard=guard)
    assert _sources(broker.outputs, Role.ENRICHED) == [0, 1, 2, 4]
    (dead_letter,) = (output for output in broker.outputs if output.role is Role.DEAD_LETTER)
    assert dict(dead_letter.headers)[DlqHeader.STAGE] == b"crash"
    assert dead_letter.value == _event(3, poison=False)


def test_the_guard_knows_which_records_are_processed() -> None:
    """The guard is told the spans of each transaction; a suspect span is bisected."""
    broker = MemoryBroker()
    for number in range(10):
        broker.append(_event(number, poison=False))
    guard = Guard(suspects=[Span(TOPIC, 0, 2, 7)])
    work(broker, 10, guard=guard)
    assert guard.entered == [
        [Span(TOPIC, 0, 0, 1)],
        [Span(TOPIC, 0, 2, 4)],
        [Span(TOPIC, 0, 5, 7)],
        [Span(TOPIC, 0, 8, 9)],
    ]
    assert guard.working_on == []
    assert _sources(broker.outputs, Role.ENRICHED) == list(range(10))


def test_a_batch_without_records_stays_whole() -> None:
    """Positions of partitions without records are committed too."""
    batch = Batch([], {(TOPIC, 1): 5})
    assert split(batch, [Span(TOPIC, 0, 0, 9)], {}) == [SubBatch(batch)]


_PLACES = st.lists(st.integers(0, 2), min_size=2, max_size=30)
_SPANS = st.lists(
    st.builds(
        lambda partition, first, length: Span(TOPIC, partition, first, first + length),
        st.integers(0, 2),
        st.integers(0, 12),
        st.integers(0, 5),
    ),
    max_size=4,
)


def _batch(places: list[int]) -> Batch:
    """Records of these partitions in this order, with gaps between offsets."""
    counts: dict[int, int] = {}
    records = []
    for partition in places:
        offset = counts.get(partition, 0)
        counts[partition] = offset + 2
        records.append(Record(b"", None, (), None, TOPIC, partition, offset))
    positions = {(TOPIC, partition): count - 1 for partition, count in counts.items()}
    return Batch(records, {**positions, (TOPIC, 7): 3})


@given(_PLACES, _SPANS, _SPANS)
def test_sub_batches_together_are_the_batch(
    places: list[int], suspects: list[Span], quarantined: list[Span]
) -> None:
    """Sub-batches keep the order, leave nothing out, and end at the batch's own positions."""
    batch = _batch(places)
    made = split(batch, suspects, dict.fromkeys(quarantined, QUARANTINED))
    assert remainder(made) == batch
    for sub_batch in made:
        hit = [
            any(_within(span, record) for span in quarantined) for record in sub_batch.batch.records
        ]
        assert (sub_batch.forced == QUARANTINED) == any(hit) == all(hit)
        assert len(sub_batch.batch.records) == 1 or not any(hit)


def _within(span: Span, record: Record) -> bool:
    return span.partition == record.partition and span.first <= record.offset <= span.last


@given(_PLACES)
def test_two_halves_together_are_the_sub_batch(places: list[int]) -> None:
    """A sub-batch is split in two that are not empty; each commits only what it holds."""
    sub_batch = SubBatch(_batch(places), pointers=True)
    made = bisect(sub_batch)
    assert len(made) == 2
    assert all(each.batch.records and each.pointers for each in made)
    assert remainder(made) == sub_batch.batch
    for each in made:
        for record in each.batch.records:
            assert each.batch.positions[TOPIC, record.partition] > record.offset


def test_a_suspect_of_one_record_is_processed_alone() -> None:
    """A single suspect record is bisected no further."""
    made = split(_batch([0, 0, 0]), [Span(TOPIC, 0, 2, 2)], {})
    assert [[record.offset for record in each.batch.records] for each in made] == [[0], [2], [4]]
