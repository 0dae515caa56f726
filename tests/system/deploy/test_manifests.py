"""The plain manifests, the chart's schema and the systemd unit; the chart itself needs helm."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from pipeline import __version__
from pipeline.errors import ExitCode
from pipeline.settings.model import load_settings
from tests.system.deploy.chart import (
    CHART,
    KUBERNETES,
    PLAIN,
    SCHEMA,
    Manifest,
    pod_spec,
    values,
    values_schema,
)
from tests.system.deploy.files import ROOT, text
from tests.system.deploy.pods import (
    assert_command,
    assert_confined,
    assert_known,
    assert_pinned,
    assert_probes,
    settings_of,
)
from tests.tools import required_tool

OLDEST: Final = "1.27"
"""The oldest version of Kubernetes that the chart says it is for."""
UNIT: Final = "deploy/systemd/track-pipeline@.service"
_MOST_EXPOSED: Final = 20
"""Highest exposure by systemd's own measure, in tenths of a level, that the unit may have. It needs
the network; the file system of the host is the other part that is left."""


def _plain() -> dict[str, Manifest]:
    found = {path.name: yaml.safe_load(path.read_text("utf-8")) for path in PLAIN.glob("*.yaml")}
    del found["kustomization.yaml"]
    return found


class TestPlainManifests:
    """deploy/kubernetes."""

    @pytest.mark.parametrize("version", [OLDEST, KUBERNETES])
    def test_every_key_is_known_to_kubernetes(self, version: str) -> None:
        """A misspelt key, which a cluster would ignore, is found, and so is a wrong type."""
        for manifest in _plain().values():
            assert_known(manifest, version)

    def test_pods_are_confined_pinned_and_probed(self, tmp_path: Path) -> None:
        """Pods run commands of the program, with settings that it knows."""
        manifests = _plain()
        config = manifests["configmap.yaml"]["data"]["pipeline.toml"]
        for manifest in manifests.values():
            assert_confined(manifest)
            assert_pinned(manifest)
            assert_probes(manifest)
            if pod_spec(manifest) is not None:
                assert_command(manifest)
                settings_of(manifest, config, tmp_path)

    def test_kustomization_names_every_file(self) -> None:
        """Nothing is forgotten, and nothing of Helm's is left."""
        kustomization = yaml.safe_load((PLAIN / "kustomization.yaml").read_text("utf-8"))
        assert kustomization["resources"] == sorted(_plain())
        images = {
            container["image"]
            for manifest in _plain().values()
            for container in (pod_spec(manifest) or {}).get("containers", ())
        }
        (image,) = kustomization["images"]
        assert images == {f"{image['name']}:{image['newTag']}"}
        assert not re.search(r"helm\.sh|managed-by", "".join(map(str, _plain().values())))


class TestChart:
    """What of the chart can be checked without helm."""

    def test_chart_has_the_programs_version(self) -> None:
        """The chart's default image is the program that it was made for."""
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
        assert chart["appVersion"] == __version__
        assert chart["kubeVersion"] == f">={OLDEST}.0-0"

    def test_schema_has_every_setting(self) -> None:
        """A new setting is one of the chart's after `make manifests`."""
        assert SCHEMA.read_text("utf-8") == values_schema()

    @pytest.mark.parametrize("name", ["minimal", "tls"])
    def test_chart_readme_shows_tested_values(self, name: str) -> None:
        """What its examples say is what the tests render."""
        shown = re.findall(r"(?ms)^```yaml\n(.*?)^```$", (CHART / "README.md").read_text("utf-8"))
        assert yaml.safe_load(values(name).read_text("utf-8")) in map(yaml.safe_load, shown)

    def test_every_value_is_in_the_schema(self) -> None:
        """Every key of the schema has a default that is documented, too."""
        properties: dict[str, Any] = yaml.safe_load(SCHEMA.read_text("utf-8"))["properties"]
        defaults = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
        assert defaults.keys() == properties.keys() - {"global"}


class TestSystemd:
    """deploy/systemd."""

    @pytest.fixture
    def service(self) -> dict[str, str]:
        """The unit's section about the process; of options that are given twice, the last."""
        unit = configparser.ConfigParser(interpolation=None, strict=False)
        unit.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
        unit.read_string(text(UNIT))
        return dict(unit["Service"])

    def test_systemd_unit_restarts_what_a_restart_can_mend(self, service: dict[str, str]) -> None:
        """The unit waits for the grace time, and gives each instance a name."""
        prevented = {int(code) for code in service["RestartPreventExitStatus"].split()}
        assert prevented == {ExitCode.USAGE, ExitCode.FENCED, ExitCode.DATA_LOSS}
        name, value = service["Environment"].split("=")
        settings = load_settings(None, {}, {name: value})
        assert settings.instance_id == value
        assert float(service["TimeoutStopSec"]) > settings.shutdown_grace_s

    @pytest.fixture
    def unit(self, tmp_path: Path) -> Path:
        """An instance of the unit, of a program that exists here."""
        content = text(UNIT).replace(
            "/opt/track-pipeline/bin/track-pipeline", shutil.which("true") or "/bin/true"
        )
        path = tmp_path / "track-pipeline@1.service"
        path.write_text(content, encoding="utf-8")
        return path

    @pytest.mark.parametrize(
        "check",
        [
            ("verify", "--man=no"),
            ("security", "--offline=true", "--no-pager", f"--threshold={_MOST_EXPOSED}"),
        ],
    )
    def test_systemd_accepts_the_unit_and_its_hardening(
        self, unit: Path, check: tuple[str, ...]
    ) -> None:
        """Every option is known, and what the service may do is little."""
        program = required_tool("systemd-analyze")
        ran = subprocess.run(
            [program, *check, unit], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert not ran.stderr
