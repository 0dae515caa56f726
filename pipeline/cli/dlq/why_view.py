"""Findings about dead letters as people read them, and as JSON."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pipeline.cli.dlq.next_command import next_command, show_command
from pipeline.cli.dlq.notes import blocked_sentence
from pipeline.cli.dlq.options import Display
from pipeline.cli.formats import counted, moment, percent, span
from pipeline.cli.output import print_line, print_table
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.core.escape import one_line, short_json
from pipeline.core.masking import mask
from pipeline.dlq.as_json import iso_time
from pipeline.dlq.baseline import BaselineKind
from pipeline.dlq.contrast import Finding
from pipeline.dlq.contrast_report import ContrastReport
from pipeline.dlq.features import MEMBER, READABLE, TYPE
from pipeline.dlq.request import DlqRequest

_FEATURE: Final = 20
_VALUE: Final = 22
"""Least widths, which together fit in 80 columns: pointers and ids are whole in most terminals."""


class WhyView(NamedTuple):
    """A report, and how it is shown."""

    request: DlqRequest
    display: Display
    report: ContrastReport

    def print(self) -> None:
        """Print all of it; there is at least one dead letter."""
        report = self.report
        times = span(report.first, report.last)
        rejected = f", rejected {times}" if times else ""
        topic = self.request.dead_letter_topic
        number = counted(report.dead_letters.offered, "dead letter")
        print_line(f"{number} in {topic}{rejected}", "bold")
        for line in self._basis():
            print_line(line)
        if report.findings:
            if report.baseline_kind is not BaselineKind.NONE:
                print_line(self._headline(), "bold yellow")
            print_line()
            self._print_table()
            print_line()
        else:
            print_line("nothing sets them apart: dlq summary counts them by reason and event")
        if blocked := blocked_sentence(report.revenue):
            print_line(blocked)
        for word, command in zip(("next", "then"), self._next(), strict=False):
            print_line(f"{word}: {command}", "bold")

    def _basis(self) -> list[str]:
        """Sentences about what is compared."""
        report, topic = self.report, self.request.settings.topics.enriched
        like = " like them" if report.alike else ""
        number = counted(len(report.baseline.rows), "good event")
        sentences = {
            BaselineKind.SAME_TIME: (f"compared with {number}{like} of the same time in {topic}"),
            BaselineKind.EARLIER: (
                f"no good event{like} of the same time in {topic}: "
                f"compared with {number} from before it"
            ),
            BaselineKind.NONE: (
                f"no good event of {topic} could be read to compare with: "
                "what most of them have in common"
            ),
        }
        lines = [sentences[report.baseline_kind]]
        sample = len(report.dead_letters.rows)
        if not report.dead_letters.is_whole:
            lines.append(f"based on a sample of {counted(sample, 'dead letter')}")
        unreadable = report.dead_letters.lacking(READABLE)
        if unreadable:
            share = percent(unreadable / sample)
            lines.append(f"{share} have no readable value: only their source and time are known")
        return lines

    def _headline(self) -> str:
        first = self.report.findings[0]
        return (
            f"{percent(first.dead_letters.share)} {self._predicate(first)}, against "
            f"{percent(first.baseline.share)} of good events; first seen {moment(first.first)}"
        )

    def _predicate(self, finding: Finding) -> str:
        """End of a sentence about several dead letters."""
        feature = finding.feature
        if feature.about == MEMBER:
            return f"{'lack' if finding.lacks else 'have'} {self._shown(feature.value)}"
        if feature.about == TYPE:
            return f"have {self._shown(feature.value)} as {feature.more}"
        if not feature.value:
            return f"have no {feature.about}"
        return f"have {feature.about} {self._shown(feature.text)}"

    def _shown(self, text: str) -> str:
        if text.isspace():
            return short_json(text, len(text))
        return one_line(text if self.display.reveal else mask(text))

    def _print_table(self) -> None:
        is_compared = self.report.baseline_kind is not BaselineKind.NONE
        columns = [
            Column("dead letters", CellKind.SHARE),
            *([Column("good events", CellKind.SHARE)] if is_compared else []),
            Column("feature", least=_FEATURE),
            Column("value", least=_VALUE),
            Column("first seen", CellKind.TIME, 1),
            Column("example", CellKind.ID),
        ]
        rows: list[list[Cell]] = []
        for one in self.report.findings:
            shares: list[Cell] = [one.dead_letters.share]
            if is_compared:
                shares.append(one.baseline.share)
            rows.append([*shares, *self._feature_cells(one), one.first or None, one.sample])
        print_table(columns, rows, aligned=True)

    def _feature_cells(self, finding: Finding) -> tuple[str, str]:
        feature = finding.feature
        if feature.about == TYPE:
            return self._shown(feature.value), f"is {feature.more}"
        if feature.about == MEMBER:
            return self._shown(feature.value), "is missing" if finding.lacks else "is present"
        return feature.about, self._shown(feature.text) if feature.value else "(none)"

    def _next(self) -> list[str]:
        """Commands to show one of the dead letters, and to check whether all would pass now."""
        request = self.request
        check = next_command("check", request.selection, include_done=request.include_done)
        return [*(show_command(one.sample) for one in self.report.findings[:1]), check]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        report = self.report
        return {
            "topic": self.request.dead_letter_topic,
            "dead_letters": report.dead_letters.offered,
            "sampled_dead_letters": len(report.dead_letters.rows),
            "first_failed_at": iso_time(report.first) or None,
            "last_failed_at": iso_time(report.last) or None,
            "good_topic": self.request.settings.topics.enriched,
            "good_events": len(report.baseline.rows),
            "compared_with": report.baseline_kind.value,
            "compared_with_alike_only": report.alike,
            "masked": not self.display.reveal,
            "findings": [self._finding_to_dict(one) for one in report.findings],
            "revenue": report.revenue.to_dict(),
            "left_out": dict(report.coverage.left_out),
            "next": self._next() if report.dead_letters.rows else [],
        }

    def _finding_to_dict(self, one: Finding) -> dict[str, Any]:
        text = one.feature.text if self.display.reveal else mask(one.feature.text)
        return {
            "about": one.feature.about,
            "value": text or None,
            "lacks": one.lacks,
            "dead_letters": one.dead_letters.events,
            "dead_letters_share": round(one.dead_letters.share, 6),
            "good_events": one.baseline.events,
            "good_share": round(one.baseline.share, 6) if one.baseline.total else None,
            "first_failed_at": iso_time(one.first) or None,
            "sample": one.sample,
        }
