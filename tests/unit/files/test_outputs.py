"""Output files never replace a file by accident: neither an input nor an earlier result."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from pipeline.errors import ExitCode, UnusableFileError
from pipeline.files.outputs import FileOutput, opened_output, whole_output
from tests.unit.cli.program import TIMEOUT_S, command, environment, run

EVENTS: Final = b'{"event":"A","userId":"u"}\nnope\n'
KAFKA: Final = {"TRACK_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
"""An address where nobody listens: nothing is asked of Kafka."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of events."""
    path = tmp_path / "events.ndjson"
    path.write_bytes(EVENTS)
    return path


def _named_again(path: Path) -> list[Path]:
    """Other names of the same file."""
    symbolic, hard = path.with_name("symbolic"), path.with_name("hard")
    symbolic.symlink_to(path)
    hard.hardlink_to(path)
    return [path, symbolic, hard, path.parent / "." / path.name]


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_outputs_never_overwrite_an_input(source: Path, overwrite: tuple[str, ...]) -> None:
    """An input is left as it is, under whatever name, even where files may be replaced."""
    dry_run = ("replay", "--dry-run", "--compare", "t", "--from-file", source, "--newly-invalid")
    for name in _named_again(source):
        for arguments in (("transform", source, "--dead-letters"), dry_run):
            ran = run(*arguments, name, *overwrite, env=KAFKA)
            assert (ran.code, ran.out) == (ExitCode.USAGE, b"")
            assert ran.err.endswith(f" {name}: is also an input, which would be overwritten\n")
    assert source.read_bytes() == EVENTS


def test_outputs_never_overwrite_the_settings(tmp_path: Path) -> None:
    """A command never replaces the file that its settings are from."""
    config = tmp_path / "pipeline.toml"
    config.write_text('default_currency = "EUR"\n')
    for arguments in (("generate", "--output"), ("transform", "--dead-letters")):
        ran = run(*arguments, config, "--overwrite", "--config", config)
        assert ran.code == ExitCode.USAGE
        assert "is also an input, which would be overwritten" in ran.err
    assert config.read_text() == 'default_currency = "EUR"\n'


@pytest.mark.parametrize(
    "line",
    [
        '"$@" transform --overwrite --dead-letters events.ndjson < events.ndjson',
        '"$@" transform --overwrite --dead-letters /dev/stdin - < events.ndjson',
        '"$@" transform events.ndjson >> events.ndjson',
        '"$@" transform < events.ndjson >> events.ndjson',
        '"$@" transform events.ndjson 2>> events.ndjson',
        '"$@" explain events.ndjson >> events.ndjson',
        '"$@" replay --dry-run --from-file events.ndjson >> events.ndjson',
        '"$@" replay --dry-run --from-file - < events.ndjson >> events.ndjson',
    ],
)
def test_redirections_count_as_inputs_and_outputs(source: Path, line: str) -> None:
    """A file that is read through standard input is not written to."""
    done = subprocess.run(
        ["sh", "-c", line, "sh", *command()],  # noqa: S607  the user's shell
        cwd=source.parent,
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    said = done.stderr
    if "2>>" in line:  # it is told there, since there is no other place
        said = source.read_bytes().removeprefix(EVENTS)
    assert done.returncode == ExitCode.USAGE
    assert b"input" in said
    assert source.read_bytes().removesuffix(said if "2>>" in line else b"") == EVENTS


def test_outputs_never_overwrite_each_other(tmp_path: Path) -> None:
    """A file that standard output goes to can't be another output, too."""
    both = tmp_path / "both"
    for name in (both, "/dev/stdout"):
        with both.open("wb") as stdout:
            done = subprocess.run(
                command("transform", "--dead-letters", name),
                input=EVENTS,
                stdout=stdout,
                stderr=subprocess.PIPE,
                env=environment(),
                timeout=TIMEOUT_S,
                check=False,
            )
        assert done.returncode == ExitCode.USAGE
        assert b"standard output goes there, too" in done.stderr
    ran = run("transform", "--dead-letters", "-", stdin=EVENTS)
    assert (ran.code, ran.out) == (ExitCode.USAGE, b"")
    assert "--dead-letters -: the enriched events go to standard output" in ran.err


def test_existing_files_are_replaced_only_on_request(tmp_path: Path) -> None:
    """A file that is not empty is replaced only on request; an empty one has nothing to lose."""
    file = tmp_path / "result.ndjson"
    commands = (
        ("generate", "-n", "3", "--invalid-share", "0", "--output", file),
        ("transform", "--dead-letters", file),
    )
    for arguments in commands:
        file.write_bytes(b"last week's\n")
        ran = run(*arguments, stdin=b"nope\n")
        assert (ran.code, ran.out) == (ExitCode.USAGE, b"")
        assert f"{file}: exists already" in ran.err
        assert "--overwrite" in ran.err
        assert file.read_bytes() == b"last week's\n"
        assert run(*arguments, "--overwrite", stdin=b"nope\n").code == ExitCode.OK
        replaced = file.read_bytes()
        assert b"last week" not in replaced
        file.write_bytes(b"")
        assert run(*arguments, stdin=b"nope\n").code == ExitCode.OK
        assert len(file.read_bytes().splitlines()) == len(replaced.splitlines())


def test_plan_opens_nothing(tmp_path: Path) -> None:
    """A command that fails or only plans leaves the file of newly invalid events alone."""
    file = tmp_path / "invalid.ndjson"
    options = ("--only", "changed", "--newly-invalid", file)
    assert run("replay", *options, "--from", "never", env=KAFKA).code == ExitCode.USAGE
    assert not file.exists()


def _write(output: FileOutput, text: bytes, then: Callable[[], object]) -> None:
    with whole_output(output) as file:
        file.write(text)
        then()


def _interrupt() -> None:
    raise KeyboardInterrupt


class TestWholeOutput:
    """Files that appear when they are complete."""

    def test_file_appears_at_the_end(self, tmp_path: Path) -> None:
        """Nobody can read half of the file under its name; its permissions are the usual ones."""
        path = tmp_path / "out"
        with whole_output(FileOutput("--output", str(path))) as file:
            file.write(b"all")
            assert not path.exists()
        assert path.read_bytes() == b"all"
        mask = os.umask(0)
        os.umask(mask)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
        assert list(tmp_path.iterdir()) == [path]

    def test_failure_leaves_the_existing_file(self, tmp_path: Path) -> None:
        """An aborted command leaves neither half a file nor a temporary one."""
        path, link = tmp_path / "out", tmp_path / "link"
        path.write_bytes(b"whole")
        path.chmod(0o640)
        link.symlink_to(path)
        output = FileOutput("--output", str(link), overwrite=True)
        with pytest.raises(KeyboardInterrupt):
            _write(output, b"half", _interrupt)
        assert path.read_bytes() == b"whole"
        with whole_output(output) as file:
            file.write(b"new")
        assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)
        assert link.is_symlink()
        assert sorted(tmp_path.iterdir()) == [link, path]

    def test_file_created_meanwhile_is_not_replaced(self, tmp_path: Path) -> None:
        """A file that another program has created under the name is not replaced."""
        path = tmp_path / "out"
        output = FileOutput("--output", str(path))
        with pytest.raises(UnusableFileError, match="exists already"):
            _write(output, b"mine", lambda: path.write_bytes(b"theirs"))
        assert path.read_bytes() == b"theirs"
        assert list(tmp_path.iterdir()) == [path]

    def test_devices_are_written_to_directly(self) -> None:
        """A device or a pipe is written to as it is."""
        for open_one in (whole_output, opened_output):
            with open_one(FileOutput("--output", "/dev/null")) as file:
                file.write(b"gone")
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116  as it is named

    def test_dangling_links_are_followed(self, tmp_path: Path) -> None:
        """A symbolic link names the file to be created."""
        target, link = tmp_path / "target", tmp_path / "link"
        link.symlink_to(target)
        for open_one in (whole_output, opened_output):
            with open_one(FileOutput("--output", str(link))) as file:
                file.write(b"new")
            assert target.read_bytes() == b"new"
            target.unlink()


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "n" * 239])
def test_longest_file_names_can_be_written(name: str, tmp_path: Path) -> None:
    """A name that the file system takes leaves room for the one that the file has meanwhile."""
    path = tmp_path / name
    with whole_output(FileOutput("--newly-invalid", str(path))) as file:
        file.write(b"x")
        assert not path.exists()
    assert path.read_bytes() == b"x"
    assert [each.name for each in tmp_path.iterdir()] == [name]
