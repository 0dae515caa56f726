"""Messages of output topics in each format and framing, and what reads them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from uuid import UUID

from pipeline.avro.framing import guid_header, prefix_of_fingerprint, prefix_of_id
from pipeline.avro.published import fingerprint, published
from pipeline.core.record import Headers, Output, Role
from pipeline.reading import EnrichedTrack, OutputMessage, Schemas, read_output
from tests.support import process, raw
from tests.unit.avro.event_schemas import PARSED
from tests.unit.avro.written import written

PREFIXES: Final = {
    role: prefix_of_fingerprint(fingerprint(published(role)))
    for role in (Role.ENRICHED, Role.IDENTIFY)
}
GUID: Final = UUID("6fb67d96-3b08-4f5e-a7f5-7a8b5ff9f3f2")
IDS: Final = {Role.ENRICHED: 7, Role.IDENTIFY: 2**31 - 1}
TEXTS: Final[dict[int | UUID | bytes, str]] = {
    7: published(Role.ENRICHED),
    2**31 - 1: published(Role.IDENTIFY),
    GUID: published(Role.ENRICHED),
}

SALE: Final[dict[str, Any]] = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "m-1",
    "userId": "u-1",
    "timestamp": "2015-12-12T19:11:01.249Z",
    "properties": {"revenue": "19.9000000001", "value": 5, "score": 0.1, "n": 2**70},
    "context": {"traits": {"plan": "pro"}, "ip": "::1"},
    "integrations": {"All": False},
    "plan": {"of": "sender"},
}


class Message(NamedTuple):
    """A message as confluent_kafka has it."""

    of: bytes | None
    with_headers: list[tuple[str, bytes | None]] | None = None
    failed: object = None

    def value(self) -> bytes | None:
        """Bytes of the message."""
        return self.of

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        """Headers of the message."""
        return self.with_headers

    def error(self) -> object:
        """Event of the client."""
        return self.failed


def output(event: Any, role: Role = Role.ENRICHED, **settings: Any) -> Output:
    """The one output of a raw event that has this role."""
    (found,) = (each for each in process(raw(event), **settings) if each.role == role)
    return found


def forms(made: Output) -> dict[str, tuple[bytes, Headers]]:
    """An output in each form that it can have: value and headers."""
    value, role, headers = made.value or b"", made.role, list(made.headers)
    body = written(value, PARSED[role])
    guid = {"header": (body, [*headers, guid_header(GUID)])} if role is Role.ENRICHED else {}
    return {
        "json": (value, headers),
        "prefix": (prefix_of_id(IDS[role]) + body, headers),
        "single-object": (PREFIXES[role] + body, headers),
        **guid,
    }


def read_track(value: bytes, headers: Headers = (), schemas: Schemas = None) -> EnrichedTrack:
    """Read what must be an enriched event."""
    found: OutputMessage = read_output(value, headers, schemas)
    assert isinstance(found, EnrichedTrack)
    return found
