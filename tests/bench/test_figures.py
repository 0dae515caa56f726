"""The arithmetic of `make bench`, and how its figures are written."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from tests.bench.growth import Step, is_faster, rows_of, steps_of
from tests.bench.latency import percentile, summary_ms
from tests.bench.results import WIDTH, Column, Goal, Report, Result
from tests.bench.rounds import run_rounds, spread
from tests.bench.running import Sample, steady

_RESULT = Result(
    "title [of a run]",
    (Column("variant"), Column("CPU", ".2f"), Column("×", ".2f")),
    [["worker [python]", 12.345, None]],
    [Goal("worker", 2.604, 2.6), Goal("memory", 251.0, 250, ".0f", " MB")],
    ["a note"],
)


def test_variants_run_in_turn() -> None:
    """Each round runs every variant once, so that a slow minute affects all of them."""
    order: list[str] = []

    def variant(name: str) -> int:
        order.append(name)
        return len(order)

    measured = run_rounds({"a": lambda: variant("a"), "b": lambda: variant("b")}, 2)
    assert order == ["a", "b", "a", "b"]
    assert measured == {"a": [1, 3], "b": [2, 4]}


def test_ratios_are_compared_round_by_round() -> None:
    """A round in which the machine is half as fast does not change the ratio."""
    assert spread([20.0, 40.0, 22.0], [10.0, 20.0, 10.0]) == (2.0, 2.0, 2.2)
    assert spread([20.0], [10.0]).extent == "2.00–2.00"


@pytest.mark.parametrize(
    ("measured", "is_met"), [(2.6, True), (2.604, True), (2.606, False), (1.0, True)]
)
def test_goal_is_judged_by_the_printed_figure(measured: float, *, is_met: bool) -> None:
    """No table shows a figure that equals its limit and has missed it."""
    goal = Goal("worker", measured, 2.6)
    assert goal.is_met is is_met
    assert ("MISSED" in goal.sentence()) is not is_met


def test_json_has_unrounded_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """One document on standard output has what the tables round; tables go to standard error."""
    report = Report(as_json=True)
    report.add(_RESULT)
    report.finish()
    captured = capsys.readouterr()
    (result,) = json.loads(captured.out)["results"]
    assert result["rows"] == [{"variant": "worker [python]", "CPU": 12.345, "×": None}]
    assert [goal["met"] for goal in result["goals"]] == [True, False]
    assert "title [of a run]" in captured.err


def test_tables_keep_brackets_and_fit_the_width() -> None:
    """Text in brackets is no style, and no line is wider than a page of the documents."""
    report = Report()
    report.console = Console(file=io.StringIO(), width=WIDTH)
    report.add(_RESULT)
    assert isinstance(report.console.file, io.StringIO)
    printed = report.console.file.getvalue()
    assert "worker [python]" in printed
    assert "12.35" in printed or "12.34" in printed
    assert "memory: 251 MB (goal ≤ 250 MB): MISSED" in printed
    assert max(map(len, printed.splitlines())) <= WIDTH


def test_start_of_a_process_is_not_measured() -> None:
    """Figures begin at the first commit, whatever was used before it."""
    samples = [Sample(5000, 3.0, 10.0, 0), Sample(15_000, 3.5, 11.0, 0)]
    assert steady([samples], 80.0) == (50.0, 10_000.0, 80.0)


def test_two_processes_are_measured_while_both_run() -> None:
    """Commits before the other process has committed do not count."""
    first = [Sample(1000, 1.0, 1.0, 0), Sample(2000, 1.1, 2.0, 0), Sample(4000, 1.3, 4.0, 0)]
    second = [Sample(1000, 1.0, 1.5, 0), Sample(3000, 1.2, 3.5, 0)]
    figures = steady([first, second], 1.0)
    assert figures.cpu_us == pytest.approx(100.0)  # 0.4 s for 4,000 records
    assert figures.per_second == pytest.approx(1600.0)  # in 2.5 s


def test_too_few_records_are_said_to_be_too_few() -> None:
    """A topic that fits into one transaction gives no figure but a sentence."""
    with pytest.raises(SystemExit, match="take more --events"):
        steady([[Sample(100, 1.0, 1.0, 0)]], 1.0)
    with pytest.raises(SystemExit, match="take more --events"):
        steady([[]], 1.0)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (0.999, 100), (0, 1)])
def test_percentile_is_a_value_that_was_measured(share: float, expected: int) -> None:
    """The 99th percentile of the numbers 1 to 100 is 99."""
    assert percentile(range(1, 101), share) == expected


def test_latencies_are_summarised_in_milliseconds() -> None:
    """One slow event among a thousand is the largest, and not p99.9."""
    latency = summary_ms([0.01] * 999 + [2.0], 0.005)
    assert (latency.p50, latency.p99, latency.p999) == (10.0, 10.0, 10.0)
    assert (latency.largest, latency.sender_late) == (2000.0, 5.0)


@pytest.mark.parametrize(
    ("costs", "faster"),
    [
        ([1.0, 10.0, 100.0], False),  # as its size
        ([1.0, 2.0, 3.0], False),  # slower
        ([1.0, 10.9, 100.0], False),  # noise
        ([1.0, 10.0, 120.0], True),  # the last step
        ([1.0, 100.0, 100.0], True),  # the first one
    ],
)
def test_growth_beyond_the_size_is_marked(costs: list[float], *, faster: bool) -> None:
    """Each step is compared with the one before, with a tolerance of a tenth."""
    steps = [Step(size, cost, cost) for size, cost in zip((1, 10, 100), costs, strict=True)]
    assert is_faster(steps) is faster
    assert ("YES" in [row[5] for row in rows_of("bytes", steps)]) is faster


def test_cost_of_a_topic_is_known_at_each_number_of_records() -> None:
    """One run over the longest topic gives the cost of all shorter ones."""
    samples = [Sample(each * 1000, each * 0.01, each, 50 + each) for each in range(1, 101)]
    steps = steps_of(samples, [10_000, 100_000])
    assert [step.size for step in steps] == [9_000, 99_000]
    assert [step.cpu_us for step in steps] == pytest.approx([10.0, 10.0])
    assert [step.rss_mb for step in steps] == [60, 150]
    assert next(rows_of("records", steps))[3] is None
