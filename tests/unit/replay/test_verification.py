"""Whether outputs that are missing, doubled or foreign are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from pipeline.core.coordinates import Source
from pipeline.core.counts import OutcomeCounts
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.record import Record, Role
from pipeline.core.replay_checkpoint import ReplayCheckpoint, latest_checkpoint, read_checkpoint
from pipeline.errors import DataLossError
from pipeline.ports import Ranges
from pipeline.reconcile.disk_set import DiskSet
from pipeline.replay.file_source import Archive, PlannedFile
from pipeline.replay.plan import Part, PlanRecord, State, Target, read_plan
from pipeline.replay.verification import Verification, compare_counts, name_of, noting, read_back
from tests.unit.replay.plans import plan_of

PLAN = plan_of(
    Part(0, 10, 20),
    Part(1, 0, 5),
    outputs={Role.ENRICHED: Target("good", {0: 3}), Role.DEAD_LETTER: Target("bad")},
    slots=2,
)
EXTENTS = {"good": {0: (0, 100)}, "bad": {0: (0, 100)}}


class _Topics:
    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self.asked: Ranges = {}

    def read(self, ranges: Ranges) -> Iterator[Record]:
        """See `ports.Reader`."""
        self.asked = ranges
        yield from self._records


def _good(source: str, replay: str = "r1", partition: int = 0) -> Record:
    headers = ((TrackHeader.SOURCE, source.encode()), (TrackHeader.REPLAY, replay.encode()))
    return Record(b"{}", b"k", headers, 1, "good", partition, 0)


def _bad(source: str, reason: str) -> Record:
    headers = (
        (DlqHeader.SOURCE, source.encode()),
        (DlqHeader.REPLAY, b"r1"),
        (DlqHeader.REASON, reason.encode()),
    )
    return Record(b"{}", b"k", headers, 1, "bad", 0, 0)


def _verified(*records: Record, **totals: int) -> Verification:
    wanted = OutcomeCounts(
        enriched=totals.pop("enriched", 0),
        dead_letters=Counter(totals),
    )
    return compare_counts(read_back(_Topics(records), PLAN, EXTENTS), wanted)


def test_outputs_that_were_counted_add_up() -> None:
    """The topics hold what was counted; outputs of other replays do not count."""
    result = _verified(
        _good("raw/0/10"),
        _good("raw/0/11/0"),
        _good("raw/0/11/1"),
        _good("raw/0/10", replay="other"),
        _bad("raw/1/0", "invalid_json"),
        enriched=3,
        invalid_json=1,
    )
    assert (result.ok, result.problems) == (True, [])


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        ([_good("raw/0/10")], "the topics hold 1 enriched events, but 2 were written"),
        (
            [_good("raw/0/10"), _good("raw/0/10")],
            "1 outputs are duplicates, for example of raw/0/10",
        ),
        (
            [_good("raw/0/11/1"), _good("raw/0/11/0")],
            "1 outputs are duplicates, for example of raw/0/11/0",
        ),
        ([_good("raw/0/9"), _good("raw/0/10")], "1 outputs are not of the plan"),
        ([_good("other/0/10"), _good("raw/0/10")], "1 outputs are not of the plan"),
        ([_good("nothing"), _good("raw/0/10")], "1 outputs are not of the plan"),
        (
            [_good("raw/0/10"), _good("raw/0/11"), _bad("raw/1/1", "invalid_json")],
            "the topics hold 1 dead letters for invalid_json, but 0 were written",
        ),
    ],
)
def test_every_fault_is_named_with_an_example(records: list[Record], problem: str) -> None:
    """Missing, duplicated and foreign outputs are problems, each with an example."""
    result = _verified(*records, enriched=2)
    assert not result.ok
    assert any(problem in each for each in result.problems)


def test_sources_are_in_order_within_each_output_partition() -> None:
    """A batch's items have one key; records of one partition with other keys go elsewhere."""
    result = _verified(_good("raw/0/12"), _good("raw/0/11", partition=1), enriched=2)
    assert result.ok


FILES = (PlannedFile("a", "/a", 1, "", 4), PlannedFile("b:c", "/b:c", 1, "", 4))


def _verified_files(sources: Sequence[str], *, in_order: bool) -> Verification:
    plan = replace(PLAN, raw_topic="", slots=1, archive=Archive(FILES, None, 3, in_order))
    topics = _Topics([_good(source) for source in sources])
    with noting(plan, None, ordered=True) as noted:
        result = read_back(topics, plan, EXTENTS, noted=noted)
    return compare_counts(result, OutcomeCounts(enriched=len(sources)))


@pytest.mark.parametrize(
    ("sources", "in_order"),
    [
        (["a:1", "a:2:0", "a:2:1", "b:c:1", "raw/0/7", "b:c:2", "raw/2/1", "raw/0/8"], True),
        (["raw/0/8", "raw/0/7", "a:1", "raw/0/7/0", "raw/0/7/1", "other/0/7"], False),
    ],
)
def test_lines_of_files_add_up(sources: list[str], in_order: bool) -> None:  # noqa: FBT001  a parameter
    """Lines are in the order of the files; archived coordinates are, too, or are noted."""
    assert _verified_files(sources, in_order=in_order).problems == []


@pytest.mark.parametrize(
    ("sources", "in_order", "problem"),
    [
        (["a:1", "a:2", "a:1"], True, "duplicates, for example of a:1"),
        (["b:c:1", "a:4"], True, "duplicates, for example of a:4"),
        (["a:1:1", "a:1:0"], False, "duplicates, for example of a:1:0"),
        (["raw/0/1", "raw/0/1"], True, "duplicates, for example of raw/0/1"),
        (["raw/0/3", "raw/0/1", "raw/0/3"], False, "duplicates, for example of raw/0/3"),
        (["a:5"], True, "not of the plan, for example a:5"),
        (["b:1"], False, "not of the plan, for example a source that can't be read"),
    ],
)
def test_faults_in_outputs_of_files_are_named(
    sources: list[str],
    in_order: bool,  # noqa: FBT001  a parameter
    problem: str,
) -> None:
    """Duplicates and outputs of other lines are found, with an example."""
    (found,) = _verified_files(sources, in_order=in_order).problems
    assert found == f"1 outputs are {problem}"


def test_earlier_contents_of_a_topic_are_not_read() -> None:
    """What was in a topic before is not read; what was deleted since can't be verified."""
    topics = _Topics([])
    read_back(topics, PLAN, EXTENTS)
    assert topics.asked == {("good", 0): (3, 100), ("bad", 0): (0, 100)}
    with pytest.raises(DataLossError, match="retention has deleted"):
        read_back(topics, PLAN, EXTENTS | {"good": {0: (50, 100)}})


def test_positions_of_a_slot_are_rebuilt_from_its_outputs() -> None:
    """The outputs of a slot tell its positions, and how many records have an output."""
    records = [_good("raw/0/10"), _good("raw/1/2/0"), _good("raw/1/2/1"), _good("raw/1/3")]
    result = read_back(_Topics(records), PLAN, EXTENTS, slot=1)
    assert result.positions == {1: 4}
    assert (result.found.enriched, result.found.records) == (3, 2)


def test_records_of_files_with_an_output_are_noted_once() -> None:
    """Each record of a file that has an output is noted, to rebuild lost offsets."""
    plan = replace(PLAN, raw_topic="", slots=1, archive=Archive(FILES, None, 3, in_order=True))
    sources = ["a:1:0", "a:1:1", "raw/1/7", "raw/0/9/0", "raw/0/9/1"]
    with DiskSet() as noted:
        topics = _Topics([_good(source) for source in sources])
        result = read_back(topics, plan, EXTENTS, slot=0, noted=noted)
        records = (Source("a", -1, 1), Source("raw", 1, 7), Source("raw", 0, 9), Source("a", -1, 2))
        assert [name_of(source) in noted for source in records] == [True, True, True, False]
    assert (result.found.records, result.found.enriched, result.duplicated) == (3, 5, 0)


def test_plans_and_checkpoints_are_read_as_they_were_written() -> None:
    """Both are stored outside of the program; anything else is read as nothing."""
    for plan in (PLAN, replace(PLAN, archive=Archive(FILES, 5, 3, in_order=True))):
        record = PlanRecord(plan, State.STARTED, 5, "me@here")
        assert read_plan(record.encode()) == record
    assert read_plan(b'{"plan": 1}') is None
    note = ReplayCheckpoint(
        "o", "me", 1, "begun", 7, OutcomeCounts(1, 2, 3, 4, Counter(a=5), Counter(b=6))
    )
    assert read_checkpoint(note.encode()) == note
    assert read_checkpoint("1;a;base=0") is None
    assert read_checkpoint(note.encode().replace('"a":5', '"a":"5"')) is None
    older = ReplayCheckpoint("o", "me", 1, "begun", 6, OutcomeCounts())
    assert latest_checkpoint([older, None, note]) == note


@pytest.mark.parametrize(
    ("sources", "duplicated"),
    [(["raw/0/9", "other/7/1", "raw/0/2"], 0), (["raw/0/9", "raw/0/9"], 1)],
)
def test_origins_may_be_in_any_order(sources: Sequence[str], duplicated: int) -> None:
    """Sources that are origins may be of any topic and in any order, but each only once."""
    with noting(PLAN, None, ordered=False) as noted:
        topics = _Topics([_good(source) for source in sources])
        result = read_back(topics, PLAN, EXTENTS, ordered=False, noted=noted)
    assert compare_counts(result, OutcomeCounts(enriched=len(sources))).duplicated == duplicated
    assert result.ok == (not duplicated)
