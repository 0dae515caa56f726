"""Groups of settings, each with its defaults and meanings; `model` joins them."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from pipeline.settings.names import LONGEST_TOPIC, NAME_PATTERN, TOPIC_PATTERN

Topic = Annotated[str, StringConstraints(pattern=TOPIC_PATTERN, max_length=LONGEST_TOPIC)]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]

_BASE_URL: Final = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#@]*)?")


class _SettingsGroup(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Topics(_SettingsGroup):
    """Names of the topics."""

    raw: Topic = Field("track.raw", description="topic to read from")
    enriched: Topic = Field("track.enriched", description="topic for enriched events")
    dead_letter: Topic = Field("track.dead-letter", description="topic for rejected events")
    identify: Topic = Field("track.identify", description="topic for identify messages")
    other: Topic = Field(
        "track.other", description='topic for other calls, with `on_other_type = "forward"`'
    )

    @model_validator(mode="after")
    def _differ(self) -> Topics:
        """Reject topics that are the same: a worker that reads its own output never ends."""
        names = [getattr(self, name) for name in type(self).model_fields]
        same = sorted({name for name in names if names.count(name) > 1})
        if same:
            message = f"the topics must differ, but {', '.join(same)} is named twice"
            raise ValueError(message)
        return self


class BatchSettings(_SettingsGroup):
    """Limits of a transaction, which ends when the first of them is reached."""

    max_records: int = Field(5000, ge=1, description="maximum number of records in a transaction")
    max_bytes: int = Field(
        16_777_216, ge=1, description="size of raw records at which a transaction is full, bytes"
    )
    linger_ms: int = Field(
        100,
        ge=1,
        le=10_000,
        description="maximum time to collect records for a transaction, milliseconds",
    )
    max_outputs: int = Field(
        20_000,
        ge=1,
        description=(
            "number of outputs at which a transaction is full; those of one record stay together"
        ),
    )
    max_output_bytes: int = Field(
        33_554_432,
        ge=1,
        description="size of outputs, with keys and headers, at which a transaction is full, bytes",
    )
    max_timeout_share: float = Field(
        0.1,
        gt=0,
        le=0.5,
        allow_inf_nan=False,
        description="share of transaction_timeout_ms after which a transaction is full, 0 to 0.5",
    )


class BreakerSettings(_SettingsGroup):
    """Settings of the circuit breaker, which stops a worker when far more events are rejected."""

    mode: Literal["after-change", "always", "off"] = Field(
        "after-change",
        description=(
            "when to watch events: after the contract or its settings have changed, or always "
            "(which lets anyone who can send events stop the worker)"
        ),
    )
    window: int = Field(
        10_000, ge=500, le=100_000_000, description="number of events watched after a change"
    )
    max_rise: float = Field(
        0.1,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="tolerated rise of the ratio of invalid events over the usual ratio",
    )
    accept: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{12}$",
        description="hash of a contract that may run whatever its ratio of invalid events",
    )


class LogSettings(_SettingsGroup):
    """Form and level of the log on standard error."""

    format: Literal["auto", "json", "console"] = Field(
        "auto", description="format of log lines; auto: console on a terminal, otherwise json"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="minimum log level"
    )


class HttpSettings(_SettingsGroup):
    """The HTTP endpoint of `run` and `watch`: metrics, health and status."""

    port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description=(
            "port that serves /metrics, /livez, /readyz and /status. 0 takes a free one; unset: "
            "there is no endpoint"
        ),
    )
    host: str = Field(
        "0.0.0.0",  # noqa: S104  Prometheus and kubelets are other machines
        min_length=1,
        description="address that it is bound to; 127.0.0.1 for this machine alone",
    )
    stuck_after_s: float = Field(
        180.0,
        ge=5,
        le=86_400,
        allow_inf_nan=False,
        description=(
            "time without progress, while records wait and nothing explains it, after which a "
            "worker counts as stuck: /livez fails, and its stacks are logged, seconds"
        ),
    )


class TracingSettings(_SettingsGroup):
    """Traces of the worker's batches, sent by OpenTelemetry."""

    endpoint: str | None = Field(
        None,
        description=(
            "base URL of an OpenTelemetry collector that takes OTLP over HTTP, such as "
            "`http://localhost:4318`; needs the extra `otel`. Unset: no traces"
        ),
    )
    sample_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="share of batches that are traced, 0 to 1",
    )

    @field_validator("endpoint")
    @classmethod
    def _without_credentials(cls, endpoint: str | None) -> str | None:
        """Reject URLs with more than a base. Settings are logged, so the message shows no value."""
        if endpoint is None or _BASE_URL.fullmatch(endpoint):
            return endpoint
        message = (
            "is not a base URL such as http://localhost:4318, without user, query and fragment "
            "(credentials belong in OTEL_EXPORTER_OTLP_HEADERS)"
        )
        raise ValueError(message)


class RegistrySettings(_SettingsGroup):
    """A Schema Registry with Confluent's API. Secrets are in files, never in a setting."""

    url: str | None = Field(
        None,
        description=(
            "URL of a Schema Registry, such as `http://localhost:8081`, several of one registry "
            "separated by commas; needs the extra `registry`. Unset: there is none"
        ),
    )
    subject_name_strategy: Literal["topic", "record", "topic-record"] = Field(
        "topic",
        description=(
            "subjects of the outputs' schemas. topic: `<topic>-value`. record: the record's full "
            "name. topic-record: `<topic>-<full name>`"
        ),
    )
    auto_register: bool = Field(
        False,
        description=(
            "register the outputs' schemas on startup when they are missing and compatible; "
            "otherwise `track-pipeline schemas register` does"
        ),
    )
    timeout_s: float = Field(
        5.0,
        ge=0.1,
        le=60,
        allow_inf_nan=False,
        description="maximum wait for an answer of the registry, seconds",
    )
    basic_auth_file: str | None = Field(
        None, min_length=1, description="file with `user:password` for the registry"
    )
    bearer_token_file: str | None = Field(
        None,
        min_length=1,
        description="file with a bearer token for the registry; read again for each request",
    )
    ca_file: str | None = Field(
        None,
        min_length=1,
        description=(
            "file of the authorities (PEM) that the registry's certificate is verified with. "
            "Unset: the usual public ones"
        ),
    )
    certificate_file: str | None = Field(
        None, min_length=1, description="file with the client certificate (PEM) for the registry"
    )
    key_file: str | None = Field(
        None,
        min_length=1,
        description=(
            "file with the key (PEM, not encrypted) of the client certificate. Unset: it is in "
            "`certificate_file`"
        ),
    )

    @field_validator("url")
    @classmethod
    def _base_urls(cls, url: str | None) -> str | None:
        """Reject what is no list of base URLs. The message shows no value: it may be a password."""
        if url is None or all(map(_is_base_url, url.split(","))):
            return url
        message = (
            "is not a URL such as http://localhost:8081, or several separated by commas, without "
            "user, query and fragment (credentials belong in basic_auth_file or bearer_token_file)"
        )
        raise ValueError(message)

    @model_validator(mode="after")
    def _fit(self) -> RegistrySettings:
        """Reject settings that contradict each other."""
        if self.basic_auth_file and self.bearer_token_file:
            message = "set only one of basic_auth_file and bearer_token_file"
        elif self.key_file and not self.certificate_file:
            message = "key_file is the key of a certificate: set certificate_file too"
        else:
            return self
        raise ValueError(message)


def _is_base_url(url: str) -> bool:
    if not _BASE_URL.fullmatch(url.strip()):
        return False
    try:
        parts = urlsplit(url.strip())
        return bool(parts.hostname) and parts.port != 0  # a number that is no port raises
    except ValueError:
        return False
