"""Who wrote a dead letter, and what its headers say in our words.

Each dialect translates its own headers into those of `core.deadletter.Header`, so that everything
behind it knows one vocabulary only.
"""

from __future__ import annotations

from pipeline.core.deadletter import CONNECT_PREFIX, Header
from pipeline.core.record import INVALID_HEADERS, Record
from pipeline.deadletters.letter import TRACK, UNKNOWN, DeadLetter


def read_letter(record: Record) -> DeadLetter:
    """A record of a dead-letter topic as a letter; whatever its headers hold, it is one."""
    headers = record.headers
    if headers is INVALID_HEADERS:
        return DeadLetter(record, UNKNOWN, {})
    # Of a name that occurs twice the last one counts, as in Kafka's own lastHeader().
    named = dict(headers)
    if Header.REASON in named:
        # With dead_letter.connect_headers our letters have Kafka Connect's headers too.
        return DeadLetter(record, TRACK, named, (CONNECT_PREFIX,))
    return DeadLetter(record, UNKNOWN, {})
