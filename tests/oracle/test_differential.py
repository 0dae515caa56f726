"""Today's core means what the core of contract version 1 meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import corpus
from tests.oracle.check import faults
from tests.oracle.compare import compare
from tests.oracle.corpus import Case
from tests.oracle.difference import Difference
from tests.oracle.differences import DIFFERENCES
from tests.support import Digits, raw
from tests.unit.core import strategies as some

SOURCES: Final[dict[str, Callable[[], Iterator[Case]]]] = {
    "hostile": corpus.hostile,
    "values": corpus.values,
    "files": corpus.files,
    "generated": lambda: corpus.generated(7, 400),
    "differences": lambda: (case for entry in DIFFERENCES for case in entry.examples),
    "found": corpus.found,
}
NAMES: Final = [difference.name for difference in DIFFERENCES]


@pytest.mark.parametrize("source", SOURCES)
def test_known_records_have_the_outcomes_of_version_1(source: str) -> None:
    """Every record of the corpus gives what version 1 gave, but for the named differences."""
    found = {case.name: wrong for case in SOURCES[source]() if (wrong := faults(case))}
    assert found == {}


@given(some.event_texts, some.header_lists, some.settings, st.none() | st.integers(-1, 2**62))
def test_nearly_valid_events_have_the_outcomes_of_version_1(
    value: bytes,
    headers: list[tuple[str, bytes | None]],
    settings: dict[str, Any],
    timestamp: int | None,
) -> None:
    """A nearly valid event gives what version 1 gave, under any settings."""
    assert faults(Case("event", raw(value, headers, timestamp=timestamp), settings)) == []


@given(some.envelopes(), some.settings)
def test_batches_have_the_outcomes_of_version_1(
    envelope: tuple[bytes, list[bytes], dict[str, bytes]], settings: dict[str, Any]
) -> None:
    """A batch gives what version 1 gave, in the same order."""
    assert faults(Case("batch", raw(envelope[0]), settings)) == []


@given(some.junk)
def test_bytes_of_any_kind_have_the_outcomes_of_version_1(value: bytes) -> None:
    """Bytes of any kind give what version 1 gave."""
    assert faults(Case("junk", raw(value))) == []


@pytest.mark.parametrize("entry", DIFFERENCES, ids=NAMES)
def test_each_difference_is_needed(entry: Difference) -> None:
    """The examples of a difference differ without it, and with it they are explained."""
    others = [other for other in DIFFERENCES if other != entry]
    assert entry.examples
    for case in entry.examples:
        assert compare(case) == []
        assert compare(case, others) != []


def test_differences_have_names_of_their_own() -> None:
    """Each difference has a name and a reason, and changes something."""
    assert len(set(NAMES)) == len(NAMES)
    assert all(each.why and (each.resend or each.change) for each in DIFFERENCES)


@pytest.mark.parametrize(
    ("sent", "settings"),
    [
        ({"event": "e", "userId": "u", "properties": {"revenue": 5}}, {"default_currency": "EUR"}),
        ({"event": "e", "userId": "u", "writeKey": "k"}, {"keep_write_key": True}),
        ({"event": "e", "userId": Digits("1.5")}, {"rules": {"id_not_string": "warn"}}),
        ({"type": "page"}, {"on_other_type": "drop"}),
        ({"event": "e", "userId": "u"}, {"limits": {"max_event_bytes": 8}}),
    ],
)
def test_a_core_with_other_rules_is_noticed(
    sent: dict[str, Any], settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison sees a core whose rules differ."""
    changed = Case("changed", raw(sent), settings)
    monkeypatch.setattr("tests.oracle.compare.version_1", _with_default_settings(changed))
    assert compare(changed) != []


def _with_default_settings(case: Case) -> Callable[[Case], tuple[Any, ...]]:
    from tests.oracle.cores import version_1  # noqa: PLC0415  before it is replaced

    before = version_1(case._replace(settings={}))
    return lambda _: before
