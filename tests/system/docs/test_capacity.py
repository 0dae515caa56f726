"""docs/capacity.md shows what `make capacity` prints, and the figures that it starts from."""

from __future__ import annotations

from functools import cache
from typing import Final

import pytest
import yaml
from click.testing import CliRunner

from tests.bench.capacity import CHART_LAG, WIDTH, capacity
from tests.bench.figures import FIGURES
from tests.bench.fluid import STABLE_S, STEP_S
from tests.system.docs.shell import commands
from tests.system.docs.snippets import blocks, prose, table, text

_PAGE: Final = "docs/capacity.md"
_ARGUMENTS: Final = "ARGS="
_SPEED: Final = f"{FIGURES.per_worker // 1000 * 1000:,.0f}"


@cache
def _printed(*arguments: str) -> str:
    ran = CliRunner().invoke(capacity, arguments, env={"COLUMNS": str(WIDTH)})
    assert ran.exit_code == 0, ran.output
    return "".join(f"{line.rstrip()}\n" for line in ran.output.splitlines())


def test_page_shows_the_tables_as_they_are_printed() -> None:
    """Each output block is part of what the script prints; if not, copy it from there."""
    printed = _printed()
    shown = [block.text for block in blocks(_PAGE, "text")]
    assert len(shown) == 2
    for each in shown:
        assert each in printed


def test_every_example_of_the_script_runs() -> None:
    """The arguments that the page gives to `make capacity` exist, and give tables of their own."""
    usual = _printed()
    given = [
        word.removeprefix(_ARGUMENTS).split()
        for block in blocks(_PAGE, "sh")
        for command in commands(block.text)
        for word in (*command.words, *(f"ARGS={v}" for v in command.variables.values()))
        if word.startswith(_ARGUMENTS)
    ]
    assert given
    assert all(_printed(*arguments) != usual for arguments in given)


def test_page_states_the_figures_that_are_calculated_with() -> None:
    """The page's figures are those of the script, and say when and on what they were measured."""
    raw_percent, percent = FIGURES.raw_packed * 100, FIGURES.output_packed * 100
    assert [row[1] for row in table(_PAGE, "", "")] == [
        f"{FIGURES.cpu_us:.0f} µs",
        _SPEED,
        f"{FIGURES.raw_bytes} bytes, compressed with lz4 to {raw_percent:.0f} %",
        f"{FIGURES.output_bytes:,} bytes, compressed to {percent:.0f} %",
        f"{FIGURES.memory_mb} MB",
    ]
    assert f"Measured {FIGURES.measured} " in " ".join(prose(_PAGE).split())


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/operate.md", _PAGE])
def test_each_page_states_the_same_speed(page: str) -> None:
    """Events per second of one processor are the same wherever they are mentioned."""
    assert f"{_SPEED} events" in " ".join(text(page).split())


def test_simulated_chart_is_the_real_one() -> None:
    """KEDA scales in the simulation as it does with the Helm chart's defaults."""
    keda = yaml.safe_load(text("deploy/helm/track-pipeline/values.yaml"))["keda"]
    assert keda["lagThreshold"] == CHART_LAG
    assert keda["pollingInterval"] == STEP_S
    assert keda["stabilizationSeconds"] == STABLE_S
