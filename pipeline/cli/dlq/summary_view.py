"""A summary as people read it: tables, blocked revenue, and what to look at next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from rich.text import Text

from pipeline.cli.dlq.next_command import next_command, show_command
from pipeline.cli.dlq.notes import blocked_sentence
from pipeline.cli.dlq.options import Display
from pipeline.cli.formats import about, counted, duration, span
from pipeline.cli.output import output_console, print_line, print_table
from pipeline.cli.tables import Cell, CellKind, Column
from pipeline.core.escape import one_line
from pipeline.core.masking import mask
from pipeline.core.time_window import Window, read_moment
from pipeline.dlq.dimensions import HOUR_MS, Dimension
from pipeline.dlq.expiry import EXPIRY_WARNING_S
from pipeline.dlq.filters import Selection, read_source_filter
from pipeline.dlq.request import DlqRequest
from pipeline.dlq.summary import MOST_GROUPS, Group, SummaryResult
from pipeline.dlq.timeline import bar_chart

_WIDE: Final = 100
_CHART: Final = 24
_CHART_NARROW: Final = 12
_PATTERNS_SHOWN: Final = 10
_DIMENSION: Final = 24
_DETAIL: Final = 24
_OVER_TIME: Final = "over time"
_TEXTS: Final = frozenset({"event", "detail"})
"""Dimensions whose values are text; those of the event's members are text, too."""
_NONE: Final = "(none)"
_OTHER: Final = "(other)"


class SummaryView(NamedTuple):
    """A summary, and how it is shown."""

    request: DlqRequest
    display: Display
    result: SummaryResult

    def print(self, top: int) -> None:
        """Print all of it; there is at least one dead letter."""
        found, topic = self.result.summary, self.request.dead_letter_topic
        times = span(found.first, found.last)
        rejected = f", rejected {times}" if times else ""
        print_line(f"{counted(found.dead_letters, 'dead letter')} in {topic}{rejected}", "bold")
        _print_groups(self, top)
        if all(each.name != "detail" for each in found.by):
            _print_details(self)
        if blocked := blocked_sentence(self.result.revenue):
            print_line(blocked)
        if self.result.expiring and self.result.expires_in_s is not None:
            print_line(_expiring_sentence(self.result.expiring, self.result.expires_in_s), "yellow")
        print_line(f"next: {suggest_next(self)}", "bold")


def values_of(view: SummaryView, group: Group) -> list[str | None]:
    """Values of a group by dimension; None for no value, masked unless revealed."""
    return [
        _shown(each, _value(each, value, group), reveal=view.display.reveal) if value else None
        for each, value in zip(view.result.summary.by, group.key, strict=True)
    ]


def _shown(each: Dimension, value: str, *, reveal: bool) -> str:
    return value if reveal else each.masked(value)


def _value(each: Dimension, value: str, group: Group) -> str:
    """Detail as it is, when all details of the group are equal."""
    pattern = group.patterns.get(value) if each.name == "detail" else None
    return pattern.shown if pattern else value


def _expiring_sentence(number: int, first_s: float) -> str:
    """Say how many dead letters retention may delete soon, and when."""
    days = duration(EXPIRY_WARNING_S * 1000)
    found = counted(number, "unresolved dead letter")
    return f"retention may delete {found} within {days}, the first in {about(first_s)}"


def _print_groups(view: SummaryView, top: int) -> None:
    found = view.result.summary
    groups, other = found.groups(), found.other
    shown = groups[:top]
    if found.by[0].name == "hour":
        shown = sorted(shown, key=lambda group: group.key)
    if other.dead_letters:
        shown = [*shown, other]
    chart = _CHART if output_console().width >= _WIDE else _CHART_NARROW
    columns = [
        Column("count", CellKind.NUMBER),
        Column("share", CellKind.SHARE, 2),
        *(Column(each.name, _kind(each), least=_DIMENSION) for each in found.by),
        Column(_OVER_TIME, CellKind.ID, 3),
        Column("first", CellKind.TIME, 1),
        Column("last", CellKind.TIME, 4),
        Column("example", CellKind.ID),
    ]
    rows = [[*_row(view, group, chart)] for group in shown]
    if _OVER_TIME not in print_table(columns, rows, aligned=True):
        width = duration(found.timeline.column_width(chart))
        print_line(f"each column of the chart is {width}, scaled to its row", "dim")
    if len(groups) > top:
        rest = sum(group.dead_letters for group in groups[top:])
        more = counted(len(groups) - top, "more group")
        print_line(f"… and {more} of {counted(rest, 'dead letter')} (--top)")
    if other.dead_letters:
        print_line(
            f"{_OTHER}: {counted(other.dead_letters, 'dead letter')} in groups that were met after "
            f"the first {MOST_GROUPS:,}; filters make them fewer"
        )


def _kind(each: Dimension) -> CellKind:
    """Values to be copied into a filter stay whole."""
    return CellKind.TEXT if each.name in _TEXTS or each.name.startswith("/") else CellKind.ID


def _row(view: SummaryView, group: Group, chart: int) -> list[Cell]:
    found = view.result.summary
    return [
        group.dead_letters,
        group.dead_letters / found.dead_letters,
        *_key_cells(view, group),
        bar_chart(found.timeline.columns(group.over_time, chart)),
        group.first or None,
        group.last or None,
        group.sample,
    ]


def _key_cells(view: SummaryView, group: Group) -> list[Cell]:
    if group is view.result.summary.other:
        return [Text(_OTHER, "yellow") for _ in view.result.summary.by]
    return [one_line(value or _NONE) for value in values_of(view, group)]


def _print_details(view: SummaryView) -> None:
    """Print the most frequent patterns of details, whichever group they are in."""
    found = view.result.summary
    groups = [*found.groups(), found.other]
    pairs = [(each, group) for group in groups for each in group.main_patterns() if each.pattern]
    pairs.sort(key=lambda pair: -pair[0].dead_letters)
    if not pairs:
        return
    columns = [
        Column("count", CellKind.NUMBER),
        # All but the first can be left out, so that details have room.
        *(Column(each.name, _kind(each), number) for number, each in enumerate(found.by)),
        Column("detail", least=_DETAIL),
    ]
    rows: list[list[Cell]] = []
    for pattern, group in pairs[:_PATTERNS_SHOWN]:
        detail = one_line(pattern.shown if view.display.reveal else mask(pattern.shown))
        rows.append([pattern.dead_letters, *_key_cells(view, group), detail])
    print_line()
    print_table(columns, rows, aligned=True)
    hidden = len(pairs) - _PATTERNS_SHOWN
    rest = sum(pattern.dead_letters for pattern, _ in pairs[_PATTERNS_SHOWN:])
    rest += sum(group.of_other_patterns for group in groups)
    if rest:
        more = counted(hidden, "more detail") if hidden > 0 else "more details"
        print_line(f"… and {more} of {counted(rest, 'dead letter')} (--by detail)")
    print_line()


def suggest_next(view: SummaryView) -> str:
    """Command to run next: contrast the largest group, or show one dead letter of it."""
    request, found = view.request, view.result.summary
    largest = (found.groups() or [found.other])[0]
    selection = request.selection
    for each, value in zip(found.by, largest.key, strict=False):
        shown = _shown(each, value, reveal=view.display.reveal)
        narrow = _FILTERS.get(each.name)
        # A value that is hidden, or that could drive the terminal, is not written into a command.
        if narrow is None or not value or shown != value or not value.isprintable():
            return show_command(largest.sample)
        selection = narrow(selection, value)
    return next_command("why", selection, include_done=request.include_done)


def _of_hour(selection: Selection, value: str) -> Selection:
    start = read_moment(value, 0)
    return replace(selection, failed=Window(start, start + HOUR_MS))


_FILTERS: Final[Mapping[str, Callable[[Selection, str], Selection]]] = {
    "reason": lambda selection, value: replace(selection, reasons=frozenset({value})),
    "event": lambda selection, value: replace(selection, events=frozenset({value})),
    "library": lambda selection, value: replace(selection, libraries=frozenset({value})),
    "stage": lambda selection, value: replace(selection, stages=frozenset({value})),
    "pointer": lambda selection, value: replace(selection, pointers=frozenset({value})),
    "source": lambda selection, value: replace(selection, sources=(read_source_filter(value),)),
    "hour": _of_hour,
}
"""Narrows a selection to one value of a dimension."""
