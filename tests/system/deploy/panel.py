"""A panel of the Grafana dashboard, as far as panels differ."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

PanelType = Literal["stat", "timeseries", "heatmap"]
SELECTED: Final = 'namespace=~"$namespace",job=~"$job"'
"""What the variables of the dashboard choose."""
GREEN: Final = "green"
ORANGE: Final = "orange"
RED: Final = "red"


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
    steps: tuple[tuple[float | None, str], ...] = ((None, GREEN),)
    """Thresholds of a `stat`: from which value on it has which colour."""
    texts: tuple[tuple[str, str], ...] = ()
    """Value of a `stat` → the word that stands for it."""
    if_absent: str = "no data"
    instant: bool = False


class Row(NamedTuple):
    """A heading with its panels."""

    title: str
    panels: tuple[Panel, ...]


def stat(  # noqa: PLR0917  one for each thing that a figure needs
    title: str,
    description: str,
    expr: str,
    unit: str,
    steps: tuple[tuple[float | None, str], ...],
    texts: tuple[tuple[str, str], ...] = (),
    if_absent: str = "no data",
    legend: str = "",
) -> Panel:
    """A tile of the first rows: one figure, coloured."""
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


def quantiles(metric: str) -> tuple[Query, ...]:
    """Queries for median, 90 % and 99 % of a histogram."""
    return tuple(
        Query(
            f"histogram_quantile({quantile},"
            f" sum by (le) (rate({metric}_bucket{{$s}}[$__rate_interval])))",
            legend,
        )
        for quantile, legend in (("0.5", "median"), ("0.9", "90 %"), ("0.99", "99 %"))
    )
