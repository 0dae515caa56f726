"""Dead letters of every dialect, and headers of nobody's, read in our words."""

from __future__ import annotations

import json
import struct
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.contract import ContractSettings
from pipeline.core.deadletter import Header
from pipeline.core.record import INVALID_HEADERS, Headers, Record, Role
from pipeline.deadletters.again import Again, as_raw
from pipeline.deadletters.dialects import read_letter
from pipeline.deadletters.dialects.table import FOREIGN as TABLE
from pipeline.deadletters.letter import DeadLetter
from tests.deadletters.foreign import FOREIGN, SENDERS, SENT, SPRING, TRACE, Foreign, connect
from tests.support import IDENTITY, NOW, only, process, raw

VALUE: Final = b'{"event":"e","userId":"u"}'
DIALECTS: Final = pytest.mark.parametrize("name", FOREIGN)
PREFIXED: Final = {dialect.name for dialect in TABLE if dialect.prefixes}


def _letter(headers: Headers, value: bytes | None = VALUE, timestamp: int | None = SENT) -> Any:
    return read_letter(Record(value, b"key", headers, timestamp, "letters", 1, 9))


def _ours(headers: Headers = (), **settings: Any) -> Headers:
    """The headers of a letter that a worker has written."""
    return only(process(raw(b"{", headers), **settings), Role.DEAD_LETTER).headers


def _said(letter: DeadLetter) -> Foreign:
    return Foreign(
        added=(),
        reason=letter.reason,
        detail=letter.problems[0].detail,
        stage=letter.stage,
        group=letter.said(Header.GROUP),
        attempt=letter.attempt,
        source=letter.source.text() if letter.source else None,
        source_timestamp=letter.source_timestamp,
    )


@DIALECTS
def test_each_dialect_says_the_same_things(name: str) -> None:
    """Reason, message, stage, group, attempts, coordinates and time, wherever they are told."""
    letter = _letter([*SENDERS, *FOREIGN[name].added])
    assert letter.dialect == name
    assert _said(letter) == FOREIGN[name]._replace(added=())
    assert [(p.code, p.pointer) for p in letter.problems] == [(FOREIGN[name].reason, "")]


@DIALECTS
def test_what_a_dialect_adds_is_not_the_senders(name: str) -> None:
    """The sender's headers are left in their order, also those that are named alike."""
    alike = [(f"my.{each}", b"1") for each, _ in FOREIGN[name].added]
    longer = [] if name in PREFIXED else [(f"{each}_2", b"2") for each, _ in FOREIGN[name].added]
    senders = [*SENDERS, *alike, *longer]
    assert _letter([*senders, *FOREIGN[name].added]).headers == senders


def test_every_dialect_has_a_sample() -> None:
    """None is in the table that no test reads."""
    assert [dialect.name for dialect in TABLE] == list(FOREIGN)


@DIALECTS
def test_raw_record_of_a_foreign_letter(name: str) -> None:
    """Value, key and the sender's headers, at the original coordinates when they are told."""
    letter = _letter([*SENDERS, *FOREIGN[name].added])
    record = as_raw(letter)
    assert (record.value, record.key) == (VALUE, b"key")
    place = f"{record.topic}/{record.partition}/{record.offset}"
    assert place == (FOREIGN[name].source or "letters/1/9")
    assert record.timestamp == FOREIGN[name].source_timestamp
    made = dict(record.headers[len(SENDERS) :])
    assert tuple(record.headers[: len(SENDERS)]) == SENDERS
    assert made.pop("track.origin") == place.encode()
    assert made.pop("dlq.attempt") == str(FOREIGN[name].attempt).encode()
    assert set(made) <= {"track.origin.timestamp"}


def test_foreign_letter_that_passes_now() -> None:
    """It is enriched as if it had come from its own topic; only the sender's headers go on."""
    again = Again(ContractSettings(), IDENTITY)
    letter = _letter([*SENDERS, *connect()])
    output = only(again.outputs(letter, NOW, letter.value), Role.ENRICHED)
    headers = dict(output.headers)
    assert headers["track.source"] == b"shop.raw/3/41"
    assert output.timestamp == SENT
    assert not any(name.startswith("__connect") for name in headers)


def test_last_failure_counts() -> None:
    """Connect appends at a second failure; the headers of both are removed."""
    second = connect(offset=b"99", exception=b"org.example.Second", message=b"again")
    letter = _letter([*SENDERS, *connect(), *second])
    assert letter.source.text() == "shop.raw/3/99"
    assert (letter.reason, letter.problems[0].detail) == ("Second", "again")
    assert letter.headers == list(SENDERS)


@DIALECTS
def test_last_writer_counts(name: str) -> None:
    """A letter that failed once more elsewhere tells of that; what was before is the sender's."""
    before: Headers = SPRING if name != "spring" else connect()
    letter = _letter([*before, *FOREIGN[name].added, ("traceparent", b"00-1")])
    assert letter.dialect == name
    assert letter.headers == [*before, ("traceparent", b"00-1")]


@pytest.mark.parametrize("connect_headers", [False, True])
@DIALECTS
def test_ours_is_ours(name: str, *, connect_headers: bool) -> None:
    """A sender's headers of another system, and one appended by a tool, make it nobody else's."""
    settings: Any = {"dead_letter": {"connect_headers": connect_headers}}
    for behind in ([], [("traceparent", b"00-1")]):
        letter = _letter([*_ours(FOREIGN[name].added, **settings), *behind])
        assert (letter.dialect, letter.reason) == ("track", "invalid_json")
        assert letter.source.text() == "track.raw/3/42"


@pytest.mark.parametrize("connect_headers", [False, True])
@DIALECTS
def test_ours_can_not_be_forged(name: str, *, connect_headers: bool) -> None:
    """Headers like ours that a sender wrote do not replace the coordinates of a foreign letter."""
    settings: Any = {"dead_letter": {"connect_headers": connect_headers}}
    letter = _letter([*_ours(**settings), *FOREIGN[name].added])
    assert letter.dialect == name
    assert _said(letter) == FOREIGN[name]._replace(added=())
    assert not any(each.startswith(("dlq.", "track.")) for each, _ in letter.headers)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b"java.io.IOException", "IOException"),
        (b"a.b.Outer$Inner", "Inner"),
        (b"a.b.Outer$1", "Outer"),
        (b"scala.MatchError$", "MatchError"),
        (b"a.B: text. With.dots", "B"),
        (b"Plain", "Plain"),
        (b"no class, a sentence", "no class, a sentence"),
        (b"line\nend", r"line\nend"),
        (b": ", "unknown"),
        (b"\xff\xfe", "unknown"),
        (b"", "unknown"),
        (None, "unknown"),
        (b"x" * 5000, "x" * 200),
    ],
)
def test_simple_name(written: bytes | None, reason: str) -> None:
    """The reason is the exception's simple name, and in one line whatever it is."""
    headers = [*connect(), ("__connect.errors.exception.class.name", written)]
    letter = _letter(headers)
    assert letter.reason == letter.problems[0].code == reason


def test_messages_are_cut() -> None:
    """A stack trace in a message does not fill the memory of whoever groups messages."""
    letter = _letter(connect(message=TRACE.encode() * 20))
    assert letter.problems[0].detail.startswith(r"\n\tat org.example")
    assert len(letter.problems[0].detail) < 1200


BAD_NUMBERS: Final = [None, b"", b"-1", b"+1", b" 1", b"1.0", b"x", b"\xff", b"9" * 30, b"9" * 5000]


@pytest.mark.parametrize("value", [*BAD_NUMBERS, "٣".encode()])
@pytest.mark.parametrize("place", ["partition", "offset"])
def test_numbers_that_are_none(place: str, value: bytes | None) -> None:
    """Coordinates that can't be are unknown; the rest of the letter is read all the same."""
    letter = _letter([*connect(), (f"__connect.errors.{place}", value)])
    assert letter.source is None
    assert letter.reason == "DataException"


@pytest.mark.parametrize("value", [None, b"", b"a/b", b"a b", b"\xff", "ü".encode(), b"a" * 250])
def test_topics_that_are_none(value: bytes | None) -> None:
    """A name that no topic can have gives no coordinates."""
    assert _letter([*connect(), ("__connect.errors.topic", value)]).source is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, size in (("partition", 4), ("offset", 8))
        for value in (None, b"", b"3", b"\x00" * (size - 1), b"\x00" * (size + 1), b"\xff" * size)
    ],
)
def test_spring_numbers_of_another_length(name: str, value: bytes | None) -> None:
    """Only exactly 4 or 8 bytes are a number of Java's, and a negative one is no place."""
    assert _letter([*SPRING, (f"kafka_dlt-original-{name}", value)]).source is None


@pytest.mark.parametrize("value", [b"", b"\x00" * 7, struct.pack(">q", -1), b"\x7f" + b"\xff" * 7])
def test_spring_time_that_is_none(value: bytes) -> None:
    """The time of Java's "no timestamp", or one in a far future, is unknown."""
    assert _letter([*SPRING, ("kafka_dlt-original-timestamp", value)]).source_timestamp is None


@pytest.mark.parametrize("value", [b"", b"\x04", struct.pack(">i", 0), struct.pack(">i", -2)])
def test_spring_attempts_that_are_none(value: bytes) -> None:
    """A count that can't be read or can't be is one failure, as for letters that tell no count."""
    headers = [*SPRING, ("retry_topic-attempts", value), ("kafka_deliveryAttempt", None)]
    assert _letter(headers).attempt == 1


def test_spring_delivery_attempts() -> None:
    """Without retry topics it is the consumer that counts."""
    headers = [header for header in SPRING if header[0] != "retry_topic-attempts"]
    assert _letter(headers).attempt == 7


def test_spring_key_that_can_not_be_read() -> None:
    """The exception of the key is the reason when the value has none."""
    headers = [
        ("kafka_dlt-key-exception-fqcn", b"org.example.KeyException"),
        ("kafka_dlt-key-exception-message", b"no key"),
    ]
    letter = _letter(headers)
    assert (letter.reason, letter.problems[0].detail) == ("KeyException", "no key")


@pytest.mark.parametrize("timestamp", [None, -1, 0, 2**62])
def test_kept_time_that_is_none(timestamp: int | None) -> None:
    """A letter without a Kafka timestamp tells nothing of the original one."""
    letter = _letter(connect(), timestamp=timestamp)
    assert letter.source_timestamp is None
    assert letter.failed_at == 0


@pytest.mark.parametrize(
    "headers",
    [
        (),
        None,
        INVALID_HEADERS,
        SENDERS,
        [("source_topic", b"t"), ("source_partition", b"0")],
        [("original_partition", b"0")],
        [("dlq_topic", b"t"), ("dlq_partition", b"0"), ("dlq_offset", b"0")],
        [("dlq.event", b"e"), ("dlq.source", b"t/0/0")],
        [("track.contract", b"1;x"), ("track.source", b"t/0/0")],
        [("", b"t")],
    ],
)
def test_unknown_letter(headers: Any) -> None:
    """A record with no headers, or with nobody's, is a letter of which only the value is known."""
    letter = _letter(headers)
    assert (letter.dialect, letter.reason, letter.stage) == ("unknown", "unknown", "")
    assert (letter.source, letter.source_timestamp, letter.attempt) == (None, None, 1)
    assert letter.problems == [("unknown", "", "")]
    assert letter.event == "e"
    senders = [each for each in headers or () if not each[0].startswith(("dlq.", "track."))]
    assert letter.headers == senders
    record = as_raw(letter)
    assert (record.topic, record.partition, record.offset) == ("letters", 1, 9)
    assert record.value == VALUE


@pytest.mark.parametrize("value", [b"9" * 5000, b"-1", b"0", b"\xd9\xa3", b"", None, b"[" * 9000])
def test_our_headers_spoiled(value: bytes | None) -> None:
    """What can't be read in a letter of ours is unknown too."""
    names = (Header.SOURCE, Header.SOURCE_TIMESTAMP, Header.ATTEMPT, Header.REASONS)
    letter = _letter([*_ours(), *((str(name), value) for name in names)])
    assert letter.dialect == "track"
    assert (letter.source, letter.source_timestamp, letter.attempt) == (None, None, 1)
    assert letter.problems == [("invalid_json", "", "")]


_KNOWN: Final = sorted(
    {name for dialect in TABLE for name in dialect.names} | {header.value for header in Header}
)
_JSON: Final = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from(["batch", "event", "context", "library"]), children)
    ),
)
_BYTES: Final = st.one_of(
    st.none(),
    st.binary(max_size=12),
    st.text(max_size=12).map(str.encode),
    st.integers().map(lambda number: str(number).encode()),
    st.sampled_from([b"t/0/1/2", b"t", b"9" * 5000, b'[{"code":1,"pointer":[],"detail":null}]']),
    _JSON.map(lambda value: json.dumps(value).encode()),
)
_HEADERS: Final = st.lists(
    st.tuples(st.sampled_from(_KNOWN) | st.text(max_size=9), _BYTES), max_size=12
)
_READ: Final = [name for name, member in vars(DeadLetter).items() if isinstance(member, property)]
_AGAIN: Final = Again(ContractSettings(), IDENTITY)


@given(_HEADERS, _BYTES, st.none() | st.integers(-(2**63), 2**63 - 1))
def test_any_record_is_a_letter(
    headers: list[tuple[str, bytes | None]], value: bytes | None, timestamp: int | None
) -> None:
    """Whatever headers, value and time are, all of the letter can be read, and processed again."""
    letter = _letter(headers, value, timestamp)
    facts = {name: getattr(letter, name) for name in _READ}
    assert facts["reason"]
    assert len(facts["problems"]) >= 1
    assert set(facts["headers"]) <= set(headers)
    assert all(letter.said(header).isprintable() for header in Header) or letter.dialect == "track"
    assert _AGAIN.outputs(letter, NOW, value)
