"""What dlq commands print, without a broker: sentences, plans and rows in narrow terminals."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest
from rich.cells import cell_len

from pipeline.cli.dlq.notes import blocked_sentence, note_coverage
from pipeline.cli.dlq.options import Display
from pipeline.cli.dlq.plan_view import PlanView
from pipeline.cli.dlq.summary_view import SummaryView
from pipeline.core.record import Role
from pipeline.dlq.blocked_revenue import BlockedRevenue
from pipeline.dlq.candidates import RedrivePlan
from pipeline.dlq.filters import EVERYTHING, Selection
from pipeline.dlq.ledger import Action
from pipeline.dlq.reader import Coverage
from pipeline.dlq.redrive_plan import RedriveJob, RedriveOptions
from pipeline.dlq.request import DlqRequest
from pipeline.dlq.summary import Summary, SummaryResult
from pipeline.dlq.targets import WriteTargets
from pipeline.settings.model import load_settings
from tests.unit.cli.terminal import as_terminal
from tests.unit.dlq.dead_letters import SETTINGS, dead_letter_of, event

AMOUNT = "123456789012345678.0000000000000000001"
TYPO = "--reason revenue_invald"
MASKED = Display(reveal=False, as_json=False)


def _request(selection: Selection = EVERYTHING) -> DlqRequest:
    return DlqRequest(load_settings(None, {}, {}), selection=selection)


def _revenue(*amounts: object) -> BlockedRevenue:
    revenue = BlockedRevenue(SETTINGS)
    for amount in amounts:
        revenue.add(dead_letter_of({"event": "A", "properties": {"revenue": amount}}))
    return revenue


@pytest.mark.parametrize(
    ("amounts", "sentence"),
    [
        ((), ""),
        ((1234.5,), "blocked revenue: 1,234.50 USD"),
        ((0.1, 0.205), "blocked revenue: 0.30 USD"),
        (("x",), "blocked revenue: 1 amount without a usable value or currency"),
        (
            (1, "x", "y"),
            "blocked revenue: 1.00 USD and 2 amounts without a usable value or currency",
        ),
    ],
)
def test_blocked_revenue_is_rounded_in_a_sentence(
    amounts: tuple[object, ...], sentence: str
) -> None:
    """Sums are rounded for people; the JSON document keeps all digits."""
    revenue = _revenue(*amounts)
    assert blocked_sentence(revenue) == sentence
    if 0.205 in amounts:
        assert revenue.to_dict()["blocked"] == {"USD": "0.305"}


@pytest.mark.parametrize(
    ("selection", "coverage", "lines"),
    [
        (EVERYTHING, Coverage(), ["No dead letters in track.dead-letter."]),
        (
            Selection(events=frozenset({"none"})),
            Coverage(14_514),
            ["No dead letters match these filters (14,514 in track.dead-letter)."],
        ),
        (
            Selection(offsets={0: (3, 5)}),
            Coverage(2),
            ["No dead letters match these filters (2 read in track.dead-letter)."],
        ),
        (
            EVERYTHING,
            Coverage(3, Counter({Action.REDRIVEN: 2, Action.DISCARDED: 1})),
            [
                "left out: 1 discarded, 2 redriven (--all shows them)",
                "No dead letters are pending (3 in track.dead-letter).",
            ],
        ),
        (
            Selection(reasons=frozenset({"revenue_invald"})),
            Coverage(3),
            [
                "No dead letters match these filters (3 in track.dead-letter).",
                f"{TYPO} is not a reason of track-pipeline; did you mean revenue_invalid?",
            ],
        ),
    ],
)
def test_an_empty_selection_is_explained(
    selection: Selection, coverage: Coverage, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that finds nothing says how much it read, what it left out, and what is odd."""
    note_coverage(_request(selection), coverage, 0)
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", lines)


def _view(plan: RedrivePlan, **options: Any) -> PlanView:
    targets = SimpleNamespace(
        topic="track.dead-letter",
        outputs={Role.ENRICHED: "track.enriched", Role.DEAD_LETTER: "track.dead-letter"},
    )
    unused: Any = SimpleNamespace(target="track.enriched")
    job = RedriveJob(
        load_settings(None, {}, {}),
        RedriveOptions(**options),
        rules=unused,
        targets=cast("WriteTargets", targets),
        reader=unused,
        dead_letters=unused,
        id="redrive-20261123T023109Z-5e3a",
        now=1,
        note="",
    )
    return PlanView(job, plan, MASKED)


def _plan(reasons: int) -> RedrivePlan:
    plan = RedrivePlan(send=3)
    for number in range(reasons):
        for _ in range(reasons - number):
            plan.not_sent.add(f"still fails: reason_{number:02}")
    plan.revenue.add(f"2026-11-23 USD {AMOUNT}")
    return plan


@pytest.mark.parametrize("width", [80, 120])
def test_plan_in_a_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Amounts are never cut, and reasons beyond the first twenty are counted."""
    terminal = as_terminal(monkeypatch, width)
    _view(_plan(23)).print()
    lines = terminal.lines()
    assert "revenue      123,456,789,012,345,678.00 USD" in lines
    assert sum(line.endswith("still fails: reason_19") for line in lines) == 1
    assert lines[-1] == "… and 3 more reasons of 6 dead letters (--json)"
    assert all(len(line) <= width for line in lines)


def test_plan_with_few_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    """All reasons are listed, and no more are announced."""
    _view(_plan(20)).print()
    out = capsys.readouterr().out
    assert out.count("still fails") == 20
    assert "more reasons" not in out


def test_plan_as_json_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    """The document has all digits and all reasons."""
    view = _view(_plan(23))._replace(display=Display(reveal=False, as_json=True))
    view.print()
    out = capsys.readouterr().out
    assert f"{AMOUNT} USD" in out
    assert out.count("still fails") == 23


def _summary_view(*dead_letters: tuple[str, int], by: tuple[str, ...]) -> SummaryView:
    """A view of so many dead letters of each library."""
    summary = Summary(by)
    for library, number in dead_letters:
        name, _, version = library.rpartition("/")
        context = {"library": {"name": name, "version": version}}
        for _ in range(number):
            summary.add(dead_letter_of(event(context=context, properties={"revenue": "x"})))
    result = SummaryResult(summary, _revenue(), Coverage())
    return SummaryView(_request(EVERYTHING), Display(reveal=False, as_json=False), result)


def test_ids_of_a_summary_stay_whole_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of lower priority make room; what is said about a column goes with it."""
    library = "@segment/analytics-node/2.2.1"
    view = _summary_view((library, 2), by=("reason", "library"))
    narrow = as_terminal(monkeypatch, 80)
    with click.Context(click.Command("summary")):
        view.print(10)
    text = "\n".join(narrow.lines())
    table = [line for line in narrow.lines() if library in line and not line.startswith("next")]
    assert table
    assert all(cell_len(line) <= 80 for line in table)
    assert f"revenue_invalid  {library}" in text
    assert "each column of the chart" not in text
    wide = as_terminal(monkeypatch, 200)
    with click.Context(click.Command("summary")):
        view.print(10)
    assert "each column of the chart" in "\n".join(wide.lines())


def test_one_of_a_kind_is_singular(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers and nouns agree."""
    with click.Context(click.Command("summary")):
        _summary_view(("a/1", 2), ("b/1", 1), by=("library",)).print(1)
    assert "… and 1 more group of 1 dead letter (--top)" in capsys.readouterr().out
