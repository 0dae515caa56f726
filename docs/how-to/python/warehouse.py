"""Load enriched events into DuckDB: typed columns for money and times, JSON for the rest.

    python warehouse.py SERVERS TOPIC FILE [REGISTRY]

Each run loads what is new. An event that is read twice, or corrected, stays one row.
"""

import sys

import duckdb
from confluent_kafka import Consumer

from pipeline.reading import EnrichedTrack as Event
from pipeline.reading import TrackError, column_amount, read_message, registry_schemas

servers, topic, file, *registry = sys.argv[1:]
database = duckdb.connect(file)
database.execute(
    "CREATE TABLE IF NOT EXISTS events (source TEXT PRIMARY KEY, event TEXT, time TIMESTAMP, "
    "revenue DECIMAL(38, 9), currency TEXT, properties JSON)"
)


def row(event: Event) -> list[object]:
    """The columns. The exact revenue is rounded here: DuckDB might lose digits."""
    source = event.provenance.source and event.provenance.source.text()
    time = event.timestamp and event.timestamp.replace(tzinfo=None)
    revenue = None if event.revenue is None else column_amount(event.revenue)
    properties = event.properties_json.decode()
    return [source, event.event, time, revenue, event.currency, properties]


rows: list[list[object]] = []
at_end: set[int | None] = set()
config: dict[str, str | bool] = {"bootstrap.servers": servers, "group.id": "warehouse"}
config |= {"isolation.level": "read_committed", "enable.partition.eof": True}
consumer = Consumer(config | {"auto.offset.reset": "earliest", "enable.auto.commit": False})
consumer.subscribe([topic])
try:
    schemas = registry_schemas(registry[0]) if registry else None
    while not at_end or len(at_end) < len(consumer.assignment()):
        if (message := consumer.poll(1)) is None:
            continue
        if (error := message.error()) is not None and error.name() == "_PARTITION_EOF":
            at_end.add(message.partition())
        elif isinstance(event := read_message(message, schemas), Event):
            rows.append(row(event))
    if rows:
        database.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
        consumer.commit(asynchronous=False)
except TrackError as unreadable:
    sys.exit(f"{topic}: {unreadable}")
finally:
    consumer.close()
