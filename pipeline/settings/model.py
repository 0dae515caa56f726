"""All settings with their defaults and meanings. Nothing else reads the environment.

Sources in order of precedence: flags, environment variables `TRACK_…`, a TOML file, defaults. All
problems of all sources are reported at once. Secrets are never printed.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.core.contract import ContractSettings
from pipeline.errors import SettingsError
from pipeline.settings.client_properties import Properties, masked
from pipeline.settings.errors import sentences
from pipeline.settings.names import LONGEST_TOPIC, NAME_PATTERN, TOPIC_PATTERN, leaves
from pipeline.settings.sources import Assigned, Layers, NamePath

Topic = Annotated[str, StringConstraints(pattern=TOPIC_PATTERN, max_length=LONGEST_TOPIC)]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]

_BASE_URL: Final = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#@]*)?")


class _SettingsGroup(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Topics(_SettingsGroup):
    """Names of the four topics."""

    raw: Topic = Field("track.raw", description="topic to read from")
    enriched: Topic = Field("track.enriched", description="topic for enriched events")
    dead_letter: Topic = Field("track.dead-letter", description="topic for rejected events")
    identify: Topic = Field("track.identify", description="topic for identify messages")

    @model_validator(mode="after")
    def _differ(self) -> Topics:
        """Reject topics that are the same: a worker that reads its own output never ends."""
        names = [getattr(self, name) for name in type(self).model_fields]
        same = sorted({name for name in names if names.count(name) > 1})
        if same:
            message = f"the four topics must differ, but {', '.join(same)} is named twice"
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


class Settings(ContractSettings):
    """All settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    topics: Topics = Topics()
    group: Name = Field("track-pipeline", description="consumer group")
    instance_id: Name | None = Field(
        None,
        description=(
            "name of this worker within its group: stable across restarts and unique among running "
            "workers (two with the same name fence each other). Used as group.instance.id and in "
            "the transactional id. Unset: dynamic membership, and the host name in the "
            "transactional id"
        ),
    )
    workers: int = Field(
        1,
        ge=1,
        le=128,
        description=(
            "number of worker processes. With more than one, a supervisor restarts those that "
            "exit, and each appends `-<number>` to the instance id"
        ),
    )
    transactional_id_prefix: Name = Field(
        "track",
        description="first part of the transactional id `<prefix>.<group>.<instance>`",
    )
    delivery: Literal["exactly-once", "at-least-once"] = Field(
        "exactly-once",
        description=(
            "exactly-once: outputs and offsets in one transaction. at-least-once, for clusters "
            "without transactions: after a crash the last events are written again"
        ),
    )
    batch: BatchSettings = BatchSettings()
    initial_offset: Literal["earliest", "latest"] = Field(
        "earliest",
        description=(
            "where a new group starts. A group that has lost its offsets does not start over "
            "automatically, which would enrich everything twice; see `run --initial-offset`"
        ),
    )
    on_data_loss: Literal["stop", "continue"] = Field(
        "stop",
        description="what to do when records were deleted before they were read",
    )
    transaction_timeout_ms: int = Field(
        60_000,
        ge=1000,
        le=900_000,
        description="time after which the broker aborts an open transaction, milliseconds",
    )
    shutdown_grace_s: float = Field(
        25.0,
        le=3600,
        ge=1,
        allow_inf_nan=False,
        description="time to finish the current transaction on shutdown, seconds",
    )
    leave_on_stop: Literal["never", "always", "scaled-in"] = Field(
        "never",
        description=(
            "whether a worker with an instance id leaves its group when it is stopped. never: its "
            "partitions wait for it until its session ends, so that a restart costs nothing. "
            "always: the others get them at once. scaled-in: leaves only when Kubernetes does not "
            "start its pod again, because its StatefulSet has fewer replicas or is gone"
        ),
    )
    startup_timeout_s: float = Field(
        30.0,
        le=3600,
        ge=1,
        allow_inf_nan=False,
        description="maximum wait for the broker on startup, seconds",
    )
    max_resets: int = Field(
        10, ge=0, description="consecutive resets without a commit after which the worker gives up"
    )
    stats_interval_s: float = Field(
        30.0, ge=1, allow_inf_nan=False, description="interval between statistics lines, seconds"
    )
    breaker: BreakerSettings = BreakerSettings()
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    tracing: TracingSettings = TracingSettings()
    allow_unverified_tls: bool = Field(
        False,
        description=(
            "accept client properties that disable verification of the broker's certificate; logs "
            "a warning on each start"
        ),
    )
    kafka: Properties = Field(
        {}, description="librdkafka properties of all clients, such as bootstrap.servers"
    )
    consumer: Properties = Field({}, description="librdkafka properties of the consumer")
    producer: Properties = Field({}, description="librdkafka properties of the producer")

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)
    _slot: int | None = PrivateAttr(None)

    @property
    def transactional_id(self) -> str:
        """Transactional id `<prefix>.<group>.<instance>`; an unset instance is the host name."""
        instance = self.instance_id or _numbered(socket.gethostname(), self._slot)
        return f"{self.transactional_id_prefix}.{self.group}.{instance}"

    def for_workers(self) -> list[Settings]:
        """Settings of each worker process; these settings when there is only one."""
        return [self] if self.workers == 1 else [self.for_worker(n) for n in range(self.workers)]

    def for_worker(self, slot: int) -> Settings:
        """Settings of one of several worker processes, with names that no other one uses."""
        instance = self.instance_id and _numbered(self.instance_id, slot)
        own = self.model_copy(update={"instance_id": instance})
        own._slot = slot  # noqa: SLF001  our own
        return own

    @property
    def sources(self) -> Mapping[str, str]:
        """Source of each setting that is not a default: dotted name → file, variable or flag."""
        return self._sources

    def to_dict(self) -> dict[str, Any]:
        """The effective settings as JSON values with secrets masked."""
        plain = self.model_dump(mode="json")
        # Sets have another order in each process.
        plain["currency"]["extra_codes"].sort()
        plain["dead_letter"]["redrive_drop_headers"].sort()
        for leaf in leaves(type(self)):
            if leaf.is_map:
                plain[leaf.name] = masked(plain[leaf.name])
        return plain

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """What str(), repr() and assertion messages print: no secrets."""
        return self.to_dict().items()


def _numbered(instance: str, slot: int | None) -> str:
    return instance if slot is None else f"{instance}-{slot}"


def load_settings(
    config: Path | None, flags: Mapping[str, object], environ: Mapping[str, str]
) -> Settings:
    """The effective settings.

    `config` is a TOML file or None; `flags` maps dotted names to values, None meaning that a flag
    was not given. Raises SettingsError with all problems of all sources.
    """
    layers = Layers(Settings)
    if config is not None:
        layers.add_file(config)
    layers.add_environment(environ)
    layers.add_flags(flags)
    problems = list(layers.problems)
    try:
        settings = Settings.model_validate(_nested(layers.assigned))
    except ValidationError as error:
        problems += sentences(error, Settings, layers.assigned)
    if problems:
        raise SettingsError(problems)
    settings._sources.update({".".join(path): a.source for path, a in layers.assigned.items()})  # noqa: SLF001  our own
    return settings


def _nested(assigned: Mapping[NamePath, Assigned]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path, (value, _) in assigned.items():
        table = root
        for name in path[:-1]:
            table = table.setdefault(name, {})
        table[path[-1]] = value
    return root
