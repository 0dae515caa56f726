"""Made-up next versions of the published schemas: some that may be published, some that may not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pipeline.avro.published import published
from pipeline.core.record import Role

Change = Callable[[dict[str, Any]], object]


class NextVersion(NamedTuple):
    """A change of the enriched event's schema, and what a reader has against it."""

    change: Change
    new_reader: str = ""
    """Why a reader of the next version can't read what this one has written."""
    old_reader: str = ""
    """Why a reader of this version can't read what the next one has written."""

    @property
    def text(self) -> str:
        """The schema."""
        schema = json.loads(published(Role.ENRICHED))
        self.change(schema)
        return json.dumps(schema)


def _field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    field: dict[str, Any] = next(each for each in schema["fields"] if each["name"] == name)
    return field


def _add(name: str, kind: Any, **more: Any) -> Change:
    return lambda schema: schema["fields"].append({"name": name, "type": kind, **more})


def _remove(name: str) -> Change:
    return lambda schema: schema["fields"].remove(_field(schema, name))


def _set(name: str, /, **values: Any) -> Change:
    return lambda schema: _field(schema, name).update(values)


def _set_decimal(**values: Any) -> Change:
    return lambda schema: _field(schema, "revenue")["type"][1].update(values)


def _of_enrichment(change: Change) -> Change:
    return lambda schema: change(_field(schema, "enrichment")["type"])


_TEXT: Final = ["null", "string"]
_DECIMAL: Final = "bytes (decimal(38, 9))"

COMPATIBLE: Final = {
    "nothing": NextVersion(lambda _schema: None),
    "field added": NextVersion(_add("country", _TEXT, default=None)),
    "field added to enrichment": NextVersion(_of_enrichment(_add("geo", _TEXT, default=None))),
    "field with a default removed": NextVersion(_remove("integrations")),
    "description changed": NextVersion(_set("event", doc="Another.")),
    "other names for a field": NextVersion(_set("messageId", aliases=["id"])),
}
"""Versions that read, and are read by, all others."""

INCOMPATIBLE: Final = {
    "field without a default removed": NextVersion(
        _remove("messageId"),
        old_reader="messageId: not written, and the reader has no default for it",
    ),
    "field without a default added": NextVersion(
        _add("country", "string"),
        new_reader="country: not written, and the reader has no default for it",
    ),
    "field renamed": NextVersion(
        _set("messageId", name="id"),
        new_reader="id: not written, and the reader has no default for it",
        old_reader="messageId: not written, and the reader has no default for it",
    ),
    "field of another type": NextVersion(
        _set("event", type="int"),
        new_reader="event: written as string, read as int",
        old_reader="event: written as int, read as string",
    ),
    "type narrowed": NextVersion(
        _set("timestamp", type=["null", "int"]),
        new_reader="timestamp: written as long (timestamp-millis), read as null or int",
        old_reader="timestamp: written as int, read as null or long (timestamp-millis)",
    ),
    "never null any more": NextVersion(
        _set("userId", type="string", default=""),
        new_reader="userId: written as null, read as string",
    ),
    "may be null": NextVersion(
        _set("event", type=_TEXT, default=None),
        old_reader="event: written as null, read as string",
    ),
    "record renamed": NextVersion(
        lambda schema: schema.update(name="EnrichedTrackEvent3"),
        new_reader="the whole value: written as record track_pipeline.EnrichedTrackEvent, read as "
        "record track_pipeline.EnrichedTrackEvent3",
        old_reader="the whole value: written as record track_pipeline.EnrichedTrackEvent3, read as "
        "record track_pipeline.EnrichedTrackEvent",
    ),
    "items of another type": NextVersion(
        _of_enrichment(_set("warnings", type={"type": "array", "items": "int"})),
        new_reader="enrichment.warnings[]: written as string, read as int",
        old_reader="enrichment.warnings[]: written as int, read as string",
    ),
}
"""Versions that a registry refuses at the level FULL_TRANSITIVE."""

OTHER_MEANING: Final = {
    "scale of a decimal": NextVersion(
        _set_decimal(scale=2),
        new_reader=f"revenue: written as {_DECIMAL}, read as bytes (decimal(38, 2))",
        old_reader=f"revenue: written as bytes (decimal(38, 2)), read as {_DECIMAL}",
    ),
    "precision of a decimal": NextVersion(
        _set_decimal(precision=20),
        new_reader=f"revenue: written as {_DECIMAL}, read as bytes (decimal(20, 9))",
        old_reader=f"revenue: written as bytes (decimal(20, 9)), read as {_DECIMAL}",
    ),
    "unit of a time": NextVersion(
        _set("sentAt", type=["null", {"type": "long", "logicalType": "timestamp-micros"}]),
        new_reader="sentAt: written as long (timestamp-millis), read as long (timestamp-micros)",
        old_reader="sentAt: written as long (timestamp-micros), read as long (timestamp-millis)",
    ),
}
"""Versions of the same bytes with another meaning, which a registry does not see."""
