"""What the selected dead letters have in common that good events do not have."""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.dlq.baseline import MOST_BASELINE, Baseline, BaselineKind, around, like
from pipeline.dlq.blocked_revenue import BlockedRevenue
from pipeline.dlq.contrast import (
    MOST_DEAD_LETTERS,
    MOST_FINDINGS,
    Finding,
    GroupSample,
    Observation,
    Vocabulary,
    common,
    contrast,
)
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.features import HOUR, of_dead_letter
from pipeline.dlq.filters import EVERYTHING
from pipeline.dlq.reader import Coverage, DlqReader, open_reader
from pipeline.dlq.request import DlqRequest, OnNotice, ignore_notice
from pipeline.errors import RegistryUnavailableError
from pipeline.progress import OnProgress
from pipeline.reconcile.json_outputs import JsonOutputs
from pipeline.wiring import admin, output_reader, range_reader

_OF_ITS_TIME: Final = frozenset({HOUR})
"""Features that can't be compared with events of another time."""


class ContrastReport(NamedTuple):
    """Findings about the selected dead letters, and what they are based on."""

    dead_letters: GroupSample
    baseline: GroupSample
    """Good events that the dead letters are compared with."""
    baseline_kind: BaselineKind
    alike: bool
    """Whether the good events have the requested event names and libraries, too."""
    findings: list[Finding]
    revenue: BlockedRevenue
    first: int
    """Time of the first failure in epoch milliseconds; 0 when no dead letter has a time."""
    last: int
    """Time of the last failure."""
    coverage: Coverage


def contrast_with_baseline(
    request: DlqRequest,
    *,
    most: int = MOST_FINDINGS,
    on_progress: OnProgress | None = None,
    on_notice: OnNotice = ignore_notice,
) -> ContrastReport:
    """Compare the selected dead letters with good events of their time.

    It returns at most `most` findings. Without any good event the report says what most of the
    dead letters have in common. See `open_reader` for errors.
    """
    reader = open_reader(request, on_notice, only_shows=True)
    dead_letters = _DeadLetters(request, reader, on_progress)
    sample = dead_letters.sample
    baseline, kind, alike = _baseline(request, dead_letters, on_progress, on_notice)
    if kind is BaselineKind.NONE:
        findings = common(sample, most=most)
    else:
        without = _OF_ITS_TIME if kind is BaselineKind.EARLIER else frozenset[str]()
        findings = contrast(sample, baseline, most=most, without=without)
    return ContrastReport(
        sample,
        baseline,
        kind,
        alike,
        findings,
        dead_letters.revenue,
        dead_letters.first,
        dead_letters.last,
        reader.coverage,
    )


class _DeadLetters:
    """Everything that the report needs of the dead letters, which are read once."""

    def __init__(
        self, request: DlqRequest, reader: DlqReader, on_progress: OnProgress | None
    ) -> None:
        self.sample = GroupSample(MOST_DEAD_LETTERS, Vocabulary())
        self.revenue = BlockedRevenue(request.settings)
        self.first = self.last = 0
        """Times of the first and the last failure; 0 when no dead letter has a time."""
        self.sent_first = self.sent_last = 0
        """Kafka timestamps of the first and the last raw record, or of the failure if unknown."""
        for dead_letter in reader.dead_letters(on_progress):
            self._add(dead_letter)

    def _add(self, dead_letter: DeadLetter) -> None:
        self.revenue.add(dead_letter)
        failed, position = dead_letter.failed_at, dead_letter.position
        self.sample.offer(lambda: Observation(of_dead_letter(dead_letter), failed, position))
        if failed:
            self.first = min(self.first or failed, failed)
            self.last = max(self.last, failed)
        sent = dead_letter.source_timestamp or failed
        if sent:
            self.sent_first = min(self.sent_first or sent, sent)
            self.sent_last = max(self.sent_last, sent)


def _baseline(
    request: DlqRequest,
    dead_letters: _DeadLetters,
    on_progress: OnProgress | None,
    on_notice: OnNotice,
) -> tuple[GroupSample, BaselineKind, bool]:
    """Good events, which ones they are, and whether they are only those that are alike."""
    nothing = GroupSample(MOST_BASELINE, dead_letters.sample.vocabulary)
    if not dead_letters.sample.rows:
        return nothing, BaselineKind.NONE, False
    settings, selection = request.settings, request.selection
    cluster, topic = admin(settings), settings.topics.enriched
    facts = cluster.topics([topic]).get(topic)
    if facts is None or not facts.allows("READ"):
        problem = "does not exist" if facts is None else "may not be read"
        on_notice(f"topic {topic} {problem} (topics.enriched): no comparison")
        return nothing, BaselineKind.NONE, False
    outputs = JsonOutputs(
        range_reader(settings), output_reader(settings, is_patient=False), [topic]
    )
    events = Baseline(cluster, outputs, topic)
    window = around(dead_letters.sent_first, dead_letters.sent_last)
    limited = bool(selection.events or selection.libraries)
    # Where no good event has the requested names, others are better than none.
    for alike in (True, False) if limited else (False,):
        sample = GroupSample(MOST_BASELINE, dead_letters.sample.vocabulary)
        wanted = like(selection if alike else EVERYTHING)
        try:
            kind = events.fill(sample, window, wanted, on_progress)
        except RegistryUnavailableError as error:
            on_notice(f"the good events of {topic} can't be read now: {error}: no comparison")
            break
        if kind is not BaselineKind.NONE:
            return sample, kind, alike
    return nothing, BaselineKind.NONE, False
