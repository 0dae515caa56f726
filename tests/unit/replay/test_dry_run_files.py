"""`replay --dry-run --from-file`: without Kafka, and what does not fit together."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.fake_topics import event
from tests.unit.cli.program import Ran, run


def _dry_run(*flags: str | Path, stdin: bytes = b"") -> Ran:
    ran = run("replay", "--dry-run", *flags, stdin=stdin)
    assert "Traceback" not in ran.err
    return ran


def _archived(offset: int, **members: object) -> bytes:
    value = json.loads(event(offset))
    line = {"topic": "track.raw", "partition": 0, "offset": offset, "value": value, **members}
    return json.dumps(line).encode()


def test_events_of_several_files_are_counted(tmp_path: Path) -> None:
    """Plain events and archived records count alike, in compressed files and in others."""
    plain, packed = tmp_path / "a.ndjson", tmp_path / "b.ndjson.gz"
    plain.write_bytes(b"\n".join([event(1), b"", b"{", event(2)]))
    packed.write_bytes(gzip.compress(b"\n".join([_archived(1), _archived(2, value=None)])))
    ran = _dry_run("--from-file", plain, "--from-file", packed, "--json")
    assert ran.code == ExitCode.OK
    document = json.loads(ran.out)
    assert (document["records"], document["enriched"]) == (5, 3)
    assert document["reasons"] == {"invalid_json": 1, "null_value": 1}
    assert isinstance(document["notes"], list)
    assert "said" not in document


def test_standard_input_can_be_read() -> None:
    """A dry run reads events from a pipe."""
    ran = _dry_run("--from-file", "-", stdin=event(1))
    assert "Nothing was written: 1 raw records were read." in ran.out.decode()


def test_window_and_filters_apply_to_files(tmp_path: Path) -> None:
    """Times are those of archived records; a line without a time is outside a window."""
    file = tmp_path / "a.ndjson"
    lines = [_archived(1, timestamp=1_700_000_000_000), _archived(2, timestamp=1), event(3)]
    file.write_bytes(b"\n".join(lines))
    document = json.loads(_dry_run("--from-file", file, "--from", "2023-01-01", "--json").out)
    assert (document["records"], document["left_out"]) == (1, 2)
    document = json.loads(_dry_run("--from-file", file, "--event", "no such", "--json").out)
    assert (document["records"], document["left_out"]) == (0, 3)
    assert json.loads(_dry_run("--from-file", file, "--max", "2", "--json").out)["records"] == 2


def test_received_at_is_the_time_of_lines_without_one(tmp_path: Path) -> None:
    """The flag --received-at decides whether lines without a time are in the window."""
    file = tmp_path / "a.ndjson"
    file.write_bytes(b"\n".join([_archived(1, timestamp=1_700_000_000_000), event(2)]))
    window = ("--from", "2024-01-01", "--json")
    for moment in ("2024-02-01", "1706745600000"):
        ran = _dry_run("--from-file", file, *window, "--received-at", moment)
        document = json.loads(ran.out)
        assert (document["records"], document["left_out"]) == (1, 1)
        assert "received_at_unknown" not in document["warnings"]


def test_hostile_line_is_named_by_file_and_line(tmp_path: Path) -> None:
    """A line that is no archived record ends the run with one sentence."""
    file = tmp_path / "a.ndjson"
    file.write_bytes(b"\n".join([event(1), _archived(1, partition="x\x1b[31m")]))
    ran = _dry_run("--from-file", file)
    assert ran.code == ExitCode.USAGE
    assert f"{file}:2: is not a valid archived record: " in ran.err
    assert "\x1b" not in ran.err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--from-file", "no-such-file", "--dry-run"), "no-such-file: can't be read"),
        (("--from-file", "-"), "bootstrap.servers: is not set"),
        (("--from-file", "a", "--resume", "r"), "--resume knows its files"),
        (("--from-file", "a", "--workers", "2"), "files are read by one worker"),
        (("--dry-run", "--received-at", "2026-01-01"), "--received-at is for --from-file"),
        (("--from-file", "-", "--dry-run", "--from", "0:1"), "are times with --from-file"),
        (("--from-file", "-", "--dry-run", "--compare", "t"), "bootstrap.servers: is not set"),
        (("--dry-run",), "bootstrap.servers: is not set"),
        (("--dry-run", "--execute"), "--dry-run writes nothing"),
        (("--compare", "t"), "--compare is for --dry-run and --only"),
        (("--dry-run", "--newly-invalid", "/dev/null"), "--newly-invalid is for --compare"),
        (("--dry-run", "--newly-invalid", "/no/such", "--compare", "t"), "/no/such"),
    ],
)
def test_flags_that_contradict_each_other_are_wrong_usage(
    flags: tuple[str, ...], sentence: str
) -> None:
    """Wrong usage is found before anything is read."""
    ran = run("replay", *flags)
    assert ran.code == ExitCode.USAGE
    assert sentence in ran.err
    assert "Traceback" not in ran.err
