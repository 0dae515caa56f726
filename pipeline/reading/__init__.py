"""For consumers of the output topics: one Kafka message in, one typed object out.

    from pipeline.reading import EnrichedTrack, read_message

    event = read_message(message)
    if isinstance(event, EnrichedTrack) and event.revenue is not None:
        total[event.currency] += event.revenue

`read_message(message, schemas=None)` takes a message of confluent_kafka, `read_output(value,
headers=(), schemas=None)` the bytes and headers of a message of any client. Both read the enriched,
the identify and the dead-letter topic, JSON and Avro, each framing, and each version of the
contract, also later ones. They return an `EnrichedTrack`, an `Identify` or a `DeadLetterMessage`,
whose attributes say what they hold.

`schemas` is needed for Confluent's framings only, since these name a schema by a number that one
registry has given it: `registry_schemas(url)`, or the texts of schemas by id, `{7: text}`. JSON and
single-object encoding are read without.

Amounts are exact, with all digits that were sent. `column_amount(event.revenue)` rounds one to the
nine places of a decimal(38, 9) column, half to even, as the Avro column `revenue` is. Adding exact
amounts needs a `decimal` context of more than the usual 28 digits.

Both raise `UnreadableOutputError`, whose text says what the message is and why it can't be read;
and, only with a registry, `RegistryUnavailableError` when it does not answer: try again later; or
`RefusedError` when it rejects the request, as it does with wrong credentials. All are a
`TrackError`.

It needs no settings of the worker, and importing it imports no Kafka client. May import `registry`,
`avro`, `ports`, `errors` and `core`.
"""

from __future__ import annotations

from pipeline.avro.output_json import Schemas
from pipeline.core.coordinates import NO_ITEM, Source
from pipeline.core.dead_letter_fields import Problem
from pipeline.core.money import column_amount
from pipeline.errors import (
    RefusedError,
    RegistryUnavailableError,
    SettingsError,
    TrackError,
    UnreadableOutputError,
)
from pipeline.reading.events import (
    DeadLetterMessage,
    EnrichedTrack,
    Enrichment,
    Identify,
    OutputMessage,
    Provenance,
    UserMessage,
)
from pipeline.reading.read import KafkaMessage, read_message, read_output
from pipeline.reading.registry import registry_schemas

__all__ = [
    "NO_ITEM",
    "DeadLetterMessage",
    "EnrichedTrack",
    "Enrichment",
    "Identify",
    "KafkaMessage",
    "OutputMessage",
    "Problem",
    "Provenance",
    "RefusedError",
    "RegistryUnavailableError",
    "Schemas",
    "SettingsError",
    "Source",
    "TrackError",
    "UnreadableOutputError",
    "UserMessage",
    "column_amount",
    "read_message",
    "read_output",
    "registry_schemas",
]
