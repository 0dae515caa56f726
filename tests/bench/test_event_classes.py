"""What `make bench` measures is what its tables say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import Output, Role
from tests.bench.__main__ import bench
from tests.bench.event_classes import DEAD_LETTERS, PLAIN, EventClass, event_classes
from tests.bench.event_sizes import SIZES, sized_events

_ROOT: Final = Path(__file__).resolve().parents[2]
_CLASSES: Final = dict(event_classes(40))


def _outputs(each: EventClass) -> list[Output]:
    process = Processor(ContractSettings(), Identity(app="bench", group="bench")).process
    return [output for record in each.records for output in process(record, 1_900_000_000_000)]


@pytest.mark.parametrize("name", _CLASSES)
def test_each_class_has_the_outcome_of_its_name(name: str) -> None:
    """Classes of dead letters give only these, all other classes only enriched events."""
    each = _CLASSES[name]
    role = Role.DEAD_LETTER if name in DEAD_LETTERS else Role.ENRICHED
    assert [output.role for output in _outputs(each)] == [role] * each.events
    assert each.events == 40


def test_plain_events_need_no_rule() -> None:
    """A plain event leaves without a warning, and no other class has the same bytes."""
    for output in _outputs(_CLASSES[PLAIN]):
        assert "warnings" not in json.loads(output.value or b"")["enrichment"]
    first = [each.records[0].value for each in _CLASSES.values()]
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("size", SIZES)
def test_events_have_the_size_that_is_asked_for(size: int) -> None:
    """Sizes are right to a tenth, and all events are good ones."""
    each = dict(sized_events(10))[str(size)]
    assert each.mean_bytes == pytest.approx(size, rel=0.1)
    assert {output.role for output in _outputs(each)} == {Role.ENRICHED}


def _documents() -> list[Path]:
    return [*_ROOT.glob("*.md"), *(_ROOT / "docs").rglob("*.md")]


def test_documents_name_parts_that_exist() -> None:
    """Every `make bench ARGS=…` of a document has arguments that the command takes."""
    pattern = re.compile(r'make bench ARGS=(?:"([^"]+)"|([a-z-]+))')
    found = {
        (double or single).strip()
        for path in _documents()
        for double, single in pattern.findall(path.read_text(encoding="utf-8"))
    }
    assert found
    for arguments in found:
        given = re.sub(r"--against \S+", "", arguments).split()  # another checkout
        assert bench.make_context("bench", given).params["part"]
