"""All settings, their defaults and what each means; nothing else reads the environment.

Sources, a later one wins: defaults, a TOML file, environment variables `TRACK_…`, flags. Every
problem of every source is reported at once. Secrets are never printed.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
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


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Topics(_Group):
    """Names of the four topics."""

    raw: Topic = Field("track.raw", description="topic that is read")
    enriched: Topic = Field("track.enriched", description="topic of the enriched events")
    dead_letter: Topic = Field("track.dead-letter", description="topic of the refused events")
    identify: Topic = Field("track.identify", description="topic of the identify messages")

    @model_validator(mode="after")
    def _differ(self) -> Topics:
        """A worker that reads what it writes would never end."""
        names = [getattr(self, name) for name in type(self).model_fields]
        same = sorted({name for name in names if names.count(name) > 1})
        if same:
            message = f"the four topics must differ, but {', '.join(same)} is named twice"
            raise ValueError(message)
        return self


class BatchLimits(_Group):
    """A transaction covers what was read when the first of these is reached."""

    max_records: int = Field(5000, ge=1, description="most records in one transaction")
    max_bytes: int = Field(
        16_777_216, ge=1, description="bytes of raw records at which a transaction is full"
    )
    linger_ms: int = Field(
        100, ge=1, le=10_000, description="longest time to collect one transaction, milliseconds"
    )


class Breaker(_Group):
    """Holds the worker back when a change is followed by far more refusals."""

    mode: Literal["after-change", "always", "off"] = Field(
        "after-change",
        description=(
            "when events are watched: after a change of the contract or its settings, or always "
            "(then anyone who can send events can stop the worker)"
        ),
    )
    window: int = Field(10_000, ge=500, le=100_000_000, description="events watched after a change")
    max_rise: float = Field(
        0.1,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="how far the share of invalid events may exceed the usual share",
    )
    accept: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{12}$",
        description="hash of the contract that may run whatever its share of invalid events is",
    )


class Log(_Group):
    """What is written to standard error."""

    format: Literal["auto", "json", "console"] = Field(
        "auto", description="form of log lines; auto: console on a terminal, else json"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged"
    )


class Settings(ContractSettings):
    """Everything that can be set."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    topics: Topics = Topics()
    group: Name = Field("track-pipeline", description="consumer group")
    instance_id: Name | None = Field(
        None,
        description=(
            "name of this worker within its group: the same after a restart, unique among live "
            "workers (two with one name fence each other off). Used as group.instance.id and in "
            "the transactional id. Unset: dynamic membership, and the host name in the "
            "transactional id"
        ),
    )
    workers: int = Field(
        1,
        ge=1,
        le=128,
        description=(
            "processes that share the work. With more than one a supervisor starts them again "
            "when they end; each adds `-<number>` to the instance"
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
            "without transactions: after a crash the last events are written a second time"
        ),
    )
    batch: BatchLimits = BatchLimits()
    initial_offset: Literal["earliest", "latest"] = Field(
        "earliest",
        description=(
            "where a new group starts. A group that lost its offsets does not start over by "
            "itself, since that would enrich everything twice; see `run --initial-offset`"
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
        description="time to finish the transaction at hand when stopped, seconds",
    )
    startup_timeout_s: float = Field(
        30.0,
        le=3600,
        ge=1,
        allow_inf_nan=False,
        description="longest wait for the broker at the start, seconds",
    )
    max_resets: int = Field(
        10, ge=0, description="resets in a row without a commit after which the worker gives up"
    )
    stats_interval_s: float = Field(
        30.0, ge=1, allow_inf_nan=False, description="time between two statistics lines, seconds"
    )
    breaker: Breaker = Breaker()
    log: Log = Log()
    allow_unverified_tls: bool = Field(
        False,
        description=(
            "accept client properties that turn the verification of the broker's certificate off; "
            "logs a warning at each start"
        ),
    )
    kafka: Properties = Field(
        {}, description="librdkafka properties of every client, such as bootstrap.servers"
    )
    consumer: Properties = Field({}, description="librdkafka properties of the consumer only")
    producer: Properties = Field({}, description="librdkafka properties of the producer only")

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)
    _slot: int | None = PrivateAttr(None)

    @property
    def transactional_id(self) -> str:
        """`<prefix>.<group>.<instance>`; the host name stands for an unset instance."""
        instance = self.instance_id or _numbered(socket.gethostname(), self._slot)
        return f"{self.transactional_id_prefix}.{self.group}.{instance}"

    def of_workers(self) -> list[Settings]:
        """Those of each worker: these, when there is one."""
        return [self] if self.workers == 1 else [self.of_worker(n) for n in range(self.workers)]

    def of_worker(self, slot: int) -> Settings:
        """Those of one of several workers: names that no other of them has, now or later."""
        instance = self.instance_id and _numbered(self.instance_id, slot)
        own = self.model_copy(update={"instance_id": instance})
        own._slot = slot  # noqa: SLF001  our own
        return own

    @property
    def sources(self) -> Mapping[str, str]:
        """Dotted name → the file, variable or flag that set it; defaults are not in it."""
        return self._sources

    def shown(self) -> dict[str, Any]:
        """The effective settings as plain nested values; secrets are masked."""
        plain = self.model_dump(mode="json")
        plain["currency"]["extra_codes"].sort()
        for leaf in leaves(type(self)):
            if leaf.is_map:
                plain[leaf.name] = masked(plain[leaf.name])
        return plain

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Without secrets: this is what str(), repr() and assertion messages print."""
        return self.shown().items()


def _numbered(instance: str, slot: int | None) -> str:
    return instance if slot is None else f"{instance}-{slot}"


def load_settings(
    config: Path | None, flags: Mapping[str, object], environ: Mapping[str, str]
) -> Settings:
    """The effective settings.

    `config` is a TOML file or None; `flags` maps dotted names to values, None meaning not given.
    Raises SettingsError with all problems of all sources.
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
