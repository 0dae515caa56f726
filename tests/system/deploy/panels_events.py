"""Panels about events: is it well, how many, how late, how fast?"""

from __future__ import annotations

from typing import Final

from tests.system.deploy.panel import GREEN, ORANGE, RED, Panel, Query, Row, quantiles, stat

_LAG_SECONDS: Final = '{__name__=~"track_pipeline_(watch_)?lag_seconds",$s}'
_LAG_RECORDS: Final = '{__name__=~"track_pipeline_(watch_)?lag_records",$s}'
_RETENTION: Final = '{__name__=~"track_pipeline_(watch_)?retention_seconds",$s}'

WELL: Final = Row(
    "Is it well?",
    (
        stat(
            "Ready",
            "Whether each worker has its partitions and can write; /readyz says why not. "
            "Good: yes.",
            "min(track_pipeline_ready{$s})",
            "none",
            ((None, RED), (1, GREEN)),
            (("0", "no"), ("1", "yes")),
            "no worker",
        ),
        stat(
            "Lag",
            "Age of the oldest raw record that is not committed. Good: below a minute; 15 minutes "
            "page.",
            f"max({_LAG_SECONDS})",
            "s",
            ((None, GREEN), (300, ORANGE), (900, RED)),
        ),
        stat(
            "Until data is lost",
            "Time until retention may delete a raw record that nobody has read. Good: days; no "
            "limit when nothing waits, or the topic keeps records forever.",
            f"min({_RETENTION})",
            "s",
            ((None, RED), (14_400, ORANGE), (129_600, GREEN)),
            if_absent="no limit",
        ),
        stat(
            "Conservation",
            "Events consumed, less those with an outcome. Good: 0, always.",
            "sum(track_pipeline_conservation_difference_events{$s})",
            "none",
            ((None, RED), (0, GREEN), (0.5, RED)),
        ),
        stat(
            "Dead-letter share",
            "Share of the events of the last five minutes that became dead letters, without calls "
            "of another type. Good: what it was yesterday.",
            "sum(rate(track_pipeline_events_dead_lettered_total"
            '{$s,reason!="unsupported_type"}[5m]))'
            " / sum(rate(track_pipeline_events_consumed_total{$s}[5m]))",
            "percentunit",
            ((None, GREEN), (0.05, ORANGE), (0.2, RED)),
            if_absent="no events",
        ),
        stat(
            "Circuit breaker",
            "Open: after a change far more events would be rejected, and the workers wait for a "
            "decision. Good: closed.",
            "max(track_pipeline_breaker_open{$s})",
            "none",
            ((None, GREEN), (1, RED)),
            (("0", "closed"), ("1", "OPEN")),
            "no worker",
        ),
        stat(
            "Workers running",
            "Worker processes that run, of those that are configured. Good: all.",
            'sum(track_pipeline_workers{$s,state="running"})'
            ' / sum(track_pipeline_workers{$s,state="configured"})',
            "percentunit",
            ((None, RED), (0.5, ORANGE), (1, GREEN)),
            if_absent="no worker",
        ),
        stat(
            "Last commit",
            "Time since the last transaction of any worker. Good: seconds, while records come in.",
            "time() - max(track_pipeline_last_commit_timestamp_seconds{$s})",
            "s",
            ((None, "blue"),),
            if_absent="none yet",
        ),
        stat(
            "Unresolved dead letters",
            "Dead letters that are neither redriven nor discarded, as `track-pipeline watch` sees "
            "them. Good: few.",
            "sum(track_pipeline_watch_dead_letters_unresolved{$s})",
            "short",
            ((None, "blue"),),
            if_absent="not watched",
        ),
        stat(
            "Until dead letters expire",
            "Time until retention may delete the oldest unresolved dead letter. Good: days; no "
            "limit when there is none.",
            "min(track_pipeline_watch_dead_letter_retention_seconds{$s})",
            "s",
            ((None, RED), (43_200, ORANGE), (259_200, GREEN)),
            if_absent="no limit",
        ),
        stat(
            "Blocked revenue",
            "Revenue in unresolved dead letters, by currency. Good: little.",
            "sum by (currency) (track_pipeline_watch_dead_letters_unresolved_revenue{$s})",
            "short",
            ((None, "blue"),),
            if_absent="none",
            legend="{{currency}}",
        ),
        stat(
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
                        ("forwarded", "forwarded"),
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
            quantiles("track_pipeline_latency_seconds"),
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
