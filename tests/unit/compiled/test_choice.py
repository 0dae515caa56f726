"""The Python core and the compiled one live side by side; a build that does not fit never runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from pipeline.compiled import choice
from pipeline.compiled.choice import (
    SOURCES,
    VARIABLE,
    Choice,
    Core,
    CoreUnavailableError,
    choose,
    chosen,
    digest,
)
from pipeline.errors import ExitCode

PACKAGE: Final = SOURCES.parent
TIMEOUT_S: Final = 60


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Sources of a core of two modules."""
    path = tmp_path / "core"
    path.mkdir()
    (path / "money.py").write_text("CENTS = 100\n")
    (path / "process.py").write_text("from pipeline.core.money import CENTS\n")
    return path


@pytest.fixture
def builds(tmp_path: Path) -> Path:
    """The directory of builds, which does not exist yet."""
    return tmp_path / "builds"


def _build(builds: Path, sources: Path) -> Path:
    made = builds / digest(sources)
    made.mkdir(parents=True)
    return made


def test_without_a_build_python_runs(builds: Path, sources: Path) -> None:
    """The sources run where nobody has compiled them, and nothing is said about it."""
    assert choose({}, builds, sources) == Choice(Core.PYTHON)
    assert str(choose({}, builds, sources)) == "python"


@pytest.mark.parametrize("environ", [{}, {VARIABLE: ""}, {VARIABLE: "compiled"}])
def test_build_that_fits_runs(environ: dict[str, str], builds: Path, sources: Path) -> None:
    """A build of exactly these sources runs by default, and when it is asked for."""
    made = _build(builds, sources)
    assert choose(environ, builds, sources) == Choice(
        Core.COMPILED, (f"{made}/pipeline/core", str(made))
    )


def test_python_can_be_forced(builds: Path, sources: Path) -> None:
    """With TRACK_CORE=python no build is looked at."""
    _build(builds, sources)
    assert choose({VARIABLE: "python"}, builds, sources) == Choice(Core.PYTHON)


@pytest.mark.parametrize("change", ["a character", "a module more", "a module less"])
def test_stale_build_is_named_and_does_not_run(change: str, builds: Path, sources: Path) -> None:
    """A build of other sources is not used by default, which is said, and can't be forced."""
    _build(builds, sources)
    if change == "a character":
        (sources / "money.py").write_text("CENTS = 101\n")
    elif change == "a module more":
        (sources / "fees.py").write_text("")
    else:
        (sources / "money.py").unlink()
    found = choose({}, builds, sources)
    assert (found.core, found.directories) == (Core.PYTHON, ())
    assert str(found) == (
        "python (the compiled core is one of other sources or for another Python)"
    )
    with pytest.raises(CoreUnavailableError, match=r"other sources.*make compiled"):
        choose({VARIABLE: "compiled"}, builds, sources)


def test_build_for_another_python_does_not_run(
    builds: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Extension modules are for one version of Python, on one kind of machine."""
    _build(builds, sources)
    monkeypatch.setattr(choice, "EXTENSION_SUFFIXES", [".cpython-399-vax.so", ".so"])
    assert choose({}, builds, sources).unused


def test_unfinished_build_counts_as_none(builds: Path, sources: Path) -> None:
    """What a build leaves that was killed is neither used nor spoken of."""
    (builds / "unfinished-x7k2").mkdir(parents=True)
    assert choose({}, builds, sources) == Choice(Core.PYTHON)


def test_absent_build_can_not_be_forced(builds: Path, sources: Path) -> None:
    """The sentence says what is missing and how to get it."""
    with pytest.raises(CoreUnavailableError) as raised:
        choose({VARIABLE: "compiled"}, builds, sources)
    assert str(raised.value) == (
        "TRACK_CORE=compiled, but there is no compiled core: build it (`make compiled` in a "
        "checkout, else `python -m pipeline.compiled.build`), or unset TRACK_CORE"
    )


@pytest.mark.parametrize("value", ["fast", "Python", "1"])
def test_other_values_are_refused(value: str, builds: Path, sources: Path) -> None:
    """A typo does not choose in silence."""
    with pytest.raises(CoreUnavailableError, match=f"TRACK_CORE='{value}' is neither python nor"):
        choose({VARIABLE: value}, builds, sources)


def test_choice_is_made_once() -> None:
    """All of a process has one core: the one that the package's path was made with."""
    import pipeline.core  # noqa: PLC0415  its path is what is tested

    assert chosen() is chosen()
    assert list(pipeline.core.__path__) == [*chosen().directories, str(SOURCES)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a copy of the package, without builds."""
    place = tmp_path_factory.mktemp("copy")
    left_out = shutil.ignore_patterns("builds", "__pycache__")
    shutil.copytree(PACKAGE, place / PACKAGE.name, ignore=left_out)
    return place


def _run(copy: Path, core: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env={VARIABLE: core, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def _version(copy: Path, core: str = "") -> str:
    done = _run(copy, core, "-m", "pipeline", "--version")
    assert done.returncode == ExitCode.OK, done.stderr
    return done.stdout.splitlines()[1]


@pytest.mark.parametrize("value", ["compiled", "fast"])
def test_program_ends_as_with_wrong_settings(value: str, copy: Path) -> None:
    """A core that can't be had is one sentence on standard error, and the exit code 2."""
    done = _run(copy, value, "-m", "pipeline", "transform")
    assert done.returncode == ExitCode.USAGE
    assert done.stdout == ""
    assert done.stderr.startswith("track-pipeline: TRACK_CORE=")
    assert done.stderr.count("\n") == 1


def test_callers_from_python_get_the_same_sentence(copy: Path) -> None:
    """An import of the core fails, and no other core is there in its place."""
    done = _run(copy, "compiled", "-c", "import pipeline.core.process")
    assert done.stderr.splitlines()[-1].startswith(
        "pipeline.compiled.choice.CoreUnavailableError: TRACK_CORE=compiled, but there is no"
    )


def test_modules_of_the_build_come_before_the_sources(copy: Path) -> None:
    """The build's module is imported; with TRACK_CORE=python, or other sources, the source is."""
    where = "import pipeline.core.ages as one, pipeline.core.record as two; print(one.__file__)"
    core = copy / PACKAGE.name / "core"
    made = copy / PACKAGE.name / "compiled" / "builds" / digest(core) / "pipeline" / "core"
    made.mkdir(parents=True)
    # Python's import finds a source there as it finds an extension module.
    shutil.copy(core / "ages.py", made)
    assert _run(copy, "", "-c", where).stdout.strip() == str(made / "ages.py")
    assert _version(copy) == "core: compiled"
    assert _run(copy, "python", "-c", where).stdout.strip() == str(core / "ages.py")
    assert _version(copy, "python") == "core: python"
    with (core / "ages.py").open("a") as source:
        source.write("\n")
    assert _run(copy, "", "-c", where).stdout.strip() == str(core / "ages.py")
    assert _version(copy).startswith("core: python (the compiled core is one of other sources")
