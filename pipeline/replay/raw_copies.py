"""A raw record and its copies: of all that are of one event, a replay writes the last one.

With `accept_origin_headers` a raw record may be a copy of another one: a dead letter that was sent
to the raw topic again (`dlq redrive --to raw`) stands there twice. Where both pass now, the event
would be there twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pipeline.core.coordinates import NO_ITEM, Source, parse_source
from pipeline.core.origin import read_origin
from pipeline.core.record import Output, Record, Role
from pipeline.reconcile.event_filters import source_of
from pipeline.reconcile.spill import SavedSpill, Spill

COPIED: Final = "copied"
"""Reason code of events that are left out because a later copy takes their place."""
_SCHEMA: Final = """
CREATE TABLE copy (
    source TEXT PRIMARY KEY, time INTEGER, topic TEXT, partition INTEGER, number INTEGER
) WITHOUT ROWID;
"""
_NOTE: Final = """
INSERT INTO copy VALUES (?, ?, ?, ?, ?) ON CONFLICT (source) DO UPDATE SET
    time = excluded.time, topic = excluded.topic, partition = excluded.partition,
    number = excluded.number
WHERE (excluded.time, excluded.topic, excluded.partition, excluded.number)
    > (time, topic, partition, number)
"""
_LAST: Final = """
SELECT topic, partition, number FROM copy WHERE source IN (?, ?)
ORDER BY time DESC, topic DESC, partition DESC, number DESC LIMIT 1
"""


class Copies(Spill):
    """The last copy of each event that has one, by source. See `Spill`."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(_SCHEMA, folder, shared=True)

    def note(self, records: Iterable[Record]) -> int:
        """Note the records that are copies, and return their number."""
        count = 0
        for record in records:
            if not record.headers:
                continue
            source = read_origin(record, accept_headers=True).source()
            place = record.topic, record.partition, record.offset
            if source != Source(*place, NO_ITEM).text():
                self._database.execute(_NOTE, (source, record.timestamp or 0, *place))
                count += 1
        return count


class LastCopies(SavedSpill):
    """Copies that were noted and saved. See `SavedSpill`."""

    def select(self, record: Record, outputs: Sequence[Output]) -> list[Output]:
        """What of a record's outputs is to be written; of events with a later copy none."""
        chosen = []
        for output in outputs:
            if self._is_last(record, source_of(output)):
                chosen.append(output)
            elif output.role is not Role.IDENTIFY:
                chosen.append(output._replace(role=Role.DROPPED, reason=COPIED))
        return chosen

    def _is_last(self, record: Record, text: bytes) -> bool:
        source = parse_source(text)
        if source is None:
            return True
        # The event itself may have been copied, or the whole envelope that it is from.
        names = source.text(), source._replace(item=NO_ITEM).text()
        last = self._database.execute(_LAST, names).fetchone()
        return last is None or last == (record.topic, record.partition, record.offset)
