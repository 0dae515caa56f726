"""`dlq list` over dead letters that other systems wrote, on a real broker."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from pipeline.core.headers import DlqHeader
from pipeline.core.timestamps import format_time
from pipeline.dlq.dead_letter import UNKNOWN
from tests.brokers import RECENT, Sent, create_topics, produce
from tests.unit.cli.program import Ran, run
from tests.unit.dlq.foreign import FOREIGN, SENDERS, SENT, TOPIC

pytestmark = pytest.mark.kafka
EVENT: Final = b'{"event": "Order Completed", "userId": "u-1"}'
NOBODYS: Final = (
    Sent(EVENT),
    Sent(None, headers=SENDERS),
    Sent(b"\xff\x00 not JSON", headers=[("traceparent", b"\xff"), ("", None)]),
    Sent(b"{}", headers=[(DlqHeader.EVENT, b"\xff"), (DlqHeader.ATTEMPT, b"9" * 5000)]),
)
"""Records without headers of ours, or with what can't be read in them."""


def _list(servers: str, topic: str, *flags: str) -> Ran:
    ran = run(
        "dlq", "list", "--topic", topic, *flags, env={"TRACK_KAFKA_BOOTSTRAP_SERVERS": servers}
    )
    assert "Traceback" not in ran.err
    assert ran.code == 0, ran.err
    return ran


def _documents(servers: str, topic: str, *flags: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _list(servers, topic, "--json", *flags).out.splitlines()]


@pytest.fixture
def dead_letters(bootstrap_servers: str, topic_name: Callable[[str], str]) -> Callable[..., str]:
    """Makes a topic that holds these records."""

    def make(*sent: Sent) -> str:
        topic = topic_name("foreign")
        create_topics(bootstrap_servers, topic)
        produce(bootstrap_servers, topic, sent)
        return topic

    return make


def test_dead_letters_of_each_header_format(
    bootstrap_servers: str, dead_letters: Callable[..., str]
) -> None:
    """Each dead letter has its writer, reason, message, stage, attempts, coordinates and time."""
    topic = dead_letters(
        *(Sent(EVENT, b"k", [*SENDERS, *f.added], RECENT) for f in FOREIGN.values())
    )
    listed = _documents(bootstrap_servers, topic)
    assert [document["header_format"] for document in listed] == list(FOREIGN)
    # Connect and Streams keep the record's own time; Spring alone writes it in a header.
    times = {"connect": RECENT, "streams": RECENT, "spring": SENT}
    for document, (name, foreign) in zip(listed, FOREIGN.items(), strict=True):
        assert document["reason"] == foreign.reason
        assert [p["code"] for p in document["reasons"]] == [foreign.reason]
        assert document["reasons"][0]["detail"] == foreign.detail
        assert (document["stage"], document["attempt"]) == (foreign.stage, foreign.attempt)
        assert document["source"] == foreign.source
        time = times.get(name)
        assert document["source_timestamp"] == (time and format_time(time))
        assert document["failed_at"] == format_time(RECENT)
        assert document["event"] == "Order Completed"


@pytest.mark.parametrize(
    ("flags", "header_formats"),
    [
        (("--reason", "DataException"), ["connect"]),
        (("--stage", "VALUE_CONVERTER", "--stage", "WRITE"), ["connect", "schema-registry"]),
        (("--attempt", "4", "--attempt", "5"), ["spring", "share-group"]),
        (("--detail-regex", "KABOOM|none left"), ["spring", "streams"]),
        (("--source-until", format_time(SENT + 1)), ["spring"]),
        (("--source", f"{TOPIC}/3/41", "--limit", "2"), ["connect", "spring"]),
        (("--user", "u-1", "--event", "Order Completed", "--limit", "1"), ["connect"]),
    ],
)
def test_filters_mean_foreign_dead_letter_too(
    bootstrap_servers: str,
    dead_letters: Callable[..., str],
    flags: Sequence[str],
    header_formats: Sequence[str],
) -> None:
    """Each filter matches what the other system stated, under our names."""
    topic = dead_letters(
        *(Sent(EVENT, headers=f.added, timestamp=RECENT) for f in FOREIGN.values())
    )
    found = [document["header_format"] for document in _documents(bootstrap_servers, topic, *flags)]
    assert found == list(header_formats)


def test_dead_letters_with_unknown_headers(
    bootstrap_servers: str, dead_letters: Callable[..., str]
) -> None:
    """Records with none of the known headers are listed, with facts from their values."""
    topic = dead_letters(*NOBODYS)
    listed = _documents(bootstrap_servers, topic)
    assert [(each["header_format"], each["reason"]) for each in listed] == [(UNKNOWN, UNKNOWN)] * 4
    assert [each["source"] for each in listed] == [None] * 4
    assert [each["event"] for each in listed] == ["Order Completed", "", "", ""]
    _, *rows = _list(bootstrap_servers, topic).out.decode().splitlines()
    assert [row.split("\t")[0] for row in rows] == ["0/0", "0/1", "0/2", "0/3"]
