"""The enriched event and the identify message, as they are written (contract §5)."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, Struct

TRACK: Final = "track"
IDENTIFY: Final = "identify"


class EnrichedEvent(Struct, omit_defaults=True, rename="camel", gc=False):
    """Our fields in their order; those that are None are not written, raw ones as they were sent.

    An identify message has the same fields, but for `event`, `properties` and `enrichment`.
    """

    type: str
    event: Raw | None = None
    message_id: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    timestamp: str | None = None
    original_timestamp: str | None = None
    sent_at: str | None = None
    received_at: str | None = None
    properties: Raw | None = None
    traits: Raw | None = None
    context: Raw | None = None
    integrations: Raw | None = None
    enrichment: dict[str, Any] | None = None


OUR_FIELDS: Final[tuple[str, ...]] = EnrichedEvent.__struct_encode_fields__
"""Top-level fields of an enriched event in their fixed order. Unknown ones follow as sent."""
