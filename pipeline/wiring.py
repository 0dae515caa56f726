"""Makes real brokers, readers, processors and workers out of settings. Nothing else does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from pipeline import __version__
from pipeline.avro.output_reader import OutputReader
from pipeline.core.contract import Identity
from pipeline.core.counts import OutcomeCounts
from pipeline.core.escape import escaped
from pipeline.core.formats import PLAIN_JSON, Formats
from pipeline.core.process import Processor
from pipeline.core.record import Role
from pipeline.errors import SettingsError
from pipeline.kafka import (
    Admin,
    CollectLimits,
    KafkaBroker,
    LedgerProducer,
    RangeReader,
    SessionConfig,
)
from pipeline.kafka.clients import (
    acknowledged_config,
    consumer_config,
    producer_config,
    transactional_config,
)
from pipeline.ports import Broker, CrashGuard, Meter, Stop, TopicFacts
from pipeline.registry.optional_client import registry_client, registry_schemas
from pipeline.settings.client_properties import max_poll_interval_s
from pipeline.settings.model import Settings
from pipeline.topics import (
    HEADER_ROOM,
    KAFKA_DEFAULT_MAX_BYTES,
    LEDGER_SUFFIX,
    TopicNames,
)
from pipeline.worker.circuit_breaker import CircuitBreaker, CircuitBreakerRules
from pipeline.worker.loop import Worker
from pipeline.worker.transaction_size import TransactionLimits

WAITS: Final = logging.getLogger("pipeline.waits")
"""Logger of what tools wait for; its warnings are whole sentences."""
APP: Final = f"track-pipeline/{__version__}"
_DEADLINE_SHARE: Final = 0.8
_BATCH_SHARE: Final = 0.25
"""Part of max.poll.interval.ms after which a batch takes no further transaction. One that has begun
may take 0.4 of it (`_DEADLINE_SHARE` of a half), and the time for processing its records."""
_SMALLEST: Final = KAFKA_DEFAULT_MAX_BYTES + HEADER_ROOM
_LIBRDKAFKA_LARGEST: Final = 1_000_000_000
_LIBRDKAFKA_BATCH: Final = 1_000_000
"""librdkafka's upper limit of message.max.bytes, and its default of batch.size."""


class WallClock:
    """See `ports.Clock`."""

    def now(self) -> int:
        """Return the current time in epoch milliseconds."""
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.perf_counter)
    """Return seconds that never go back. The loop asks twice per record, so nothing is wrapped."""


def log_wait(sentence: str) -> None:
    """Log a sentence about a longer wait: the default of clients that tools make.

    Python prints warnings on standard error unless logging is configured. The command line adds the
    name of the program.
    """
    WAITS.warning("%s", escaped(sentence))


def topic_names(settings: Settings) -> TopicNames:
    """Return the names of the topics in the settings."""
    topics = settings.topics
    return TopicNames(
        topics.raw, topics.enriched, topics.dead_letter, topics.identify, topics.other
    )


def admin(settings: Settings, on_wait: Callable[[str], None] = log_wait) -> Admin:
    """Make an admin of the cluster; `on_wait` is called with a sentence about each longer wait."""
    return Admin(settings.kafka, settings.startup_timeout_s, on_wait)


def range_reader(settings: Settings) -> RangeReader:
    """Make a reader that waits for open transactions as long as the broker lets them be open."""
    return RangeReader(
        settings.kafka,
        settings.startup_timeout_s + settings.transaction_timeout_ms / 1000,
        log_wait,
    )


def make_processor(
    settings: Settings, *, group: str = "", formats: Formats = PLAIN_JSON
) -> Processor:
    """Make a processor that applies the contract under these settings."""
    return Processor(settings, Identity(app=APP, group=group), formats)


def make_broker(
    settings: Settings, facts: dict[str, TopicFacts], start_over: str | None
) -> KafkaBroker:
    """Make the worker's broker, fit for the topics as they are."""
    outputs = topic_names(settings).outputs(settings)
    return KafkaBroker(session_config(settings, outputs, facts, start_over))


@contextmanager
def tracing(
    settings: Settings, broker: Broker, on_lost: Callable[[int, str], None]
) -> Iterator[Broker]:
    """Yield a broker whose transactions are traced; the same one when `tracing.endpoint` is unset.

    `on_lost` is called with the number of spans that could not be sent, and the cause.
    """
    if settings.tracing.endpoint is None:
        yield broker
        return
    # Here: without the setting, nothing of OpenTelemetry is imported.
    from pipeline.tracing.export import batch_tracing  # noqa: PLC0415
    from pipeline.tracing.session import TracedBroker  # noqa: PLC0415

    with batch_tracing(settings, on_lost) as tracer:
        yield TracedBroker(broker, tracer)


def require_tracing(settings: Settings) -> None:
    """SettingsError when traces are wanted, but what they need is not installed."""
    if settings.tracing.endpoint is None:
        return
    try:
        import pipeline.tracing.export  # noqa: F401, PLC0415  without the setting, it is not imported
    except ModuleNotFoundError as error:
        problem = (
            "tracing.endpoint: OpenTelemetry is not installed. Install it with "
            'pip install "track-pipeline[otel]", or leave the setting out'
        )
        raise SettingsError([problem]) from error


def formats(
    settings: Settings,
    on_wait: Callable[[str], None] = log_wait,
    *,
    writes: bool,
    stop: Stop | None = None,
    is_patient: bool = True,
) -> Formats:
    """Return how records are read and outputs written; plain JSON after a request to stop.

    `writes` says that outputs will be written, for which schemas are looked up now. Who only reads
    waits for a registry that does not answer, if `is_patient`. `on_wait` is called with sentences
    about such waits. Raises RefusedError, SettingsError and RegistryUnavailableError.
    """
    if settings.input.format == "json" and not (writes and settings.output.format == "avro"):
        return PLAIN_JSON
    # Here: plain JSON needs neither Avro nor the registry's client.
    from pipeline.registry.formats import (  # noqa: PLC0415
        formats_without_registry,
        join_formats,
        uses_registry,
    )

    if not uses_registry(settings, writes=writes):
        return formats_without_registry(settings, writes=writes)
    if writes:
        from pipeline.registry.startup import formats_with_registry  # noqa: PLC0415

        return formats_with_registry(settings, registry_client(settings), on_wait, stop)
    # A reader may never meet a framed record, and asks when there is one.
    schemas = registry_schemas(settings, on_wait, is_patient=is_patient)
    return join_formats(settings, schemas, {})


def output_reader(
    settings: Settings, on_wait: Callable[[str], None] = log_wait, *, is_patient: bool = True
) -> OutputReader:
    """Make a reader of outputs of any form, with the schemas of the registry if there is one.

    `on_wait` and `is_patient` are those of `formats`.
    """
    if settings.schema_registry.url is None:
        return OutputReader()
    return OutputReader(registry_schemas(settings, on_wait, is_patient=is_patient))


def make_ledger_producer(
    settings: Settings,
    topic: str,
    outputs: dict[Role, str],
    facts: dict[str, TopicFacts],
    transactional_id: str,
) -> LedgerProducer:
    """Make the producer of the DLQ tools for one dead-letter topic; it fences an older one."""
    config = session_config(settings, outputs, facts, None)
    exactly_once = transactional_config(transactional_id, settings.transaction_timeout_ms)
    # Without a raw topic of ours, partitions are the enriched topic's, if there is one.
    instead = outputs.get(Role.ENRICHED, topic)
    raw = config.raw_topic if config.raw_topic in facts else instead
    return LedgerProducer(
        replace(config, raw_topic=raw, producer={**config.producer, **exactly_once}),
        topic + LEDGER_SUFFIX,
    )


def ledger_transactional_id(settings: Settings, topic: str) -> str:
    """Return the transactional id that belongs to a dead-letter topic."""
    return f"{settings.transactional_id_prefix}.dlq.{topic}"


def group_consumer_config(settings: Settings) -> dict[str, Any]:
    """Return the librdkafka properties of the group's consumer."""
    return consumer_config(settings.kafka, settings.consumer, settings.group, settings.instance_id)


def session_config(
    settings: Settings,
    outputs: dict[Role, str],
    facts: dict[str, TopicFacts],
    start_over: str | None,
) -> SessionConfig:
    """Configure a session that writes to `outputs`; `facts` are those of the existing topics."""
    limits = {name: facts[name].number("max.message.bytes", _SMALLEST) for name in outputs.values()}
    consumer = group_consumer_config(settings)
    max_poll_s = max_poll_interval_s(consumer)
    deadline_s = _DEADLINE_SHARE * min(settings.transaction_timeout_ms / 1000, max_poll_s / 2)
    producer: dict[str, str | int | float | bool] = {
        "message.max.bytes": min(_LIBRDKAFKA_LARGEST, max(limits.values(), default=_SMALLEST)),
        # The client never splits a batch that its topic rejects for its size.
        "batch.size": min((_LIBRDKAFKA_BATCH, *limits.values())),
        # A missing topic must be reported before the commit's own deadline.
        "topic.metadata.propagation.max.ms": min(30_000, int(deadline_s * 500)),
        **settings.producer,
    }
    exactly_once = settings.delivery == "exactly-once"
    delivery = (
        transactional_config(settings.transactional_id, settings.transaction_timeout_ms)
        if exactly_once
        else acknowledged_config(deadline_s)
    )
    return SessionConfig(
        shared=settings.kafka,
        consumer=consumer,
        producer=producer_config(settings.kafka, producer, delivery),
        group=settings.group,
        raw_topic=settings.topics.raw,
        topics=outputs,
        exactly_once=exactly_once,
        batch=CollectLimits(
            settings.batch.max_records,
            settings.batch.max_bytes,
            settings.batch.linger_ms / 1000,
        ),
        initial_offset=settings.initial_offset,
        start_over=start_over,
        continue_on_data_loss=settings.on_data_loss == "continue",
        transaction_timeout_s=settings.transaction_timeout_ms / 1000,
        deadline_s=deadline_s,
        startup_timeout_s=settings.startup_timeout_s,
    )


def make_worker(  # noqa: PLR0913, PLR0917  what a loop is made of
    settings: Settings,
    broker: Broker,
    processor: Processor,
    meter: Meter,
    guard: CrashGuard,
    before: OutcomeCounts | None = None,
) -> Worker:
    """Make the loop; `before` is what the circuit breaker has already let through."""
    rules = settings.breaker
    breaker = CircuitBreaker(
        CircuitBreakerRules(rules.mode, rules.window, rules.max_rise, rules.accept),
        processor.contract,
        origin=settings.accept_origin_headers,
    )
    transaction_s = settings.batch.max_timeout_share * settings.transaction_timeout_ms / 1000
    batch_s = _BATCH_SHARE * max_poll_interval_s(group_consumer_config(settings))
    return Worker(
        broker,
        processor,
        WallClock(),
        meter,
        max_resets=settings.max_resets,
        breaker=breaker.after(before or OutcomeCounts()),
        guard=guard,
        limits=TransactionLimits(
            settings.batch.max_outputs,
            settings.batch.max_output_bytes,
            min(transaction_s, batch_s),
        ),
        max_batch_s=batch_s,
    )
