"""Panels of the Grafana dashboard: titles, queries, units, and what a good value is."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

PanelType = Literal["stat", "timeseries", "heatmap"]
SELECTED: Final = 'namespace=~"$namespace",job=~"$job"'
"""What the variables of the dashboard choose."""
_GREEN: Final = "green"
_ORANGE: Final = "orange"
_RED: Final = "red"


class Query(NamedTuple):
    """One query of a panel."""

    expr: str
    """PromQL; `$s` stands for the selected workers."""
    legend: str = ""


class Panel(NamedTuple):
    """One panel."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    type: PanelType = "timeseries"
    width: int = 8
    stacked: Literal["none", "normal", "percent"] = "none"
    steps: tuple[tuple[float | None, str], ...] = ((None, _GREEN),)
    """Thresholds of a `stat`: from which value on it has which colour."""
    texts: tuple[tuple[str, str], ...] = ()
    """Value of a `stat` → the word that stands for it."""
    if_absent: str = "no data"
    instant: bool = False


class Row(NamedTuple):
    """A heading with its panels."""

    title: str
    panels: tuple[Panel, ...]


def _stat(  # noqa: PLR0917  one for each thing that a figure needs
    title: str,
    description: str,
    expr: str,
    unit: str,
    steps: tuple[tuple[float | None, str], ...],
    texts: tuple[tuple[str, str], ...] = (),
    if_absent: str = "no data",
    legend: str = "",
) -> Panel:
    return Panel(
        title,
        description,
        (Query(expr, legend),),
        unit,
        "stat",
        width=4,
        steps=steps,
        texts=texts,
        if_absent=if_absent,
        instant=True,
    )


def _quantiles(metric: str) -> tuple[Query, ...]:
    return tuple(
        Query(
            f"histogram_quantile({quantile},"
            f" sum by (le) (rate({metric}_bucket{{$s}}[$__rate_interval])))",
            legend,
        )
        for quantile, legend in (("0.5", "median"), ("0.9", "90 %"), ("0.99", "99 %"))
    )


_LAG_SECONDS: Final = '{__name__=~"track_pipeline_(watch_)?lag_seconds",$s}'
_LAG_RECORDS: Final = '{__name__=~"track_pipeline_(watch_)?lag_records",$s}'
_RETENTION: Final = '{__name__=~"track_pipeline_(watch_)?retention_seconds",$s}'

WELL: Final = Row(
    "Is it well?",
    (
        _stat(
            "Ready",
            "Whether each worker has its partitions and can write; /readyz says why not. "
            "Good: yes.",
            "min(track_pipeline_ready{$s})",
            "none",
            ((None, _RED), (1, _GREEN)),
            (("0", "no"), ("1", "yes")),
            "no worker",
        ),
        _stat(
            "Lag",
            "Age of the oldest raw record that is not committed. Good: below a minute; 15 minutes "
            "page.",
            f"max({_LAG_SECONDS})",
            "s",
            ((None, _GREEN), (300, _ORANGE), (900, _RED)),
        ),
        _stat(
            "Until data is lost",
            "Time until retention may delete a raw record that nobody has read. Good: days; no "
            "limit when nothing waits, or the topic keeps records forever.",
            f"min({_RETENTION})",
            "s",
            ((None, _RED), (14_400, _ORANGE), (129_600, _GREEN)),
            if_absent="no limit",
        ),
        _stat(
            "Conservation",
            "Events consumed, less those enriched, dead-lettered and dropped. Good: 0, always.",
            "sum(track_pipeline_conservation_difference_events{$s})",
            "none",
            ((None, _RED), (0, _GREEN), (0.5, _RED)),
        ),
        _stat(
            "Dead-letter share",
            "Share of the events of the last five minutes that became dead letters, without calls "
            "of another type. Good: what it was yesterday.",
            "sum(rate(track_pipeline_events_dead_lettered_total"
            '{$s,reason!="unsupported_type"}[5m]))'
            " / sum(rate(track_pipeline_events_consumed_total{$s}[5m]))",
            "percentunit",
            ((None, _GREEN), (0.05, _ORANGE), (0.2, _RED)),
            if_absent="no events",
        ),
        _stat(
            "Circuit breaker",
            "Open: after a change far more events would be rejected, and the workers wait for a "
            "decision. Good: closed.",
            "max(track_pipeline_breaker_open{$s})",
            "none",
            ((None, _GREEN), (1, _RED)),
            (("0", "closed"), ("1", "OPEN")),
            "no worker",
        ),
        _stat(
            "Workers running",
            "Worker processes that run, of those that are configured. Good: all.",
            'sum(track_pipeline_workers{$s,state="running"})'
            ' / sum(track_pipeline_workers{$s,state="configured"})',
            "percentunit",
            ((None, _RED), (0.5, _ORANGE), (1, _GREEN)),
            if_absent="no worker",
        ),
        _stat(
            "Last commit",
            "Time since the last transaction of any worker. Good: seconds, while records come in.",
            "time() - max(track_pipeline_last_commit_timestamp_seconds{$s})",
            "s",
            ((None, "blue"),),
            if_absent="none yet",
        ),
        _stat(
            "Unresolved dead letters",
            "Dead letters that are neither redriven nor discarded, as `track-pipeline watch` sees "
            "them. Good: few.",
            "sum(track_pipeline_watch_dead_letters_unresolved{$s})",
            "short",
            ((None, "blue"),),
            if_absent="not watched",
        ),
        _stat(
            "Until dead letters expire",
            "Time until retention may delete the oldest unresolved dead letter. Good: days; no "
            "limit when there is none.",
            "min(track_pipeline_watch_dead_letter_retention_seconds{$s})",
            "s",
            ((None, _RED), (43_200, _ORANGE), (259_200, _GREEN)),
            if_absent="no limit",
        ),
        _stat(
            "Blocked revenue",
            "Revenue in unresolved dead letters, by currency. Good: little.",
            "sum by (currency) (track_pipeline_watch_dead_letters_unresolved_revenue{$s})",
            "short",
            ((None, "blue"),),
            if_absent="none",
            legend="{{currency}}",
        ),
        _stat(
            "Versions",
            "Endpoints by version and contract. Good: one of each, but during a deployment.",
            "count by (version, contract) (track_pipeline_build_info{$s})",
            "none",
            ((None, "blue"),),
            if_absent="no worker",
            legend="{{version}} {{contract}}",
        ),
    ),
)

FLOW: Final = Row(
    "Events",
    (
        Panel(
            "Events per second",
            "What became of the events, by committed transactions. Good: enriched is nearly all of "
            "consumed.",
            (
                *(
                    Query(
                        f"sum(rate(track_pipeline_events_{name}_total{{$s}}[$__rate_interval]))",
                        legend,
                    )
                    for name, legend in (
                        ("consumed", "consumed"),
                        ("enriched", "enriched"),
                        ("dead_lettered", "dead-lettered"),
                        ("dropped", "dropped"),
                    )
                ),
                Query(
                    "sum(rate(track_pipeline_identifies_total{$s}[$__rate_interval]))",
                    "identify messages",
                ),
            ),
            "cps",
            width=12,
        ),
        Panel(
            "Dead letters per second, by reason",
            "Why events are rejected. A reason that grows at once usually is one SDK's new "
            "release.",
            (
                Query(
                    "sum by (reason) (rate("
                    "track_pipeline_events_dead_lettered_total{$s}[$__rate_interval])) > 0",
                    "{{reason}}",
                ),
            ),
            "cps",
            width=12,
            stacked="normal",
        ),
    ),
)

LAG: Final = Row(
    "How far behind",
    (
        Panel(
            "Lag in seconds, by partition",
            "Age of the oldest record that is not committed. One partition alone: a hot key, or "
            "nobody reads it. A line that rises by a second per second: no progress.",
            (Query(f"max by (partition) ({_LAG_SECONDS})", "partition {{partition}}"),),
            "s",
        ),
        Panel(
            "Lag in records, by partition",
            "Offsets between the committed position and the end of the partition.",
            (Query(f"max by (partition) ({_LAG_RECORDS})", "partition {{partition}}"),),
        ),
        Panel(
            "Until retention deletes unread records",
            "Of the partition with the least time. Falls while the workers are behind; absent when "
            "nothing waits.",
            (Query(f"min by (job) ({_RETENTION})", "{{job}}"),),
            "s",
        ),
    ),
)

SPEED: Final = Row(
    "Latency and phases",
    (
        Panel(
            "Latency",
            "From a raw record's Kafka timestamp until its outputs are committed. Good: a little "
            "more than batch.linger_ms.",
            _quantiles("track_pipeline_latency_seconds"),
            "s",
        ),
        Panel(
            "Latency, distribution",
            "Records per second in each range of latency. Two bands: some partitions are behind.",
            (
                Query(
                    "sum by (le) (increase("
                    "track_pipeline_latency_seconds_bucket{$s}[$__rate_interval]))",
                    "{{le}}",
                ),
            ),
            "s",
            "heatmap",
        ),
        Panel(
            "Time by phase",
            "What the workers spend their time with. Good: much of it is wait. Mostly process: "
            "add workers or CPU. Mostly commit: the brokers are slow.",
            (
                Query(
                    "sum by (phase) (rate("
                    "track_pipeline_phase_seconds_total{$s}[$__rate_interval]))",
                    "{{phase}}",
                ),
            ),
            "percentunit",
            stacked="percent",
        ),
    ),
)

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
            _quantiles("track_pipeline_commit_seconds"),
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

ROWS: Final = (WELL, FLOW, LAG, SPEED, TRANSACTIONS, MONEY, PROGRAM, CLUSTER)
