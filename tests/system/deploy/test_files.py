"""The image, the pinned packages and the Makefile keep their promises."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline import __version__
from pipeline.avro.published import fingerprint, published_schemas
from pipeline.settings.model import load_settings
from tests.system.deploy.files import (
    ROOT,
    Instruction,
    image,
    lines_of,
    pins,
    project,
    stages,
    text,
    tracked,
)
from tests.system.docs.shell import parse

ALLOWED_HOSTS: Final = re.compile(
    r"(?:[\w-]+\.)*example(?:\.(?:com|net|org))?"  # reserved for examples
    r"|127\.0\.0\.1|0\.0\.0\.0"
    r"|[\w-]+"  # one label is a name inside a network: localhost, a service, a worker
    r"|[\w-]+\.(?:test|invalid)"
    r"|json-schema\.org|opentelemetry\.io"  # names of schemas
    r"|segment\.com"  # in the contract's own example events
)
ADDRESS: Final = re.compile(r"\bhttps?://([\w.-]+)", re.IGNORECASE)
PLACE_ON_A_MACHINE: Final = re.compile(
    r"(?<![\w.$}>*-])/(?:(?:home|Users)/[\w.-]+/|(?:root|work)/\w)"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs."""
    built, folder = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (file,) = built.iterdir()
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    return folder


class TestImage:
    """deploy/Dockerfile."""

    def test_entry_point_is_in_exec_form(self) -> None:
        """The program is process 1 itself, so that it gets the signal to stop."""
        assert image("ENTRYPOINT").arguments() == ["track-pipeline"]
        assert image("CMD").arguments() == ["run"]
        assert image("STOPSIGNAL").rest == "SIGTERM"

    def test_runs_as_a_number_that_is_not_root(self) -> None:
        """A cluster that forbids root can see from the number alone that this is not root."""
        assert re.fullmatch(r"([1-9]\d{3,}):\1", image("USER").rest)

    def test_endpoint_is_on_at_the_port_that_is_exposed(self) -> None:
        """The image's variables are settings; its port is the one that others find and check."""
        variables = {key: v for key, v in image("ENV").pairs().items() if key.startswith("TRACK_")}
        settings = load_settings(None, {}, variables)
        assert len(settings.sources) == len(variables)
        assert str(settings.http.port) == image("EXPOSE").rest

    def test_health_check_is_a_command_of_the_program(self) -> None:
        """The check needs no other program in the image, and asks the worker's own endpoint."""
        options, _, command = image("HEALTHCHECK").rest.partition(" CMD ")
        assert {option.split("=")[0] for option in options.split()} == {
            "--interval", "--timeout", "--start-period", "--retries",
        }  # fmt: skip
        program, *words = Instruction("CMD", command).arguments()
        assert program == "track-pipeline"
        parse(words)
        assert f"http://127.0.0.1:{image('EXPOSE').rest}" in words

    def test_labels_say_what_it_is_and_from_which_commit(self) -> None:
        """The labels have the names of the OCI, the version is the program's."""
        labels = image("LABEL").pairs()
        prefix = "org.opencontainers.image."
        assert {name.removeprefix(prefix) for name in labels} == {
            "title", "description", "licenses", "version", "revision",
        }  # fmt: skip
        arguments = [step.rest for step in stages()[-1] if step.word == "ARG"]
        assert arguments == [f"VERSION={__version__}", "REVISION=unknown"]
        assert labels[f"{prefix}version"] == "${VERSION}"
        assert labels[f"{prefix}licenses"] == project()["project"]["license"]

    def test_extras_are_a_build_argument_away(self) -> None:
        """The file that REQUIREMENTS names by default, and those of the extras, are copied."""
        (default,) = [s.rest for s in stages()[0] if s.rest.startswith("REQUIREMENTS=")]
        copied = next(step.rest for step in stages()[0] if step.word == "COPY")
        for name in (default.partition("=")[2], "otel", "registry"):
            assert f"requirements/{name}.txt" in copied.split()

    def test_installs_nothing_that_is_not_pinned(self) -> None:
        """Packages come with hashes, and our own wheel from the build, without an index."""
        runs = [step.rest for stage in stages() for step in stage if step.word == "RUN"]
        steps = [step for run in runs for step in run.split("&&")]
        installs = [step for step in steps if re.search(r"/pip\b.* install ", step)]
        assert len(installs) == 3
        for install in installs:
            assert "--require-hashes" in install or "--no-deps --no-index" in install

    def test_every_copied_file_reaches_the_build(self) -> None:
        """What the Dockerfile copies exists and is let through by .dockerignore."""
        let_through = set(re.findall(r"^!(.+)$", text(".dockerignore"), re.MULTILINE))
        copies = [step.rest.split() for stage in stages() for step in stage if step.word == "COPY"]
        sources = [path for copy in copies if not copy[0].startswith("--") for path in copy[:-1]]
        assert {source.split("/")[0] for source in sources} == let_through
        assert all((ROOT / source).exists() for source in sources)


class TestPackages:
    """pyproject.toml and requirements/."""

    @pytest.mark.parametrize("name", ["runtime", "otel", "build", "lock", "dev"])
    def test_every_pin_has_hashes_and_no_source(self, name: str) -> None:
        """A package is known by its hashes; where it comes from is the machine's business."""
        content = text(f"requirements/{name}.txt")
        assert "://" not in content
        options = re.findall(r"^\s*(-\S*?)(?:=|\s|$)", content, re.MULTILINE)
        assert set(options) == {"--hash"}
        blocks = re.split(r"^(?=[a-z])", content, flags=re.MULTILINE)[1:]
        assert len(blocks) == len(pins(name))
        assert all("--hash=sha256:" in block for block in blocks)

    def test_pins_fit_what_the_project_asks_for(self) -> None:
        """Each direct dependency is pinned, at a version that its bound allows."""
        metadata, groups = project()["project"], project()["dependency-groups"]
        local = metadata["optional-dependencies"]["local"]
        asked = {
            "runtime": metadata["dependencies"],
            "build": [*groups["build"], *project()["build-system"]["requires"]],
            "lock": groups["lock"],
            "dev": [*metadata["dependencies"], *local, *groups["test"], *groups["lint"]],
        }
        for name, wanted in asked.items():
            for requirement in map(Requirement, wanted):
                pinned = pins(name)[canonicalize_name(requirement.name)]
                assert requirement.specifier.contains(pinned), requirement

    @pytest.mark.parametrize("name", ["runtime", "otel", "build"])
    def test_tests_use_what_is_shipped(self, name: str) -> None:
        """The versions in the image are those that the tests ran with."""
        assert pins(name).items() <= pins("dev").items()

    def test_source_distribution_holds_every_document(self) -> None:
        """What is listed exists, and no document is forgotten."""
        include = project()["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
        assert all((ROOT / path.removeprefix("/")).exists() for path in include)
        readme = project()["project"]["readme"]
        assert {f"/{path.name}" for path in ROOT.glob("*.md")} <= {*include, f"/{readme}"}

    def test_wheel_holds_the_whole_package(self, wheel: Path) -> None:
        """Every module, schema, the typing marker, licence and command are in the wheel."""
        names = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*")}
        (points,) = wheel.glob("*.dist-info/entry_points.txt")
        modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("pipeline/**/*.py")}
        assert modules | {"pipeline/py.typed"} <= names
        schemas = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("schemas/[0-9]*/*")}
        assert {f"pipeline/{path}" for path in schemas} <= names
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
        assert "track-pipeline = pipeline.__main__:main" in points.read_text()

    def test_wheel_finds_its_own_schemas(self, wheel: Path) -> None:
        """Installed without a checkout, the package has the published Avro schemas with it."""
        ask = (
            "from pipeline.avro.published import *\n"
            "found = [(each.version, fingerprint(each.text)) for each in published_schemas()]\n"
            "print(schema_folder(), found)"
        )
        found = subprocess.run(
            [sys.executable, "-c", ask],
            cwd=wheel,
            env=os.environ | {"PYTHONPATH": str(wheel)},
            check=True,
            capture_output=True,
            text=True,
        )
        there = [(schema.version, fingerprint(schema.text)) for schema in published_schemas()]
        assert found.stdout.strip() == f"{wheel / 'pipeline' / 'schemas'} {there}"


class TestMake:
    """The Makefile."""

    def _make(self, python: str, place: Path) -> subprocess.CompletedProcess[str]:
        make = shutil.which("make")
        assert make is not None
        shutil.copy(ROOT / "Makefile", place)
        shutil.copy(ROOT / "pyproject.toml", place)
        shutil.copytree(ROOT / "requirements", place / "requirements")
        stand_in = place / "stand-in"
        stand_in.write_text(f"#!/bin/sh\n{python}\n")
        stand_in.chmod(0o755)
        order = [make, "--no-print-directory", "-C", str(place), "test", f"PYTHON={stand_in}"]
        # Without what a make that runs these tests passes on to its children.
        ours = {name: value for name, value in os.environ.items() if "MAKE" not in name}
        return subprocess.run(order, env=ours, capture_output=True, text=True, check=False)

    def test_lists_every_target(self) -> None:
        """Each target says in one line what it is for."""
        targets = re.findall(r"^\.PHONY: (\w+)$", text("Makefile"), re.MULTILINE)
        explained = re.findall(r"^(\w+):.* ## \S", text("Makefile"), re.MULTILINE)
        assert targets == explained
        assert {"demo", "test", "lint", "bench", "format", "lock", "up", "down"} <= set(targets)

    def test_old_python_is_one_sentence(self, tmp_path: Path) -> None:
        """An interpreter of another version ends with what to do, before anything is made."""
        result = self._make("exit 1", tmp_path)
        assert result.returncode != 0
        sentence, _ = result.stderr.split("\nmake:", 1)
        assert re.fullmatch(r"Python 3\.11 to 3\.14 is needed, but \S+ is missing .*", sentence)
        assert not (tmp_path / ".venv").exists()

    def test_python_without_venv_is_one_sentence(self, tmp_path: Path) -> None:
        """An interpreter that can't make environments ends with what to install."""
        result = self._make('case "$2" in *ensurepip*) exit 1;; esac', tmp_path)
        assert result.returncode != 0
        sentence, _ = result.stderr.split("\nmake:", 1)
        assert re.fullmatch(r"\S+ has no venv module: install it .*", sentence)
        assert not (tmp_path / ".venv").exists()


class TestTrackedFiles:
    """All files of the project."""

    @pytest.fixture
    def lines(self) -> list[tuple[str, str]]:
        """Every line of every file that git tracks or would add, but for the licence's."""
        paths = tracked()
        if paths is None:
            pytest.skip("no git, or no git checkout")
        return list(lines_of(tuple(path for path in paths if path != "LICENSE")))

    def test_no_download_address(self, lines: list[tuple[str, str]]) -> None:
        """No file says where packages come from: it names no host but those of examples."""
        found = [
            f"{place}: {host}"
            for place, line in lines
            for host in ADDRESS.findall(line)
            if not ALLOWED_HOSTS.fullmatch(host)
        ]
        assert not found

    def test_no_place_of_one_machine(self, lines: list[tuple[str, str]]) -> None:
        """No file names a directory that exists only where it was written."""
        here = (f"{ROOT}/", f"{Path.home()}/")
        found = [
            f"{place}: {line.strip()}"
            for place, line in lines
            if PLACE_ON_A_MACHINE.search(line) or any(name in line for name in here)
        ]
        assert not found
