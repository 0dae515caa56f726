"""The faults and the alerts that they make fire, and after how long: one row per fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.system.chaos.alerts import faults
from tests.system.chaos.alerts.alert_key import AlertKey
from tests.system.chaos.alerts.compression import FACTOR
from tests.system.chaos.alerts.faults import Fault
from tests.system.chaos.alerts.pipeline import STUCK_AFTER_S

PAGE: Final = "page"
TICKET: Final = "ticket"
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class AlertCase:
    """A fault, and the alerts that it makes fire, in a pipeline of its own."""

    label: str
    """Part of the names of its topics, group and job."""
    description: str
    """What happens, in a few words, for the report."""
    inject: Fault
    holds_after_s: Mapping[AlertKey, float]
    """Alert → time of the rules until its condition holds, at the earliest; its `for` follows."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Additional settings of worker and `watch`."""
    usual_s: float = 3.0
    """Time of usual traffic before the fault, without compression."""
    invalid_first: bool = False
    """Whether there are dead letters before the fault."""
    healthy_first: bool = True
    """Whether worker and `watch` run, and are scraped, before the fault."""
    stops_everything: bool = False
    """Whether the fault reaches the pipelines of other cases too."""

    @property
    def alerts(self) -> set[AlertKey]:
        """The alerts that must fire."""
        return set(self.holds_after_s)


CASES: Final = (
    AlertCase(
        "not-scraped",
        "no worker is scraped",
        faults.not_started,
        {AlertKey("TrackPipelineNotScraped", TICKET): 0},
        healthy_first=False,
    ),
    AlertCase(
        "restarts",
        "a worker is killed again and again",
        faults.killed_again_and_again,
        {
            AlertKey("TrackPipelineRestarts", PAGE): 0,
            AlertKey("TrackPipelineRestarts", TICKET): 0,
        },
    ),
    AlertCase(
        "stopped",
        "all workers are stopped; the raw topic keeps records for 1 h",
        faults.stopped_with_short_retention,
        {
            AlertKey("TrackPipelineWorkersGone", PAGE): 0,
            AlertKey("TrackPipelineLag", PAGE): 15 * _MINUTE,
            AlertKey("TrackPipelineLag", TICKET): 5 * _MINUTE,
            AlertKey("TrackPipelineRetentionAhead", PAGE): _HOUR / 2,
            AlertKey("TrackPipelineRetentionAhead", TICKET): _HOUR / 2,
        },
    ),
    AlertCase(
        "hung",
        "a worker hangs in a transaction",
        faults.hung,
        {
            AlertKey("TrackPipelineStuck", PAGE): STUCK_AFTER_S * FACTOR,
            AlertKey("TrackPipelineNoProgress", PAGE): 9 * _MINUTE,  # most of its range
        },
    ),
    AlertCase(
        "suspended",
        "a worker is suspended (SIGSTOP)",
        faults.suspended,
        {AlertKey("TrackPipelineTargetDown", TICKET): 0},
    ),
    AlertCase(
        "not-watched",
        "`watch` is stopped",
        faults.not_watched,
        {AlertKey("TrackPipelineWatchGone", TICKET): 0},
    ),
    AlertCase(
        "dropped",
        "a bug drops the output of 1 record in 20",
        faults.output_dropped,
        {AlertKey("TrackPipelineConservation", PAGE): 0},
    ),
    AlertCase(
        "raises",
        "a bug raises an exception for 1 record in 20",
        faults.processing_raises,
        {AlertKey("TrackPipelineProcessingErrors", TICKET): 0},
    ),
    AlertCase(
        "aborts",
        "1 commit in 3 fails",
        faults.commits_fail,
        {AlertKey("TrackPipelineTransactionsAborting", TICKET): 0},
    ),
    AlertCase(
        "lost",
        "raw records are deleted unread (on_data_loss=continue)",
        faults.raw_records_deleted,
        {AlertKey("TrackPipelineRecordsLost", PAGE): 0},
        settings={"TRACK_ON_DATA_LOSS": "continue"},
    ),
    AlertCase(
        "open",
        "another producer leaves a transaction open",
        faults.transaction_left_open,
        {AlertKey("TrackPipelineOpenTransaction", TICKET): 0},
    ),
    AlertCase(
        "expiring",
        "the dead-letter topic keeps records for 10 h",
        faults.dead_letters_kept_shortly,
        {
            AlertKey("TrackPipelineDeadLettersExpiring", PAGE): 0,
            AlertKey("TrackPipelineDeadLettersExpiring", TICKET): 0,
        },
        invalid_first=True,
    ),
    AlertCase(
        "expired",
        "unresolved dead letters are deleted",
        faults.dead_letters_deleted,
        {AlertKey("TrackPipelineDeadLettersLost", TICKET): 0},
        invalid_first=True,
    ),
    AlertCase(
        "contract",
        "a changed setting would reject everything",
        faults.contract_changed,
        {AlertKey("TrackPipelineBreakerOpen", PAGE): 0},
    ),
    AlertCase(
        "invalid",
        "all events are invalid",
        faults.only_invalid_events,
        {
            AlertKey("TrackPipelineDeadLetterShare", PAGE): _MINUTE,
            AlertKey("TrackPipelineDeadLetterShare", TICKET): 3 * _MINUTE,
            AlertKey("TrackPipelineReasonSpike", TICKET): _MINUTE,
        },
        # A spike is five times the usual share, of which Prometheus must have seen enough.
        usual_s=90.0,
    ),
    AlertCase(
        "broker",
        "the broker is killed",
        faults.broker_down,
        {
            AlertKey("TrackPipelineNotReady", PAGE): 0,
            AlertKey("TrackPipelineNotReady", TICKET): 0,
            AlertKey("TrackPipelineWatchFailing", TICKET): 0,
        },
        stops_everything=True,
    ),
)
