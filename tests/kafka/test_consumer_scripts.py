"""The scripts that read the enriched topic: JSON and Avro, every digit of the money."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from pipeline.core.record import Headers
from tests.brokers import RECENT, Sent, produce
from tests.kafka.test_from_python import run_alone
from tests.kafka.worker_process import Pipeline, terminate
from tests.registries import LocalRegistry
from tests.unit.reading.messages import forms, output

pytestmark = pytest.mark.kafka

LARGE: Final = "12345678901234567890123456789.1234567891"
"""An amount of 39 digits: a double, and a sum with Python's default precision, would change it."""


def _send(pipeline: Pipeline, *amounts: tuple[str, str]) -> None:
    """Write sales to the enriched topic, one as JSON, the next one as Avro, and so on."""
    sent = []
    for number, (amount, currency) in enumerate(amounts):
        event = _sale(amount, currency)
        value, headers = forms(output(event))[("json", "single-object")[number % 2]]
        ours: Headers = [*headers[:-2], ("track.source", f"raw/0/{number}".encode())]
        sent.append(Sent(value, b"u", ours, RECENT + number, number % 2))
    produce(pipeline.servers, pipeline.names.enriched, sent)


def _sale(amount: str, currency: str) -> dict[str, Any]:
    properties = {"revenue": amount, "currency": currency, "sku": "a"}
    return {"event": "Sale", "userId": "u", "properties": properties}


def test_revenue_is_summed_with_every_digit(pipeline: Pipeline) -> None:
    """The script ends at the end of the topic, and prints an exact sum per currency."""
    _send(pipeline, (LARGE, "USD"), ("0.1", "USD"), ("0.2", "USD"), ("5", "EUR"), ("-2.50", "EUR"))
    ran = run_alone("revenue.py", pipeline.servers, pipeline.names.enriched)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "EUR 2.50",
        "USD 12345678901234567890123456789.4234567891",
    ]


def test_avro_of_a_worker_is_read_with_the_registry(
    pipeline: Pipeline, registry: LocalRegistry
) -> None:
    """From raw records to exact sums: registered, written with ids of the registry, and read."""
    raw = [json.dumps(_sale(amount, "USD")).encode() for amount in (LARGE, "0.1")]
    sent = [Sent(value, b"u", (), RECENT + n, n) for n, value in enumerate(raw)]
    produce(pipeline.servers, pipeline.names.raw, sent)
    variables = {"TRACK_OUTPUT__FORMAT": "avro", **registry.variables}
    assert pipeline.run("schemas", "register", env=variables).code == 0
    worker = pipeline.start(output__format="avro", **registry.settings)
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    enriched = pipeline.names.enriched
    ran = run_alone("revenue.py", pipeline.servers, enriched, registry.url)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "USD 12345678901234567890123456789.2234567891\n"
    ran = run_alone("revenue.py", pipeline.servers, enriched)
    assert ran.returncode == 1
    assert f"{enriched}: schema id " in ran.stderr
    assert "is unknown: pass a Schema Registry that has it" in ran.stderr


def test_events_are_loaded_into_a_table(pipeline: Pipeline, tmp_path: Path) -> None:
    """Amounts are decimals of the table, parts can be searched, and a second run adds nothing."""
    _send(pipeline, (LARGE, "USD"), ("0.1", "USD"), ("0.2", "EUR"))
    file = tmp_path / "events.duckdb"
    ran = run_alone("warehouse.py", pipeline.servers, pipeline.names.enriched, str(file))
    assert ran.returncode == 0, ran.stderr
    _send(pipeline, (LARGE, "USD"))  # the same source
    ran = run_alone("warehouse.py", pipeline.servers, pipeline.names.enriched, str(file))
    assert ran.returncode == 0, ran.stderr
    with duckdb.connect(str(file)) as database:
        sums = database.execute(
            "SELECT currency, sum(revenue), count(*) FROM events "
            "WHERE properties->>'$.sku' = 'a' GROUP BY currency ORDER BY currency"
        ).fetchall()
    assert sums == [
        ("EUR", Decimal("0.200000000"), 1),
        ("USD", Decimal("12345678901234567890123456789.223456789"), 2),
    ]


@pytest.mark.parametrize("name", ["revenue.py", "warehouse.py"])
def test_another_topic_is_a_sentence(pipeline: Pipeline, tmp_path: Path, name: str) -> None:
    """A script that is pointed at raw records says so."""
    produce(pipeline.servers, pipeline.names.raw, [Sent(b'{"type":"track"}', b"u", (), RECENT, 0)])
    ran = run_alone(name, pipeline.servers, pipeline.names.raw, *_file(name, tmp_path))
    assert ran.returncode == 1
    assert "a track call that was not enriched" in ran.stderr


def _file(name: str, folder: Path) -> list[str]:
    return [str(folder / "events.duckdb")] if name == "warehouse.py" else []
