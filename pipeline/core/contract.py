"""The settings that decide what becomes of an event, and the hash that names them."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pipeline.core.currencies import ISO_4217

CONTRACT_VERSION = "1"

Severity = Literal["reject", "warn"]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Group):
    """Sizes in bytes; depth in levels of objects and arrays."""

    max_record_bytes: int | None = Field(
        None, ge=1, description="longest raw record; none: Kafka's own limit"
    )
    max_event_bytes: int = Field(
        1_048_576,
        ge=1,
        description="longest event; each batch item counts by itself (Segment's own limit: 32768)",
    )
    max_depth: int = Field(512, ge=8, le=512, description="deepest nesting of objects and arrays")
    max_batch_output_bytes: int = Field(
        16_777_216, ge=1, description="most bytes that the items of one batch may give together"
    )
    max_output_bytes: int = Field(
        1_000_000, ge=1024, description="largest enriched event; the producer's own limit"
    )


class Rules(_Group):
    """What to do when a rule is broken: `reject` (dead letter) or `warn` (keep as sent)."""

    id_not_string: Severity = Field(
        "reject", description="userId is a boolean, a fraction, an object or an array"
    )
    traits_not_object: Severity = Field("warn", description="context.traits is no object")
    revenue_invalid: Severity = Field(
        "reject", description="properties.revenue is no plain decimal number"
    )
    value_invalid: Severity = Field(
        "reject", description="properties.value is no plain decimal number"
    )
    currency_invalid: Severity = Field(
        "reject", description="properties.currency is no ISO 4217 code, beside a revenue"
    )
    context_field_type: Severity = Field(
        "warn", description="a field of context has another type than specified"
    )


class Currency(_Group):
    """Which currency codes are known."""

    extra_codes: frozenset[CurrencyCode] = Field(
        frozenset(), description="codes accepted besides ISO 4217"
    )


class DeadLetters(_Group):
    """What dead letters carry."""

    connect_headers: bool = Field(
        False, description="also write Kafka Connect's __connect.errors.* headers"
    )
    redrive_drop_headers: frozenset[str] = Field(
        frozenset(
            {
                "traceparent",
                "tracestate",
                "b3",
                "x-b3-*",
                "uber-trace-id",
                "x-datadog-*",
                "__replicator*",
            }
        ),
        description="names of headers that a redrive leaves out, since they belong to the first "
        "sending: traces, replication; * at the end stands for any rest",
    )


class IdentifyRule(_Group):
    """Which events give an identify message too."""

    event: str = Field(
        min_length=1, description='event name that also gives an identify message; "*" is every one'
    )


class ContractSettings(BaseModel):
    """Everything that decides verdict or payload. Same settings, same bytes, same result."""

    on_other_type: Literal["dead-letter", "drop"] = Field(
        "dead-letter", description="what to do with calls that are not track"
    )
    default_currency: CurrencyCode = Field(
        "USD", description="assumed for a revenue without currency"
    )
    default_currency_when: Literal["revenue", "always"] = Field(
        "revenue", description="when the default applies"
    )
    keep_write_key: bool = Field(
        False, description="keep writeKey (a credential) in the enriched event"
    )
    accept_origin_headers: bool = Field(
        False, description="trust track.origin and dlq.attempt headers of the raw topic"
    )
    limits: Limits = Limits()
    rules: Rules = Rules()
    currency: Currency = Currency()
    dead_letter: DeadLetters = DeadLetters()
    identify: tuple[IdentifyRule, ...] = Field(
        (), description="events that also give an identify message"
    )

    def contract(self) -> str:
        """`version;hash` (header `track.contract`): equal when verdicts and payloads are."""
        plain = self.rules_only()
        del plain["dead_letter"]
        text = json.dumps([plain, sorted(ISO_4217)], sort_keys=True)
        return f"{CONTRACT_VERSION};{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def rules_only(self) -> dict[str, Any]:
        """All of these settings as JSON values, sets in order, without what a subclass adds."""
        decides = {name: getattr(self, name) for name in ContractSettings.model_fields}
        plain = ContractSettings.model_construct(**decides).model_dump(mode="json")
        plain["currency"]["extra_codes"].sort()
        plain["dead_letter"]["redrive_drop_headers"].sort()
        return plain


class Identity(BaseModel):
    """Who processes: written to dead letters and replays."""

    model_config = ConfigDict(frozen=True)

    app: str
    """name/version of this program"""
    group: str = ""
    """Kafka consumer group; empty outside Kafka"""
    replay: str = ""
    """replay id; empty when this is no replay"""
