"""Draws the recorded panels as one picture, as Grafana would show them.

The second half of `make panels`. It runs with the packages of `make site`, without the project's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, MultipleLocator

_INCHES: Final = (15.0, 11.6)
_DOTS_PER_INCH: Final = 100
_PAGE, _PANEL, _TEXT, _FAINT = "#111217", "#181b1f", "#ccccdc", "#2c3036"
_COLORS: Final = (
    "#73bf69",
    "#5794f2",
    "#f2495c",
    "#ff9830",
    "#b877d9",
    "#fade2a",
    "#8ab8ff",
    "#37872d",
    "#e02f44",
    "#ffa6b0",
)
_STEPS: Final = {"green": "#299c46", "orange": "#d98024", "red": "#d44a3a", "blue": "#3274d9"}
_HEADROOM: Final = 1.45
"""Space for the legend, as a multiple of the largest value."""
_TICKS: Final = (86_400, 3_600, 600, 300, 60)
"""Distances of ticks on an axis of seconds, where it is longer than the smallest."""
_FEW: Final = 8
"""Series of a stacked panel that keep their names; the others are added up."""


def _shown(value: float, unit: str) -> str:
    match unit:
        case "percentunit":
            return f"{value:.1%}" if value < 0.1 else f"{value:.0%}"
        case "s":
            return _duration(value)
        case "cps":
            return f"{value:g}/s"
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s" if seconds >= 1 or not seconds else f"{seconds * 1000:.3g} ms"


def _frame(axes: Any, title: str) -> None:
    axes.set_facecolor(_PANEL)
    axes.set_title(title, loc="left", color=_TEXT, fontsize=10, fontweight="bold")
    for side in axes.spines.values():
        side.set_color(_FAINT)
    axes.tick_params(colors=_TEXT, labelsize=8)
    axes.grid(visible=True, color=_FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def _stat(axes: Any, panel: dict[str, Any]) -> None:
    values = [values[-1][1] for values in (each["values"] for each in panel["series"])]
    value = values[0] if values else None
    color = "green"
    for step in panel["steps"]:
        if value is None or step["value"] is None or value >= step["value"]:
            color = step["color"]
    if value is None:
        text = panel["if_absent"]
    else:
        text = panel["texts"].get(f"{value:g}") or _shown(value, panel["unit"])
    axes.set_facecolor(_STEPS[color])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.42, text, ha="center", va="center", color="white", fontsize=21)
    axes.text(0.04, 0.86, panel["title"], ha="left", va="center", color="white", fontsize=9)
    for side in axes.spines.values():
        side.set_color(_PAGE)


def _by_size(series: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The largest series, and one that is the sum of all others."""
    largest = sorted(series, key=lambda each: -sum(value for _, value in each["values"]))
    rest = largest[_FEW:]
    if not rest:
        return largest
    total: dict[float, float] = {}
    for each in rest:
        for at, value in each["values"]:
            total[at] = total.get(at, 0.0) + value
    others = {"name": f"{len(rest)} others", "values": sorted(total.items())}
    return [*largest[:_FEW], others]


def _chart(axes: Any, panel: dict[str, Any]) -> None:
    _frame(axes, panel["title"])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _shown(value, panel["unit"])))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
    if panel["stacked"] == "none":
        for each, color in zip(panel["series"], _COLORS * 3, strict=False):
            points = [(at, value) for at, value in each["values"] if value == value]  # noqa: PLR0124
            axes.plot(*zip(*points, strict=True), color=color, linewidth=1.3, label=each["name"])
        axes.set_ylim(0, axes.get_ylim()[1] * _HEADROOM)
    else:
        _stack(axes, panel)
    top = axes.get_ylim()[1]
    if panel["unit"] == "s" and top >= 2 * _TICKS[-1]:
        distance = next(each for each in _TICKS if top >= 2 * each)
        axes.yaxis.set_major_locator(MultipleLocator(distance))
    place = "lower left" if panel["stacked"] == "percent" else "upper left"
    legend = axes.legend(
        loc=place, fontsize=7, framealpha=0.6, facecolor=_PANEL, edgecolor=_FAINT, ncols=2
    )
    for text in legend.get_texts():
        text.set_color(_TEXT)


def _stack(axes: Any, panel: dict[str, Any]) -> None:
    series = _by_size(panel["series"])
    moments = sorted({at for each in series for at, _ in each["values"]})
    rows = [[dict(each["values"]).get(at, 0.0) for at in moments] for each in series]
    if panel["stacked"] == "percent":
        sums = [sum(column) or 1.0 for column in zip(*rows, strict=True)]
        rows = [[value / total for value, total in zip(row, sums, strict=True)] for row in rows]
        axes.set_ylim(0, 1)
    names = [each["name"] for each in series]
    axes.stackplot(moments, rows, labels=names, colors=_COLORS[: len(rows)], alpha=0.85)
    axes.set_ylim(0, axes.get_ylim()[1] * (1 if panel["stacked"] == "percent" else _HEADROOM))


def draw(panels: list[dict[str, Any]], path: Path) -> None:
    """Write the picture."""
    mpl.use("Agg")
    figure = plt.figure(figsize=_INCHES, facecolor=_PAGE)
    edges = {"left": 0.045, "right": 0.985}
    tiles = figure.add_gridspec(1, 6, wspace=0.04, top=0.985, bottom=0.915, **edges)
    grid = figure.add_gridspec(3, 3, hspace=0.3, wspace=0.18, top=0.875, bottom=0.035, **edges)
    stats = [panel for panel in panels if panel["type"] == "stat"]
    charts = [panel for panel in panels if panel["type"] == "timeseries" and panel["series"]]
    for column, panel in enumerate(stats):
        _stat(figure.add_subplot(tiles[0, column]), panel)
    for number, panel in enumerate(charts[:9]):
        _chart(figure.add_subplot(grid[divmod(number, 3)]), panel)
    figure.savefig(path, dpi=_DOTS_PER_INCH, facecolor=_PAGE)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
