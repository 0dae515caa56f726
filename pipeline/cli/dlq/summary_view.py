"""A summary as people read it: tables, money, and what to look at next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.dlq.figures import Times, duration, percent
from pipeline.cli.dlq.next_command import further, show
from pipeline.cli.dlq.options import Asked
from pipeline.core.escape import escaped, one_line
from pipeline.core.masking import mask
from pipeline.core.time_window import Window, read_moment
from pipeline.dlq.blocked_revenue import HeldMoney
from pipeline.dlq.dimensions import HOUR_MS, Dimension
from pipeline.dlq.filters import Selection, read_source_filter
from pipeline.dlq.summary import MOST_GROUPS, Group, Summary
from pipeline.dlq.timeline import sparkline

_WIDE: Final = 100
_COLUMNS: Final = 24
_COLUMNS_NARROW: Final = 12
_KINDS_SHOWN: Final = 10
_NONE: Final = "(none)"
_OTHER: Final = "(other)"


def values_of(asked: Asked, found: Summary, group: Group) -> list[str | None]:
    """What a group has in each dimension, masked unless it is to be revealed; None for nothing."""
    return [
        (_value(each, value, group) if asked.reveal else each.masked(_value(each, value, group)))
        if value
        else None
        for each, value in zip(found.by, group.key, strict=True)
    ]


def _value(each: Dimension, value: str, group: Group) -> str:
    """A detail is shown as it is when all of the group are the same."""
    kind = group.kinds.get(value) if each.name == "detail" else None
    return kind.shown if kind else value


def print_summary(
    console: Console, asked: Asked, found: Summary, money: HeldMoney, top: int
) -> None:
    """All of it; there is at least one letter."""
    times = Times(found.first, found.last)
    groups = found.groups()
    span = f", refused {times.span()}" if times.span() else ""
    heading = f"{found.letters:,} letters in {asked.desk.captured.topic}{span}"
    console.print(Text(escaped(heading), "bold"))
    columns = _COLUMNS if console.width >= _WIDE else _COLUMNS_NARROW
    console.print(_groups(asked, found, groups[:top], times, columns))
    width = duration(found.timeline.column_width(columns))
    console.print(Text(f"each column of the chart is {width}, scaled to its row", "dim"))
    if len(groups) > top:
        rest = sum(group.letters for group in groups[top:])
        console.print(f"… and {len(groups) - top:,} more groups of {rest:,} letters (--top)")
    if found.other.letters:
        console.print(
            f"{_OTHER}: {found.other.letters:,} letters of groups that were met after the first "
            f"{MOST_GROUPS:,}; filters make them fewer"
        )
    if all(each.name != "detail" for each in found.by):
        _print_details(console, asked, found)
    if money.sentence():
        console.print(money.sentence())
    console.print(Text(escaped(f"next: {next_command(asked, found)}"), "bold"), soft_wrap=True)


def _groups(asked: Asked, found: Summary, groups: list[Group], times: Times, columns: int) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("letters", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found.by:
        table.add_column(Text(escaped(each.name)), overflow="fold")
    for name in ("over time", "first", "last", "such as"):
        table.add_column(name, no_wrap=True)
    if found.by[0].name == "hour":
        groups = sorted(groups, key=lambda group: group.key)
    for group in [*groups, *([found.other] if found.other.letters else [])]:
        table.add_row(
            f"{group.letters:,}",
            percent(group.letters / found.letters),
            *_shown_key(asked, found, group),
            sparkline(found.timeline.columns(group.over_time, columns)),
            times.text(group.first),
            times.text(group.last),
            group.sample,
        )
    return table


def _shown_key(asked: Asked, found: Summary, group: Group) -> list[Text]:
    if group is found.other:
        return [Text(_OTHER, "yellow") for _ in found.by]
    return [Text(one_line(value or _NONE)) for value in values_of(asked, found, group)]


def _print_details(console: Console, asked: Asked, found: Summary) -> None:
    """The most frequent kinds of details, whichever group they are of."""
    groups = [*found.groups(), found.other]
    kinds = [(kind, group) for group in groups for kind in group.main_kinds() if kind.folded]
    kinds.sort(key=lambda pair: -pair[0].letters)
    if not kinds:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("letters", justify="right", no_wrap=True)
    for each in found.by:
        table.add_column(Text(escaped(each.name)), overflow="fold")
    table.add_column("detail", overflow="fold")
    for kind, group in kinds[:_KINDS_SHOWN]:
        detail = one_line(kind.shown if asked.reveal else mask(kind.shown))
        table.add_row(f"{kind.letters:,}", *_shown_key(asked, found, group), Text(detail))
    console.print()
    console.print(table)
    hidden = len(kinds) - _KINDS_SHOWN
    rest = sum(kind.letters for kind, _ in kinds[_KINDS_SHOWN:])
    rest += sum(group.of_other_kinds for group in groups)
    if rest:
        more = f"{hidden:,} more kinds of details" if hidden > 0 else "more kinds of details"
        console.print(f"… and {more} of {rest:,} letters (--by detail)")
    console.print()


def next_command(asked: Asked, found: Summary) -> str:
    """What to look at next: what the largest group has in common, or one letter of it."""
    largest = (found.groups() or [found.other])[0]
    narrowed = asked.selection
    for each, value in zip(found.by, largest.key, strict=False):
        shown = value if asked.reveal else each.masked(value)
        narrow = _FILTERS.get(each.name)
        # A value that is hidden, or that could drive the terminal, is not written into a command.
        if narrow is None or not value or shown != value or not value.isprintable():
            return show(largest.sample)
        narrowed = narrow(narrowed, value)
    return further("why", narrowed, done_too=asked.done_too)


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
"""Grouping → the selection of one of its values only."""
