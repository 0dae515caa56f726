"""The settings that decide the outcome of an event, and the hash that identifies them."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pipeline.core.currencies import ISO_4217

CONTRACT_VERSION = "2"

Severity = Literal["reject", "warn"]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Group):
    """Limits on sizes in bytes, and on the depth of nested objects and arrays."""

    max_record_bytes: int | None = Field(
        None, ge=1, description="maximum size of a raw record; unset: Kafka's own limit"
    )
    max_event_bytes: int = Field(
        1_048_576,
        ge=1,
        description="maximum size of an event; each batch item counts by itself (Segment's own "
        "limit: 32768)",
    )
    max_depth: int = Field(512, ge=8, le=512, description="maximum nesting of objects and arrays")
    max_batch_items: int = Field(5000, ge=1, description="maximum number of items in a batch")
    max_batch_output_bytes: int = Field(
        16_777_216,
        ge=1,
        description="maximum size of all outputs of one batch together, with their keys and "
        "headers",
    )
    max_output_bytes: int = Field(
        1_000_000,
        ge=1024,
        description="maximum size of an enriched event; the producer's own limit",
    )


class Rules(_Group):
    """Severity of each rule: `reject` (dead letter) or `warn` (keep the event as sent)."""

    id_not_string: Severity = Field(
        "reject", description="an id is a boolean, a fraction, an object or an array"
    )
    traits_not_object: Severity = Field("warn", description="context.traits is not an object")
    revenue_invalid: Severity = Field(
        "reject", description="properties.revenue is not a plain decimal number"
    )
    value_invalid: Severity = Field(
        "warn", description="properties.value is not a plain decimal number"
    )
    currency_invalid: Severity = Field(
        "reject", description="properties.currency, next to a revenue, is not an ISO 4217 code"
    )
    context_field_type: Severity = Field(
        "warn", description="a field of context does not have the specified type"
    )
    lone_surrogate: Severity = Field(
        "warn",
        description="a \\u escape is half of a surrogate pair: replaced by U+FFFD, or rejected as "
        "invalid_utf8",
    )


class Currency(_Group):
    """Currency codes that are accepted."""

    extra_codes: frozenset[CurrencyCode] = Field(
        frozenset(), description="codes accepted in addition to ISO 4217"
    )


class DeadLetterSettings(_Group):
    """Headers of dead letters."""

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
        description="headers that a redrive removes because they belong to the first delivery "
        "(tracing, replication); a name may end in *",
    )


class InputSettings(_Group):
    """Form of raw records."""

    format: Literal["json", "avro", "auto"] = Field(
        "json",
        description=(
            "form of raw records. json: plain JSON. avro: framed records (Avro or JSON with a "
            "schema id, or Avro single-object encoding). auto: each record is either"
        ),
    )
    schemas: str | None = Field(
        None,
        description=(
            "folder of Avro schemas (*.avsc) of raw records in single-object encoding, which no "
            "registry knows"
        ),
    )


class OutputSettings(_Group):
    """Form of enriched events and identify messages. Dead letters are raw records, unchanged."""

    format: Literal["json", "avro"] = Field(
        "json", description="form of enriched events and identify messages"
    )
    framing: Literal["prefix", "header", "single-object"] | None = Field(
        None,
        description=(
            "how an Avro output names its schema. prefix: Confluent's id in front of the value. "
            "header: the schema's GUID in the header `__value_schema_id`. single-object: Avro's "
            "own fingerprint, without a registry. Unset: prefix with a `schema_registry.url`, "
            "otherwise single-object"
        ),
    )


class IdentifyRule(_Group):
    """Events that also produce an identify message."""

    event: str = Field(
        min_length=1,
        description='name of an event that also produces an identify message; "*" matches all',
    )


class ContractSettings(BaseModel):
    """All settings that decide the outcome or the payload. Same settings and bytes, same result."""

    on_other_type: Literal["dead-letter", "drop", "forward"] = Field(
        "dead-letter",
        description=(
            "what to do with page, screen, identify, group and alias calls; forward writes them to "
            "`topics.other`, as they are"
        ),
    )
    default_currency: CurrencyCode = Field("USD", description="currency of a revenue that has none")
    default_currency_when: Literal["revenue", "always"] = Field(
        "revenue", description="when the default currency is added"
    )
    keep_write_key: bool = Field(
        False, description="keep writeKey (a credential) in the enriched event"
    )
    warn_more_than_nine_decimals: bool = Field(
        False, description="warn about amounts that a decimal(38,9) column would round"
    )
    accept_origin_headers: bool = Field(
        False, description="trust track.origin and dlq.attempt headers of the raw topic"
    )
    input: InputSettings = InputSettings()
    output: OutputSettings = OutputSettings()
    limits: Limits = Limits()
    rules: Rules = Rules()
    currency: Currency = Currency()
    dead_letter: DeadLetterSettings = DeadLetterSettings()
    identify: tuple[IdentifyRule, ...] = Field(
        (), description="events that also produce an identify message"
    )

    def contract(self) -> str:
        """`version;hash` (header `track.contract`), equal when outcomes and payloads are equal."""
        plain = self.rules_only()
        del plain["dead_letter"], plain["output"]["framing"], plain["input"]["schemas"]
        text = json.dumps([plain, sorted(ISO_4217)], sort_keys=True)
        return f"{CONTRACT_VERSION};{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def rules_only(self) -> dict[str, Any]:
        """These settings as JSON values, sets sorted, without those that a subclass adds."""
        decides = {name: getattr(self, name) for name in ContractSettings.model_fields}
        plain = ContractSettings.model_construct(**decides).model_dump(mode="json")
        plain["currency"]["extra_codes"].sort()
        plain["dead_letter"]["redrive_drop_headers"].sort()
        return plain


class Identity(BaseModel):
    """The program that processes records, as headers name it."""

    model_config = ConfigDict(frozen=True)

    app: str
    """Name and version of this program, `name/version`."""
    group: str = ""
    """Kafka consumer group; empty outside Kafka."""
    replay: str = ""
    """Id of the replay; empty for a worker."""
