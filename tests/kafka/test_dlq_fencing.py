"""Several processes that write to one ledger on a real broker."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from pipeline.core.record import Output, Role
from pipeline.dlq.ledger import Action, Entry, Ledger
from pipeline.dlq.ledger_session import LedgerSessionOpener
from pipeline.dlq.reader import TopicSnapshot
from pipeline.dlq.redrive import DEAD_LETTERS_PER_TRANSACTION, LedgerWrite, Redriver
from pipeline.dlq.targets import WriteTargets, find_targets
from pipeline.errors import FencedError, OutcomeUnknownError, RecordRefusedError
from pipeline.settings.model import load_settings
from pipeline.topics import CreateOptions, ledger_spec
from tests.brokers import read_topic, set_topic_config
from tests.kafka.worker_process import Pipeline

pytestmark = pytest.mark.kafka

NOISE = random.Random(1).randbytes(4000)  # noqa: S311  what does not compress
"""More than the topic takes."""


def _place(pipeline: Pipeline, prefix: str = "track") -> WriteTargets:
    """Targets of these tests' writes; `prefix` is that of the transactional id."""
    names = pipeline.names
    given = {f"topics.{role}": topic for role, topic in names._asdict().items()}
    settings = load_settings(
        None,
        {
            "kafka.bootstrap.servers": pipeline.servers,
            "transactional_id_prefix": prefix,
            **given,
        },
        {},
    )
    topic_id = pipeline.admin.topics([names.dead_letter])[names.dead_letter].id
    outputs = {Role.ENRICHED: names.enriched, Role.DEAD_LETTER: names.dead_letter}
    return find_targets(settings, TopicSnapshot(names.dead_letter, topic_id, {}, {}), outputs)


@pytest.fixture
def with_ledger(pipeline: Pipeline) -> Pipeline:
    """Topics and a ledger, all empty; the enriched topic takes small records only."""
    options = CreateOptions(1, 1, None, 30.0)
    pipeline.admin.create([ledger_spec(pipeline.names, options, None)])
    set_topic_config(pipeline.servers, pipeline.names.enriched, "max.message.bytes", "3000")
    return pipeline


def _write(where: WriteTargets, number: int, value: bytes = b"") -> LedgerWrite:
    source = f"{where.settings.topics.raw}/0/{number}"
    output = Output(Role.ENRICHED, value or b"%d" % number, None, [], 1, 0)
    entry = Entry(
        where.topic_id,
        0,
        number,
        Action.REDRIVEN,
        source,
        5,
        "me",
        1,
        "r1",
        where.outputs[Role.ENRICHED],
    )
    return LedgerWrite([output], entry)


def _redriver(where: WriteTargets, most: int = DEAD_LETTERS_PER_TRANSACTION) -> Redriver:
    return Redriver(LedgerSessionOpener(where), threading.Event(), most=most)


def _values(pipeline: Pipeline) -> Counter[bytes | None]:
    return Counter(each.value for each in read_topic(pipeline.servers, pipeline.names.enriched))


def test_taken_over_while_a_record_is_searched_for(with_ledger: Pipeline) -> None:
    """A process that needs a new producer first looks who holds the ledger, and sends nothing."""
    where = _place(with_ledger)

    def writes(_: Ledger) -> Iterator[LedgerWrite]:
        yield _write(where, 9, NOISE)  # refused, which costs the producer
        assert _redriver(where).run(lambda _: [_write(where, 1), _write(where, 2)]).sent == 2
        yield from (_write(where, 1), _write(where, 2))

    with pytest.raises(FencedError, match="another dlq command has taken over"):
        _redriver(where, most=1).run(writes)
    assert _values(with_ledger) == {b"1": 1, b"2": 1}


def test_spent_producer_begins_nothing_more(with_ledger: Pipeline) -> None:
    """After a refused record a sender begins nothing more; a new session of the same run does."""
    where = _place(with_ledger)
    opener = LedgerSessionOpener(where)
    sender, _ = opener.open()
    sender.begin()
    sender.send(_write(where, 1, NOISE).outputs[0])
    with pytest.raises(RecordRefusedError):
        sender.commit()
    assert sender.is_spent
    sender.abort()
    with pytest.raises(OutcomeUnknownError, match="the ledger must be read again"):
        sender.begin()
    sender.close()
    reprocessor, ledger = opener.open()
    assert not reprocessor.is_spent
    reprocessor.begin()
    reprocessor.note(_write(where, 2).entry)
    reprocessor.commit()
    reprocessor.close()
    assert ledger.action(0, 2) is None
    _, ledger = opener.open()
    assert ledger.action(0, 2) is Action.REDRIVEN


def test_process_with_another_prefix_is_fenced(with_ledger: Pipeline) -> None:
    """A process with another prefix of transactional ids is found in the ledger and fenced."""
    older, newer = _place(with_ledger), _place(with_ledger, "other")

    def writes(_: Ledger) -> Iterator[LedgerWrite]:
        yield _write(older, 0)
        assert _redriver(newer).run(lambda _: [_write(newer, n) for n in range(3)]).sent == 2
        yield from (_write(older, n) for n in range(1, 3))

    with pytest.raises(FencedError, match="another dlq command has taken over"):
        _redriver(older, most=1).run(writes)
    assert _values(with_ledger) == {b"0": 1, b"1": 1, b"2": 1}
    # The one that was fenced off is forgotten, so that nobody needs its right for ever.
    ledger = read_topic(with_ledger.servers, older.ledger_topic)
    newest = {each.key: each.value for each in ledger if (each.key or b"").startswith(b"holder/")}
    assert [value is None for value in newest.values()] == [True, False]
