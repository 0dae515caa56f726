"""Sum up the revenue of the enriched topic, exactly: a consumer of your own.

    python revenue.py SERVERS TOPIC [REGISTRY]

Events may be JSON or Avro. REGISTRY, the URL of a Schema Registry, is needed when they name their
schema by its id there (output.framing "prefix" or "header").
"""

import sys
from collections import defaultdict
from decimal import Decimal, getcontext

from confluent_kafka import Consumer

from pipeline.reading import EnrichedTrack, TrackError, read_message, registry_schemas

servers, topic, *registry = sys.argv[1:]
getcontext().prec = 100  # the default, 28 digits, would round a sum
total: defaultdict[str | None, Decimal] = defaultdict(Decimal)
at_end: set[int | None] = set()
config: dict[str, str | bool] = {"bootstrap.servers": servers, "group.id": "revenue"}
# Nothing that an aborted transaction has written; and say when there is no more.
config |= {"isolation.level": "read_committed", "enable.partition.eof": True}
consumer = Consumer(config | {"auto.offset.reset": "earliest", "enable.auto.commit": False})
try:
    schemas = registry_schemas(registry[0]) if registry else None
    consumer.subscribe([topic])
    while not at_end or len(at_end) < len(consumer.assignment()):
        message = consumer.poll(1)
        if message is None:
            continue
        if (error := message.error()) is None:
            event = read_message(message, schemas)
            if isinstance(event, EnrichedTrack) and event.revenue is not None:
                total[event.currency] += event.revenue
        elif error.name() == "_PARTITION_EOF":
            at_end.add(message.partition())
        else:
            sys.exit(f"{topic}: {error}")
except TrackError as unreadable:
    sys.exit(f"{topic}: {unreadable}")
finally:
    consumer.close()
for currency, amount in sorted(total.items(), key=str):
    print(currency, f"{amount:f}")
