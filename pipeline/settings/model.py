"""All settings with their defaults and meanings. Nothing else reads the environment.

Sources in order of precedence: flags, environment variables `TRACK_…`, a TOML file, defaults. All
problems of all sources are reported at once. Secrets are never printed.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)

from pipeline.core.contract import ContractSettings
from pipeline.errors import SettingsError
from pipeline.settings.client_properties import Properties, masked
from pipeline.settings.contradictions import (
    Contradiction,
    slow_registry,
    without_registry,
)
from pipeline.settings.errors import sentences
from pipeline.settings.groups import (
    BatchSettings,
    BreakerSettings,
    HttpSettings,
    LogSettings,
    Name,
    RegistrySettings,
    Topics,
    TracingSettings,
)
from pipeline.settings.names import leaves
from pipeline.settings.sources import Assigned, Layers, NamePath


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
        description="maximum wait for brokers on startup, and for a Schema Registry, seconds",
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
    schema_registry: RegistrySettings = RegistrySettings()
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
    if found := list(_contradictions(settings)):
        raise SettingsError(
            f"{settings.sources.get(name, 'default')}: {name}: {wrong}" for name, wrong in found
        )
    return settings


def _contradictions(settings: Settings) -> Iterator[Contradiction]:
    registry = settings.schema_registry
    if registry.url is None:
        yield from without_registry(settings.input, settings.output)
    elif settings.input.format != "json":
        consumer = {**settings.kafka, **settings.consumer}
        yield from slow_registry(registry, consumer, settings.transaction_timeout_ms)


def _nested(assigned: Mapping[NamePath, Assigned]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path, (value, _) in assigned.items():
        table = root
        for name in path[:-1]:
            table = table.setdefault(name, {})
        table[path[-1]] = value
    return root
