"""Every metric that this program exposes: its name, type, labels and meaning, once.

Dashboards, alert rules and documents may name nothing else (a test holds them to this list), and
code refers to the members of `Metric`, so the type checker finds a misspelt name. Names follow
Prometheus' rules: base units, `_total` for counters. Each label has a bounded set of values: codes
of this program, partitions, currencies of ISO 4217; never text from an event.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple

MetricType = Literal["counter", "gauge", "histogram"]


class MetricDefinition(NamedTuple):
    """Definition of one metric."""

    name: str
    """Full name, as Prometheus stores it; that of a histogram is without `_bucket`."""
    type: MetricType
    meaning: str
    labels: tuple[str, ...] = ()


_RUN = "track_pipeline_"
_WATCH = "track_pipeline_watch_"


def _counter(name: str, meaning: str, *labels: str) -> MetricDefinition:
    return MetricDefinition(f"{_RUN}{name}", "counter", meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> MetricDefinition:
    return MetricDefinition(f"{_RUN}{name}", "gauge", meaning, labels)


def _histogram(name: str, meaning: str) -> MetricDefinition:
    return MetricDefinition(f"{_RUN}{name}", "histogram", meaning)


def _watched(name: str, meaning: str, *labels: str) -> MetricDefinition:
    return MetricDefinition(f"{_WATCH}{name}", "gauge", meaning, labels)


class Metric(Enum):
    """The metrics. Those of `run` first, then those of `watch`, which joins no group."""

    # What became of records and events. All of it counts committed transactions only.
    RECORDS_CONSUMED = _counter("records_consumed_total", "Raw records whose outcome is committed.")
    BYTES_CONSUMED = _counter("consumed_bytes_total", "Size of these raw records' values.")
    EVENTS_CONSUMED = _counter(
        "events_consumed_total", "Events in these raw records; a batch call holds several."
    )
    EVENTS_ENRICHED = _counter("events_enriched_total", "Events written to the enriched topic.")
    EVENTS_DEAD_LETTERED = _counter(
        "events_dead_lettered_total", "Events written to the dead-letter topic.", "reason"
    )
    EVENTS_DROPPED = _counter(
        "events_dropped_total", "Events written nowhere, because a setting says so.", "reason"
    )
    EVENTS_FORWARDED = _counter(
        "events_forwarded_total", "Calls other than track, written as they are (on_other_type)."
    )
    IDENTIFIES = _counter("identifies_total", "Identify messages written.")
    CONSERVATION = _gauge(
        "conservation_difference_events",
        "Events consumed, less those enriched, dead-lettered, dropped and forwarded. Anything but "
        "0 is a bug.",
    )
    RECORDS_LOST = _counter(
        "records_lost_total", "Raw records deleted before they were read (on_data_loss=continue)."
    )
    PROCESSING_ERRORS = _counter(
        "processing_errors_total", "Records dead-lettered because of a bug of this program."
    )
    RECORDS_ISOLATED = _counter(
        "records_isolated_total", "Records dead-lettered because the broker rejected their output."
    )
    REVENUE_ENRICHED = _counter(
        "revenue_enriched_total",
        "Revenue in enriched events, in units of the currency; negative amounts are not in it.",
        "currency",
    )
    REVENUE_BLOCKED = _counter(
        "revenue_blocked_total",
        "Revenue in dead letters when they were written, as the rules read it.",
        "currency",
    )

    # The loop.
    TRANSACTIONS = _counter(
        "transactions_total", "Transactions by result: committed, aborted.", "result"
    )
    RESETS = _counter("resets_total", "Resets by kind: soft, hard, open.", "kind")
    PRODUCER_ROTATIONS = _counter(
        "producer_rotations_total", "Producers replaced within a session, after a slow commit."
    )
    REBALANCES = _counter(
        "rebalances_total", "Changes of the partitions that are assigned to a worker."
    )
    PHASE_SECONDS = _counter(
        "phase_seconds_total",
        "Time by phase of the loop: wait (for records), read, process, send, commit.",
        "phase",
    )
    CPU_SECONDS = _counter("cpu_seconds_total", "CPU time of the worker processes.")
    TRANSACTION_RECORDS = _histogram(
        "transaction_records", "Raw records in one committed transaction."
    )
    RECORD_BYTES = _histogram("record_bytes", "Size of one raw record's value, bytes.")
    COMMIT_SECONDS = _histogram("commit_seconds", "Duration of one commit.")
    LATENCY_SECONDS = _histogram(
        "latency_seconds",
        "From a raw record's Kafka timestamp until its outputs are committed.",
    )

    # How far behind, and until when.
    PARTITIONS_ASSIGNED = _gauge("partitions_assigned", "Partitions assigned to the workers.")
    LAG_RECORDS = _gauge(
        "lag_records", "Offsets between the committed position and the end.", "partition"
    )
    LAG_SECONDS = _gauge(
        "lag_seconds",
        "Age of the oldest record that is not committed; 0 when there is none.",
        "partition",
    )
    RETENTION_SECONDS = _gauge(
        "retention_seconds",
        "Time until retention may delete the oldest record that is not committed; absent when "
        "there is none, or retention has no time limit.",
        "partition",
    )
    LAST_COMMIT = _gauge("last_commit_timestamp_seconds", "When a worker committed last.")

    # Health.
    LIVE = _gauge("live", "1 unless a worker is stuck: records wait, and nothing explains why.")
    READY = _gauge("ready", "1 when every worker has its partitions and can write; else 0.")
    NOT_READY = _gauge("not_ready", "1 for each reason why a worker is not ready.", "reason")
    BREAKER_OPEN = _gauge("breaker_open", "1 while the circuit breaker is open.")
    WORKERS = _gauge("workers", "Worker processes by state: configured, running.", "state")
    WORKER_RESTARTS = _counter(
        "worker_restarts_total", "Workers that the supervisor has started again."
    )
    MEMORY_BYTES = _gauge("memory_bytes", "Resident memory of the worker processes.")
    START_TIME = _gauge("start_time_seconds", "When this program started.")
    BUILD = _gauge(
        "build_info",
        "1; the labels say what is running.",
        "version",
        "contract",
        "python",
        "librdkafka",
        "core",
    )

    # The Kafka client's own statistics. `client` is consumer or producer.
    CLIENT_ROUND_TRIP = _gauge(
        "client_round_trip_seconds",
        "Round trip to the slowest broker: 99th percentile of the client's last interval.",
        "client",
    )
    CLIENT_QUEUE_RECORDS = _gauge(
        "client_queue_records",
        "Records in the client's queue: fetched and not consumed, or not yet acknowledged.",
        "client",
    )
    CLIENT_QUEUE_BYTES = _gauge("client_queue_bytes", "Size of the same queue.", "client")
    CLIENT_ERRORS = _counter(
        "client_errors_total",
        "Errors of the client's connections by kind: transmit, receive, timeout, disconnect.",
        "client",
        "kind",
    )
    CLIENT_RETRIES = _counter("client_retries_total", "Requests that were sent again.", "client")
    CLIENT_THROTTLE = _gauge(
        "client_throttle_seconds",
        "Longest time that a broker's quota delayed an answer.",
        "client",
    )

    # From the cluster alone, also while no worker runs: `track-pipeline watch`.
    WATCH_UP = _watched("up", "1 when the last look at the cluster succeeded.")
    WATCH_LAST_SUCCESS = _watched(
        "last_success_timestamp_seconds", "When a look at the cluster succeeded last."
    )
    WATCH_LAG_RECORDS = _watched(
        "lag_records",
        "Offsets between the group's committed position and the end; 0 when no record is there.",
        "partition",
    )
    WATCH_LAG_SECONDS = _watched(
        "lag_seconds",
        "Age of the oldest record that the group has not committed; 0 when there is none.",
        "partition",
    )
    WATCH_RETENTION_SECONDS = _watched(
        "retention_seconds",
        "Time until retention may delete the oldest record that the group has not committed; "
        "absent when there is none, or retention has no time limit.",
        "partition",
    )
    WATCH_MEMBERS = _watched("group_members", "Members of the group.")
    WATCH_OPEN_TRANSACTIONS = _watched(
        "open_transactions",
        "Partitions whose readers wait at an open transaction, by role of the topic.",
        "role",
    )
    WATCH_DEAD_LETTERS = _watched(
        "dead_letters_unresolved",
        "Dead letters that are neither redriven nor discarded.",
        "reason",
    )
    WATCH_DEAD_LETTER_REVENUE = _watched(
        "dead_letters_unresolved_revenue", "Revenue that these dead letters block.", "currency"
    )
    WATCH_DEAD_LETTERS_EXPIRING = _watched(
        "dead_letters_expiring",
        "Unresolved dead letters that retention may delete within the warning time.",
    )
    WATCH_DEAD_LETTERS_EXPIRING_REVENUE = _watched(
        "dead_letters_expiring_revenue", "Revenue that these dead letters block.", "currency"
    )
    WATCH_DEAD_LETTER_RETENTION = _watched(
        "dead_letter_retention_seconds",
        "Time until retention may delete the oldest unresolved dead letter; absent when there is "
        "none, or retention has no time limit.",
    )
    WATCH_DEAD_LETTERS_LOST = _watched(
        "dead_letters_deleted_unresolved",
        "Dead letters that retention deleted unresolved while this program watched.",
    )
    WATCH_REPLAY_REMAINING = _watched(
        "replay_remaining_offsets",
        "Offsets that an unfinished replay has not yet committed.",
        "replay",
    )
    WATCH_REPLAY_TOTAL = _watched(
        "replay_offsets", "All offsets of an unfinished replay.", "replay"
    )
