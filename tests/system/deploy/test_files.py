"""The image, the compose file, the pinned packages and the Makefile keep their promises."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

import click
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.cli.main import cli
from pipeline.settings.model import Settings, load_settings
from tests.system.deploy.files import ROOT, compose, lines_of, pins, project, stages, text, tracked

OURS: Final = ("topics", "worker")
"""The services that run this program."""

ALLOWED_HOSTS: Final = re.compile(
    r"(?:[\w-]+\.)*example(?:\.(?:com|net|org))?"  # reserved for examples
    r"|localhost|127\.0\.0\.1"
    r"|[\w-]+\.(?:test|invalid)"
    r"|json-schema\.org"  # the name of a schema dialect
    r"|segment\.com"  # in the contract's own example events
)
ADDRESS: Final = re.compile(r"\bhttps?://([\w.-]+)", re.IGNORECASE)
PLACE_ON_A_MACHINE: Final = re.compile(
    r"(?<![\w.$}>*-])/(?:(?:home|Users)/[\w.-]+/|(?:root|work)/\w)"
)


def _command_of(service: dict[str, Any]) -> click.Command:
    """The command that a service runs; fails when there is none of that name."""
    command: click.Command = cli
    with click.Context(cli) as context:
        for word in service["command"]:
            assert isinstance(command, click.Group), word
            found = command.get_command(context, word)
            assert found is not None, word
            command = found
    return command


class TestImage:
    """deploy/Dockerfile."""

    def test_entry_point_is_in_exec_form(self) -> None:
        """The program is process 1 itself, so that it gets the signal to stop."""
        last = {instruction.word: instruction for instruction in stages()[-1]}
        assert last["ENTRYPOINT"].arguments() == ["track-pipeline"]
        assert last["CMD"].arguments() == ["run"]
        assert last["STOPSIGNAL"].rest == "SIGTERM"

    def test_runs_as_a_number_that_is_not_root(self) -> None:
        """A cluster that forbids root can see from the number alone that this is not root."""
        users = [instruction.rest for instruction in stages()[-1] if instruction.word == "USER"]
        assert re.fullmatch(r"([1-9]\d{3,}):\1", users[-1])

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


class TestCompose:
    """docker-compose.yml."""

    def test_compose_starts_kafka_topics_and_worker(self) -> None:
        """Kafka, its topics and the worker start; the Kafka UI only when asked for."""
        services = compose()["services"]
        assert set(services) == {"kafka", "topics", "worker", "ui"}
        assert [name for name in services if "profiles" in services[name]] == ["ui"]

    def test_images_are_pinned(self) -> None:
        """Each image has a tag that does not move, and no registry in front of its name."""
        images = [service["image"] for service in compose()["services"].values()]
        for image in images:
            name, _, tag = image.partition(":")
            assert tag != "latest"
            assert any(digit in tag for digit in "0123456789") or tag == "local"
            assert "." not in name.split("/")[0]

    def test_nothing_is_published_to_the_network(self) -> None:
        """Ports are bound to this machine's loopback address."""
        services = compose()["services"].values()
        ports = [port for service in services for port in service.get("ports", [])]
        assert ports
        assert all(port.startswith("127.0.0.1:") for port in ports)

    @pytest.mark.parametrize("name", OURS)
    def test_settings_are_real(self, name: str) -> None:
        """Every TRACK_ variable is a setting, and its value is accepted."""
        environment = {key: str(v) for key, v in compose()["services"][name]["environment"].items()}
        settings = load_settings(None, {}, environment)
        assert len(settings.sources) == len(environment)
        assert settings.topics == Settings().topics
        assert settings.group == Settings().group
        kafka = compose()["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        assert f"CONTAINERS://{settings.kafka['bootstrap.servers']}" in kafka.split(",")

    @pytest.mark.parametrize("name", OURS)
    def test_commands_are_real(self, name: str) -> None:
        """Each of our services runs a command of the program."""
        assert not isinstance(_command_of(compose()["services"][name]), click.Group)

    @pytest.mark.parametrize("name", OURS)
    def test_our_containers_are_confined(self, name: str) -> None:
        """Our containers can write nowhere, have no capabilities and can't gain any."""
        service = compose()["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]

    def test_worker_waits_for_its_topics(self) -> None:
        """The worker starts when the topics are there, they when Kafka is."""
        services = compose()["services"]
        completed = {"topics": {"condition": "service_completed_successfully"}}
        assert services["worker"]["depends_on"] == completed
        assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}

    def test_worker_has_time_to_finish(self) -> None:
        """Docker waits longer than the worker takes to finish its transaction."""
        grace = compose()["services"]["worker"]["stop_grace_period"]
        assert float(grace.removesuffix("s")) > Settings().shutdown_grace_s


class TestPackages:
    """pyproject.toml and requirements/."""

    @pytest.mark.parametrize("name", ["runtime", "build", "lock", "dev"])
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

    @pytest.mark.parametrize("name", ["runtime", "build"])
    def test_tests_use_what_is_shipped(self, name: str) -> None:
        """The versions in the image are those that the tests ran with."""
        assert pins(name).items() <= pins("dev").items()

    def test_source_distribution_holds_every_document(self) -> None:
        """What is listed exists, and no document is forgotten."""
        include = project()["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
        assert all((ROOT / path.removeprefix("/")).exists() for path in include)
        readme = project()["project"]["readme"]
        assert {f"/{path.name}" for path in ROOT.glob("*.md")} <= {*include, f"/{readme}"}

    def test_wheel_holds_the_whole_package(self, tmp_path: Path) -> None:
        """Every module, the typing marker, the licence and the command are in the wheel."""
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        (wheel,) = tmp_path.iterdir()
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
            (points,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
            commands = archive.read(points).decode()
        modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("pipeline/**/*.py")}
        assert modules | {"pipeline/py.typed"} <= names
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
        assert "track-pipeline = pipeline.cli.main:main" in commands


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
