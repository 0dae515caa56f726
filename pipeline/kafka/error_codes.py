"""Names for the error codes that librdkafka makes up itself: the broker never sends them.

confluent-kafka spells them with a leading underscore, although they are part of its public
interface. This is the only module that touches those spellings. Codes that a broker sends have
public names on `KafkaError` and are used from there.
"""

# ruff: noqa: SLF001

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

# Connections and calls.
ALL_BROKERS_DOWN: Final = KafkaError._ALL_BROKERS_DOWN
AUTHENTICATION_FAILED: Final = KafkaError._AUTHENTICATION
TIMED_OUT: Final = KafkaError._TIMED_OUT
FAILED: Final = KafkaError._FAIL
WRONG_STATE: Final = KafkaError._STATE
"""The client is in a state in which it does not accept this call."""
FATAL: Final = KafkaError._FATAL
"""The client is broken for good; its text names the cause."""
UNSUPPORTED_FEATURE: Final = KafkaError._UNSUPPORTED_FEATURE
"""The brokers are too old for this call."""

# Reading.
PARTITION_EOF: Final = KafkaError._PARTITION_EOF
"""Not an error: the consumer has reached the end of a partition."""
NO_OFFSET: Final = KafkaError._AUTO_OFFSET_RESET
"""The position does not exist, and `auto.offset.reset` is `error`."""
UNKNOWN_TOPIC: Final = KafkaError._UNKNOWN_TOPIC
UNKNOWN_PARTITION: Final = KafkaError._UNKNOWN_PARTITION
BAD_MESSAGE: Final = KafkaError._BAD_MSG
BAD_COMPRESSION: Final = KafkaError._BAD_COMPRESSION
NOT_IMPLEMENTED: Final = KafkaError._NOT_IMPLEMENTED

# Writing.
FENCED: Final = KafkaError._FENCED
PURGED_FROM_QUEUE: Final = KafkaError._PURGE_QUEUE
PURGED_IN_FLIGHT: Final = KafkaError._PURGE_INFLIGHT
ANOTHER_RECORD_INVALID: Final = KafkaError._INVALID_DIFFERENT_RECORD
"""The batch was rejected because of another record in it."""

OFFSET_GONE: Final = frozenset({NO_OFFSET, KafkaError.OFFSET_OUT_OF_RANGE})
"""The offset to read from was deleted, or never existed."""
