"""Headers that hold what they should not: the dead letter is read, and what they say is unknown."""

from __future__ import annotations

import json
import struct
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.contract import ContractSettings
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import INVALID_HEADERS
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.header_formats.formats import FOREIGN as TABLE
from pipeline.dlq.reprocess import Reprocessor, as_raw
from tests.support import IDENTITY, NOW
from tests.unit.dlq.foreign import SENDERS, SPRING, VALUE, connect, dead_letter_of, our_headers

BAD_NUMBERS: Final = [None, b"", b"-1", b"+1", b" 1", b"1.0", b"x", b"\xff", b"9" * 30, b"9" * 5000]


@pytest.mark.parametrize("value", [*BAD_NUMBERS, "٣".encode()])
@pytest.mark.parametrize("place", ["partition", "offset"])
def test_unreadable_numbers_are_unknown(place: str, value: bytes | None) -> None:
    """Impossible coordinates are unknown; the rest of the dead letter is read all the same."""
    dead_letter = dead_letter_of([*connect(), (f"__connect.errors.{place}", value)])
    assert dead_letter.source is None
    assert dead_letter.reason == "DataException"


@pytest.mark.parametrize("value", [None, b"", b"a/b", b"a b", b"\xff", "ü".encode(), b"a" * 250])
def test_impossible_topics_are_unknown(value: bytes | None) -> None:
    """A name that no topic can have gives no coordinates."""
    assert dead_letter_of([*connect(), ("__connect.errors.topic", value)]).source is None


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
    assert dead_letter_of([*SPRING, (f"kafka_dlt-original-{name}", value)]).source is None


@pytest.mark.parametrize("value", [b"", b"\x00" * 7, struct.pack(">q", -1), b"\x7f" + b"\xff" * 7])
def test_spring_time_that_is_impossible(value: bytes) -> None:
    """Java's "no timestamp", or a time in the far future, is unknown."""
    assert (
        dead_letter_of([*SPRING, ("kafka_dlt-original-timestamp", value)]).source_timestamp is None
    )


@pytest.mark.parametrize("value", [b"", b"\x04", struct.pack(">i", 0), struct.pack(">i", -2)])
def test_spring_attempts_that_are_impossible(value: bytes) -> None:
    """An unreadable or impossible count is one failure, as for dead letters without a count."""
    headers = [*SPRING, ("retry_topic-attempts", value), ("kafka_deliveryAttempt", None)]
    assert dead_letter_of(headers).attempt == 1


def test_spring_delivery_attempts() -> None:
    """Without retry topics the consumer counts the attempts."""
    headers = [header for header in SPRING if header[0] != "retry_topic-attempts"]
    assert dead_letter_of(headers).attempt == 7


def test_spring_key_that_can_not_be_read() -> None:
    """The exception of the key is the reason when the value has none."""
    headers = [
        ("kafka_dlt-key-exception-fqcn", b"org.example.KeyException"),
        ("kafka_dlt-key-exception-message", b"no key"),
    ]
    dead_letter = dead_letter_of(headers)
    assert (dead_letter.reason, dead_letter.problems[0].detail) == ("KeyException", "no key")


@pytest.mark.parametrize("timestamp", [None, -1, 0, 2**62])
def test_kept_time_that_is_absent(timestamp: int | None) -> None:
    """A dead letter without a Kafka timestamp does not state the original one."""
    dead_letter = dead_letter_of(connect(), timestamp=timestamp)
    assert dead_letter.source_timestamp is None
    assert dead_letter.failed_at == 0


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
        [(DlqHeader.EVENT, b"e"), (DlqHeader.SOURCE, b"t/0/0")],
        [(TrackHeader.CONTRACT, b"1;x"), (TrackHeader.SOURCE, b"t/0/0")],
        [("", b"t")],
    ],
)
def test_unknown_dead_letter(headers: Any) -> None:
    """A record with no headers, or with nobody's, is a dead letter with a value and no more."""
    dead_letter = dead_letter_of(headers)
    assert (dead_letter.header_format, dead_letter.reason, dead_letter.stage) == (
        "unknown",
        "unknown",
        "",
    )
    assert (dead_letter.source, dead_letter.source_timestamp, dead_letter.attempt) == (
        None,
        None,
        1,
    )
    assert dead_letter.problems == [("unknown", "", "")]
    assert dead_letter.event == "e"
    senders = [each for each in headers or () if not each[0].startswith(("dlq.", "track."))]
    assert dead_letter.headers == senders
    record = as_raw(dead_letter, dead_letter.value)
    assert (record.topic, record.partition, record.offset) == ("dead", 1, 9)
    assert record.value == VALUE


@pytest.mark.parametrize("value", [b"9" * 5000, b"-1", b"0", b"\xd9\xa3", b"", None, b"[" * 9000])
def test_our_headers_spoiled(value: bytes | None) -> None:
    """What can't be read in a dead letter of ours is unknown, too."""
    names = (DlqHeader.SOURCE, DlqHeader.SOURCE_TIMESTAMP, DlqHeader.ATTEMPT, DlqHeader.REASONS)
    dead_letter = dead_letter_of([*our_headers(), *((str(name), value) for name in names)])
    assert dead_letter.header_format == "track"
    assert (dead_letter.source, dead_letter.source_timestamp, dead_letter.attempt) == (
        None,
        None,
        1,
    )
    assert dead_letter.problems == [("invalid_json", "", "")]


_KNOWN: Final = sorted(
    {name for header_format in TABLE for name in header_format.names}
    | {header.value for header in DlqHeader}
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
_AGAIN: Final = Reprocessor(ContractSettings(), IDENTITY)


@given(_HEADERS, _BYTES, st.none() | st.integers(-(2**63), 2**63 - 1))
def test_any_record_is_a_dead_letter(
    headers: list[tuple[str, bytes | None]], value: bytes | None, timestamp: int | None
) -> None:
    """Whatever headers, value and time are, the dead letter can be read and processed again."""
    dead_letter = dead_letter_of(headers, value, timestamp)
    facts = {name: getattr(dead_letter, name) for name in _READ}
    assert facts["reason"]
    assert len(facts["problems"]) >= 1
    assert set(facts["headers"]) <= set(headers)
    assert (
        all(dead_letter.header(header).isprintable() for header in DlqHeader)
        or dead_letter.header_format == "track"
    )
    assert _AGAIN.outputs(dead_letter, NOW, value)
