"""Panels about what the workers do, what the cluster holds, and money."""

from __future__ import annotations

from typing import Final

from tests.system.deploy.panel import Panel, Query, Row, quantiles

TRANSACTIONS: Final = Row(
    "Transactions and group",
    (
        Panel(
            "Transactions per second",
            "Committed and aborted transactions. Good: none aborted, but at a restart.",
            (
                Query(
                    "sum by (result) (rate("
                    "track_pipeline_transactions_total{$s}[$__rate_interval]))",
                    "{{result}}",
                ),
            ),
            "cps",
        ),
        Panel(
            "Resets, rebalances, restarts",
            "Number in the interval. Good: none, but when brokers or workers are restarted.",
            (
                Query(
                    "round(sum by (kind) (increase("
                    "track_pipeline_resets_total{$s}[$__rate_interval])))",
                    "reset, {{kind}}",
                ),
                *(
                    Query(
                        f"round(sum(increase(track_pipeline_{name}_total{{$s}}[$__rate_interval])))",
                        legend,
                    )
                    for name, legend in (
                        ("rebalances", "rebalance"),
                        ("producer_rotations", "producer replaced"),
                        ("worker_restarts", "worker restarted"),
                    )
                ),
            ),
        ),
        Panel(
            "Duration of a commit",
            "Time that the brokers take for one commit. Good: tens of milliseconds.",
            quantiles("track_pipeline_commit_seconds"),
            "s",
        ),
    ),
)

MONEY: Final = Row(
    "Money",
    (
        Panel(
            "Revenue enriched per hour, by currency",
            "Revenue in enriched events, in units of the currency, without negative amounts.",
            (
                Query(
                    "sum by (currency) (increase(track_pipeline_revenue_enriched_total{$s}[1h]))",
                    "{{currency}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "Revenue blocked per hour, by currency",
            "Revenue in the dead letters that were written, before any of them is redriven.",
            (
                Query(
                    "sum by (currency) (increase(track_pipeline_revenue_blocked_total{$s}[1h]))",
                    "{{currency}}",
                ),
            ),
            width=12,
        ),
    ),
)

PROGRAM: Final = Row(
    "Processes and Kafka clients",
    (
        Panel(
            "CPU, by target",
            "Processors in use; one worker uses one at most. Near its limit, lag grows.",
            (
                Query(
                    "sum by (instance) (rate("
                    "track_pipeline_cpu_seconds_total{$s}[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
            "none",
        ),
        Panel(
            "Memory, by target",
            "Resident memory of the worker processes. Good: level; 512 MB per worker suffice.",
            (Query("sum by (instance) (track_pipeline_memory_bytes{$s})", "{{instance}}"),),
            "bytes",
        ),
        Panel(
            "Bytes consumed per second",
            "Size of the raw records' values.",
            (
                Query(
                    "sum(rate(track_pipeline_consumed_bytes_total{$s}[$__rate_interval]))",
                    "consumed",
                ),
            ),
            "Bps",
        ),
        Panel(
            "Round trip to the slowest broker",
            "99th percentile of the Kafka client's last interval, and the longest time for which a "
            "quota delayed an answer. Good: milliseconds, and no delay.",
            (
                Query(
                    "max by (client) (track_pipeline_client_round_trip_seconds{$s})", "{{client}}"
                ),
                Query(
                    "max by (client) (track_pipeline_client_throttle_seconds{$s})",
                    "{{client}}, delayed by quota",
                ),
            ),
            "s",
        ),
        Panel(
            "Records in the client's queues",
            "Fetched and not consumed, or sent and not acknowledged. A full producer queue: the "
            "brokers are slow.",
            (Query("sum by (client) (track_pipeline_client_queue_records{$s})", "{{client}}"),),
        ),
        Panel(
            "Errors and retries of the clients per second",
            "Good: none. Rising: the network or a broker.",
            (
                Query(
                    "sum by (client, kind) (rate("
                    "track_pipeline_client_errors_total{$s}[$__rate_interval])) > 0",
                    "{{client}}, {{kind}}",
                ),
                Query(
                    "sum by (client) (rate(track_pipeline_client_retries_total{$s}"
                    "[$__rate_interval]))",
                    "{{client}}, retries",
                ),
            ),
            "cps",
        ),
    ),
)

CLUSTER: Final = Row(
    "From the cluster (track-pipeline watch)",
    (
        Panel(
            "Unresolved dead letters, by reason",
            "Dead letters that are neither redriven nor discarded. Good: falls.",
            (
                Query(
                    "sum by (reason) (track_pipeline_watch_dead_letters_unresolved{$s}) > 0",
                    "{{reason}}",
                ),
            ),
            stacked="normal",
        ),
        Panel(
            "Dead letters about to expire",
            "Unresolved dead letters that retention may delete within the warning time, those that "
            "it has deleted, and the revenue that the former block. Good: none.",
            (
                Query("sum(track_pipeline_watch_dead_letters_expiring{$s})", "expire soon"),
                Query(
                    "sum(track_pipeline_watch_dead_letters_deleted_unresolved{$s})",
                    "deleted unresolved",
                ),
                Query(
                    "sum by (currency) (track_pipeline_watch_dead_letters_expiring_revenue{$s})",
                    "blocked, {{currency}}",
                ),
            ),
        ),
        Panel(
            "Replays",
            "Share of each unfinished replay that is committed. Level below 100 %: nobody works on "
            "it; `track-pipeline replay list` names it.",
            (
                Query(
                    "1 - sum by (replay) (track_pipeline_watch_replay_remaining_offsets{$s})"
                    " / sum by (replay) (track_pipeline_watch_replay_offsets{$s})",
                    "{{replay}}",
                ),
            ),
            "percentunit",
        ),
        Panel(
            "Group members, and partitions that workers have",
            "Members as the cluster sees them, and partitions as the workers do.",
            (
                Query("sum(track_pipeline_watch_group_members{$s})", "members"),
                Query("sum(track_pipeline_partitions_assigned{$s})", "partitions assigned"),
            ),
            width=12,
        ),
        Panel(
            "Open transactions",
            "Partitions whose readers wait at an open transaction, by role of the topic. Good: "
            "none, or for moments.",
            (
                Query(
                    "sum by (role) (track_pipeline_watch_open_transactions{$s})",
                    "{{role}}",
                ),
            ),
            width=12,
        ),
    ),
)
