"""A redrive's plan for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pipeline.cli.dlq.notes import sums
from pipeline.cli.dlq.options import Display
from pipeline.cli.formats import Money, about, counted
from pipeline.cli.output import print_json, print_line, print_table
from pipeline.cli.tables import CellKind, Column
from pipeline.core.escape import one_line
from pipeline.core.headers import TrackHeader
from pipeline.core.masking import mask
from pipeline.core.record import Role
from pipeline.dlq.candidates import RedrivePlan
from pipeline.dlq.redrive_plan import ENRICHED, RAW, RedriveJob
from pipeline.reconcile.revenue import DayCurrency, Sums, exact_amount

_SHOWN: Final = 20
_REPLAYS: Final = (
    "a later replay of the raw topic meets these events twice; it pairs them by their "
    f"{TrackHeader.ORIGIN} headers"
)


class PlanView(NamedTuple):
    """A plan, and how it is shown."""

    job: RedriveJob
    plan: RedrivePlan
    display: Display

    def print(self) -> None:
        """Print all of it on standard output."""
        if self.display.as_json:
            print_json(self._to_dict())
            return
        rows = [(name, one_line(value)) for name, value in self._facts()]
        print_table([Column("", CellKind.ID), Column("")], rows, aligned=True)
        if self.plan.not_sent.total():
            self._print_not_sent()
        for text in self._errors():
            print_line(one_line(text))

    @property
    def _seconds(self) -> float:
        """Expected duration: trying again takes as long as for the plan, or as the rate allows."""
        rate, took_s = self.job.options.rate, self.plan.took_s
        return took_s if rate is None else max(took_s, self.job.planned(self.plan) / rate)

    def _errors(self) -> list[str]:
        """Sentences about some dead letters that could not even be tried."""
        errors = self.plan.errors
        return errors if self.display.reveal else [mask(text) for text in errors]

    def _targets(self) -> list[str]:
        """Topics that are written to; that of the events in any case."""
        written = self.plan.outputs if self.job.options.to == ENRICHED else {}
        outputs = self.job.targets.outputs.items()
        return [name for role, name in outputs if role is Role.ENRICHED or written.get(role)]

    def _revenue(self) -> list[Money]:
        """Exact sums by currency."""
        total = Sums()
        for key, amount in self.plan.revenue.amounts.items():
            total.count(DayCurrency("", key.currency), amount)
        return [Money(amount, key.currency) for key, amount in sorted(total.amounts.items())]

    def _facts(self) -> Iterator[tuple[str, str]]:
        job, plan, to = self.job, self.plan, self.job.options.to
        yield "to send", counted(plan.send, "dead letter")
        yield "to", f"{', '.join(self._targets())}{'' if to == ENRICHED else f' ({to})'}"
        written = ", ".join(f"{number:,} {role}" for role, number in sorted(plan.outputs.items()))
        if written and to == ENRICHED:
            yield "records", written
        if revenue := self._revenue():
            yield "revenue", sums(revenue)
        if job.options.repair.name:
            yield "repair", job.options.repair.name
        if job.options.reinsert_failing and plan.failing:
            yield "to reinsert", f"{plan.failing:,} that fail again, to {job.targets.topic}"
        if job.planned(plan):
            yield "takes about", self._time()
        for sample in plan.samples:
            dead_letter = sample.dead_letter
            position, reason = dead_letter.position, dead_letter.reason
            yield "example", f"{position} {reason} {dead_letter.event} {sample.source}"
        if to == RAW:
            yield "note", _REPLAYS
        if job.note:
            yield "note", job.note

    def _time(self) -> str:
        text, rate = about(max(1.0, self._seconds)), self.job.options.rate
        if rate is None:
            return f"{text}, plus the writing"
        return f"{text} at {rate:,g} dead letters per second"

    def _print_not_sent(self) -> None:
        reasons = self.plan.not_sent.most_common()
        columns = [Column("not sent", CellKind.NUMBER), Column("reason")]
        rows = [(number, reason) for reason, number in reasons[:_SHOWN]]
        print_table(columns, rows, aligned=True)
        rest = reasons[_SHOWN:]
        if rest:
            number = sum(number for _, number in rest)
            more = counted(len(rest), "more reason")
            print_line(f"… and {more} of {counted(number, 'dead letter')} (--json)")

    def _to_dict(self) -> dict[str, Any]:
        job, plan = self.job, self.plan
        return {
            "id": job.id,
            "to": job.rules.target,
            "send": plan.send,
            "reinsert": plan.failing if job.options.reinsert_failing else 0,
            "records": {role.value: number for role, number in plan.outputs.items()},
            "not_sent": plan.not_sent.to_dict(),
            "revenue": [
                f"{exact_amount(amount)} {currency}" for amount, currency in self._revenue()
            ],
            "repair": job.options.repair.name,
            "rate": job.options.rate,
            "seconds": round(self._seconds, 1),
            "note": job.note or None,
            "errors": self._errors(),
        }
