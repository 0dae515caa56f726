"""What is to be sent again, under which rules, and to where."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rich.console import Console

from pipeline.cli.dlq.options import Asked
from pipeline.cli.progress import shown_progress
from pipeline.core.headers import TrackHeader
from pipeline.core.record import Headers, Output, Role
from pipeline.dlq.candidates import Candidate, Chooser, Plan, Rules, as_raw_output, fails_again
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.ledger import Action, Entry, Ledger
from pipeline.dlq.recheck import CRASH, Examiner, SourceExaminer
from pipeline.dlq.redrive import Deed
from pipeline.dlq.repair import Repair
from pipeline.dlq.reprocess import Again, as_raw
from pipeline.dlq.source_topic import source_topic
from pipeline.dlq.targets import Place, place
from pipeline.errors import SettingsError
from pipeline.identity import new_id, whoami
from pipeline.progress import OnProgress
from pipeline.reconcile.revenue import RevenueReader
from pipeline.settings.model import Settings
from pipeline.topics import REPLAY_INFIX
from pipeline.wiring import WallClock, make_again, make_processor

ENRICHED, RAW, SOURCE = "enriched", "raw", "source"

Letters = Callable[[OnProgress | None], Iterable[DeadLetter]]
"""Those that are meant; asked for the plan, and once more to send them."""


@dataclass(frozen=True)
class Job:
    """One redrive."""

    settings: Settings
    letters: Letters
    repair: Repair
    rules: Rules
    where: Place
    to: str
    reinsert: bool
    id: str
    now: int

    @property
    def written(self) -> set[Role]:
        """The outputs that there may be."""
        left_out = set() if self.reinsert else {Role.DEAD_LETTER}
        return set(self.where.outputs) - left_out

    def planned(self, plan: Plan) -> int:
        """Letters of a plan that something is done with."""
        return plan.send + (plan.failing if self.reinsert else 0)

    def candidates(
        self, ledger: Ledger, on_progress: OnProgress | None = None
    ) -> Iterator[Candidate]:
        """Every letter that is meant, with the decision."""
        kind = SourceExaminer if self.to == SOURCE else Examiner
        examiner = kind(self._again(), self.repair)
        letters = self.letters(on_progress)
        try:
            yield from Chooser(examiner, self.rules, ledger).choose(letters, self.now)
        finally:
            examiner.end()

    def _again(self) -> Again:
        """The rules; what they make of a replay's letters is the replay's, too."""
        return make_again(self.settings, replay=self.rules.replay)

    def deeds(self, ledger: Ledger) -> Iterator[Deed]:
        """What is to be written, letter by letter."""
        for candidate in self.candidates(ledger):
            if not candidate.why_not:
                yield Deed(self._outputs(candidate), self._entry(candidate, Action.REDRIVEN))
            elif self.reinsert and fails_again(candidate):
                outputs = self._refused_as_it_is(candidate)
                if outputs:
                    yield Deed(outputs, self._entry(candidate, Action.REINSERTED))

    def _outputs(self, candidate: Candidate) -> list[Output]:
        if self.to == RAW:
            return [as_raw_output(candidate, self._kept(as_raw(candidate.letter).headers))]
        if self.to == SOURCE:
            outputs = candidate.verdict.outputs
            return [output._replace(headers=self._kept(output.headers)) for output in outputs]
        return self._linked(candidate)

    def _refused_as_it_is(self, candidate: Candidate) -> list[Output]:
        """The new letter, with the bytes of the old one: a repair that did not help is no repair.

        Nothing when the letter would pass without the repair.
        """
        letter, verdict = candidate.letter, candidate.verdict
        if verdict.value == letter.value:
            return self._linked(candidate)
        outputs = self._again().outputs(letter, self.now, letter.value)
        if any(output.role is not Role.DEAD_LETTER for output in outputs):
            return []
        return self._linked(candidate._replace(verdict=verdict._replace(outputs=outputs)))

    def _linked(self, candidate: Candidate) -> list[Output]:
        """What the rules give, with headers that lead back to the letter."""
        letter = f"{self.where.topic}/{candidate.letter.place}"
        links = [
            (TrackHeader.REDRIVE, self.id.encode()),
            (TrackHeader.REDRIVE_DEAD_LETTER, letter.encode()),
        ]
        return [
            output._replace(headers=[*self._kept(output.headers), *links])
            for output in candidate.verdict.outputs
        ]

    def _kept(self, headers: Headers) -> Headers:
        """Less those that belong to the first sending."""
        dropped = self.settings.dead_letter.redrive_drop_headers
        names = {name.lower() for name in dropped if not name.endswith("*")}
        starts = tuple(name[:-1].lower() for name in dropped if name.endswith("*"))
        return [
            header
            for header in headers
            if header[0].lower() not in names and not header[0].lower().startswith(starts)
        ]

    def _entry(self, candidate: Candidate, action: Action) -> Entry:
        letter = candidate.letter
        sent = action is Action.REDRIVEN
        return Entry(
            self.where.topic_id,
            letter.partition,
            letter.offset,
            action,
            candidate.source,
            letter.source_timestamp,
            whoami(),
            self.now,
            self.id,
            self.rules.target if sent else self.where.topic,
            self.repair.name if sent else "",
        )


def job_of(  # noqa: PLR0913  what can be asked for
    asked: Asked,
    letters: Letters,
    repair: Repair,
    *,
    to: str = ENRICHED,
    replay: str | None = None,
    max_attempts: int | None = None,
    reinsert: bool = False,
) -> Job:
    """The job for these letters; RefusedError and SettingsError when it can't be done."""
    settings, captured = asked.settings, asked.desk.captured
    if replay is None:  # a replay's own topic is named after it
        replay = captured.topic.partition(REPLAY_INFIX)[2]
    if replay and to != ENRICHED:
        problem = f"--to {to}: the live worker would take a replay's events for its own"
        raise SettingsError([f"{problem}: use --to enriched, which is the replay's output"])
    if to == SOURCE:  # which then is what the raw topic is otherwise: partitions are its own
        topics = settings.topics.model_copy(update={"raw": source_topic(asked)})
        settings = settings.model_copy(update={"topics": topics})
    outputs = {
        **_targets(settings, to, f"{REPLAY_INFIX}{replay}" if replay else ""),
        Role.DEAD_LETTER: captured.topic,
    }
    if captured.topic in {outputs[Role.ENRICHED], outputs.get(Role.IDENTIFY)}:
        raise SettingsError([f"--topic: {captured.topic} is where letters would be sent to"])
    now = WallClock().now()
    return Job(
        settings,
        letters,
        repair,
        Rules(
            outputs[Role.ENRICHED],
            replay,
            max_attempts,
            CRASH in asked.selection.stages,
            settings.topics.raw,
            foreign_only=to == SOURCE,
        ),
        place(settings, captured.topic, captured.topic_id, outputs),
        to,
        reinsert,
        new_id("redrive", now),
        now,
    )


def _targets(settings: Settings, to: str, suffix: str) -> dict[Role, str]:
    """Where the outputs go that are no letters."""
    if to != ENRICHED:
        return {Role.ENRICHED: settings.topics.raw}
    targets = {Role.ENRICHED: settings.topics.enriched + suffix}
    if settings.identify:
        targets[Role.IDENTIFY] = settings.topics.identify + suffix
    return targets


def plan_of(job: Job, ledger: Ledger) -> Plan:
    """What the job would do, as things are now; progress is shown on standard error."""
    plan, purse, began = Plan(), RevenueReader(make_processor(job.settings)), time.monotonic()
    with shown_progress(Console(stderr=True)) as on_progress:
        for candidate in job.candidates(ledger, on_progress):
            plan.add(candidate, purse)
    plan.took_s = time.monotonic() - began
    return plan
