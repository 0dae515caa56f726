"""Temporary tables leave no file behind, however the process ends, and report full disks."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.core.headers import TrackHeader
from pipeline.core.record import Role
from pipeline.reconcile.audit import AuditRequest
from pipeline.reconcile.compare.difference_store import DifferenceStore
from pipeline.reconcile.disk_set import DiskSet
from pipeline.reconcile.output_store import OutputStore
from pipeline.reconcile.spill import SavedSpill, Spill, insert
from pipeline.replay.raw_copies import Copies
from tests.fake_topics import FakeTopics, event
from tests.unit.cli.program import TIMEOUT_S, environment
from tests.unit.reconcile.comparing import report_of

TABLE: Final = "CREATE TABLE words (word BLOB PRIMARY KEY) WITHOUT ROWID;"


class Words(Spill):
    """A table with one column."""

    def add(self, count: int) -> None:
        """Add this number of rows with a hundred bytes each."""
        rows = ((b"%100d" % number,) for number in range(count))
        self._database.executemany(insert("words", 1), rows)

    def count(self) -> int:
        """Return the number of rows."""
        return int(self._database.execute("SELECT count(*) FROM words").fetchone()[0])


class SavedWords(SavedSpill):
    """The same table, read by another process."""

    def count(self) -> int:
        """Return the number of saved rows."""
        return int(self._database.execute("SELECT count(*) FROM words").fetchone()[0])


def test_file_has_no_name(tmp_path: Path) -> None:
    """A table larger than its cache has no file name that could be left in its folder."""
    with Words(TABLE, tmp_path, cache_kib=64) as words:
        words.add(20_000)
        assert list(tmp_path.iterdir()) == []
        assert words.count() == 20_000


def test_shared_file_is_removed_at_the_end(tmp_path: Path) -> None:
    """A file for other processes has a name until the context ends."""
    with Words(TABLE, tmp_path, shared=True) as words:
        words.add(10)
        words.save()
        with SavedWords(words.path) as saved:
            assert saved.count() == 10
    assert list(tmp_path.iterdir()) == []


def test_shared_file_has_an_absolute_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes in another working directory can open a shared file."""
    monkeypatch.chdir(tmp_path)
    Path("spill").mkdir()
    with Words(TABLE, Path("spill"), shared=True) as words:
        words.add(10)
        words.save()
        monkeypatch.chdir("/")
        with SavedWords(words.path) as saved:
            assert saved.count() == 10
    assert list((tmp_path / "spill").iterdir()) == []


_PAUSED = """
import signal, sys
from pathlib import Path
from pipeline.reconcile.disk_set import DiskSet
from pipeline.replay.raw_copies import Copies
from pipeline.cli.termination import end_as_asked, unwind_on_signals
unwind_on_signals()
kind = {"DiskSet": DiskSet, "Copies": Copies}[sys.argv[1]]
try:
    with kind(Path(sys.argv[2])):
        print("open", flush=True)
        signal.pause()
except KeyboardInterrupt:
    end_as_asked()
"""


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("DiskSet", signal.SIGTERM),
        ("DiskSet", signal.SIGKILL),
        ("Copies", signal.SIGTERM),
        ("Copies", signal.SIGHUP),
    ],
)
def test_no_file_is_left_when_the_process_ends(
    kind: str, number: signal.Signals, tmp_path: Path
) -> None:
    """A file without a name is gone after any end, a shared one after an orderly end."""
    with subprocess.Popen(
        [sys.executable, "-c", _PAUSED, kind, tmp_path], env=environment(), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        process.send_signal(number)
        assert process.wait(TIMEOUT_S) == -number
    assert list(tmp_path.iterdir()) == []


@contextmanager
def full_behind(size: int) -> Iterator[None]:
    """Simulate a disk that is full at this file size, and expect the error that says so."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with pytest.raises(OSError, match=r"the temporary file can't be written .*--spill-dir"):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_statement_needs_a_sort_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite would write it to the system's temporary folder, whatever --spill-dir says.

    So all rows are read in the order of an index, and nothing grows in memory instead.
    """
    plans: list[str] = []
    opened, closed = Spill.__enter__, Spill.__exit__
    statements: dict[int, set[str]] = {}

    def trace(spill: Spill) -> Spill:
        seen = statements.setdefault(id(spill), set())
        spill._database.set_trace_callback(seen.add)  # noqa: SLF001  what is tested
        return opened(spill)

    def explain(spill: Spill, *reason: Any) -> None:
        database = spill._database  # noqa: SLF001  what is tested
        database.set_trace_callback(None)
        for statement in statements.pop(id(spill)) - {"BEGIN", "COMMIT"}:
            plan = database.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            plans.extend(f"{detail} in {statement}" for *_, detail in plan)
        closed(spill, *reason)

    monkeypatch.setattr(Spill, "__enter__", trace)
    monkeypatch.setattr(Spill, "__exit__", explain)
    fake = FakeTopics(accept_origin_headers=True)
    first, *_ = fake.clean(event(1), event(2), b"{", event(4, user=""))
    fake.process(first)
    fake.process(fake.send(event(1), headers=[(TrackHeader.ORIGIN, b"raw/0/0")]))
    swapped = fake.of(Role.ENRICHED)
    swapped[0], swapped[1] = swapped[1]._replace(offset=0), swapped[0]._replace(offset=1)
    assert not fake.audit(AuditRequest(revenue=True)).ok
    assert not report_of(fake, default_currency_when="always").same
    assert len({plan.partition(" in ")[0] for plan in plans}) > 5
    assert [plan for plan in plans if "TEMP B-TREE" in plan] == []


KINDS: Final[list[Callable[[Path], Spill]]] = [OutputStore, DifferenceStore, DiskSet, Copies]


@pytest.mark.parametrize("kind", KINDS)
def test_full_disk_names_the_option(kind: Callable[[Path], Spill], tmp_path: Path) -> None:
    """A full disk is an error that names --spill-dir, whoever uses the file."""
    with full_behind(512), kind(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_disk_may_fill_up_later(tmp_path: Path) -> None:
    """Rows that no longer fit are the same error."""
    with full_behind(1_000_000), Words(TABLE, tmp_path, cache_kib=64) as words:
        words.add(20_000)
    assert list(tmp_path.iterdir()) == []
