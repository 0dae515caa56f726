"""The table of librdkafka's properties is that of the client which is installed."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer

from pipeline.settings.client_values import problem, properties
from tests.kafka.mock_cluster import library

_OF_CODE = "see dedicated API"
"""Callbacks and the like, which no setting can hold."""


def _told_by_the_client(folder: Path) -> dict[str, set[str]]:
    """Name → client and values of each row of its CONFIGURATION.md; some names have two rows."""
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    path = folder / "properties"
    file = ctypes.c_void_p(libc.fopen(str(path).encode(), b"w"))
    library().rd_kafka_conf_properties_show(file)
    libc.fclose(file)
    rows: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        kind = re.search(r"\*Type: (.*?)\*\s*$", line)
        if kind is not None and kind[1] != _OF_CODE:
            name, client, values, *_ = (cell.strip() for cell in line.split("|"))
            rows.setdefault(name, set()).add(f"{client} {_values(kind[1], values)}")
    return rows


def _values(kind: str, values: str) -> str:
    if kind in {"integer", "float"}:
        low, high = values.split(" .. ")
        return f"{low}..{high}" if kind == "integer" else f"{low}.0..{high}"
    return {"boolean": "boolean", "enum value": values.replace(", ", "|")}.get(kind, "text")


def test_the_table_is_the_clients(tmp_path: Path) -> None:
    """Every property with its values, and none that the client does not have."""
    rows = _told_by_the_client(tmp_path)
    ours = {name: f"{row.client} {row.values}" for name, row in properties().items()}
    assert set(ours) == set(rows)
    assert [name for name, row in ours.items() if row not in rows[name]] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("linger.ms", "fast"),
        ("linger.ms", "900001"),
        ("retry.backoff.ms", "0"),
        ("retry.backoff.ms", ""),
        ("security.protocol", "sasl-ssl"),
        ("log.connection.close", "ja"),
        ("message.send.max.retires", "1"),
    ],
)
def test_value_that_the_client_rejects_is_rejected_early(name: str, value: str) -> None:
    """A value that the client would reject is rejected before there is a client."""
    assert problem("kafka", name, value) is not None
    with pytest.raises(KafkaException):
        Producer({name: value, "log_level": 0})


@pytest.mark.parametrize(
    ("name", "value"), [("linger.ms", "5.5"), ("security.protocol", "PlainText"), ("acks", "-1")]
)
def test_what_the_client_takes_is_taken(name: str, value: str) -> None:
    """Decimals, and words in any case."""
    assert problem("kafka", name, value) is None
    Producer({name: value, "log_level": 0})
