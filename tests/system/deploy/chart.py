"""The Helm chart: rendered, and what is made from it and from the settings.

`make manifests` writes the schema of the chart's `settings` and the plain manifests; a test holds
both to what they are made from.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.settings.model import Settings
from tests.system.deploy.files import ROOT

CHART: Final = ROOT / "deploy/helm/track-pipeline"
SCHEMA: Final = CHART / "values.schema.json"
PLAIN: Final = ROOT / "deploy/kubernetes"
KUBERNETES: Final = "1.33"
"""Version that is rendered for, and whose schemas the objects are held to."""
SET_BY_THE_CHART: Final = ("instance_id", "leave_on_stop", "http.port", "http.host")
"""Settings that have no place in the chart's `settings`, since the chart sets them itself."""
PLAIN_VALUES: Final = "minimal"
"""Value set (`ci/minimal-values.yaml`) that the plain manifests are rendered with."""

Manifest = dict[str, Any]


def values(name: str) -> Path:
    """File of a set of values."""
    return CHART / f"ci/{name}-values.yaml"


VALUE_SETS: Final = tuple(
    sorted(path.name.removesuffix("-values.yaml") for path in CHART.glob("ci/*-values.yaml"))
)


def helm(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm."""
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
    )


def render(
    program: Path, value_set: str, *options: str, release: str = "track-pipeline"
) -> list[Manifest]:
    """The chart's objects with a set of values; AssertionError with what helm says."""
    ran = helm(
        program,
        "template",
        release,
        CHART,
        f"--kube-version={KUBERNETES}",
        f"--values={values(value_set)}",
        *options,
    )
    assert ran.returncode == 0, ran.stderr
    return [each for each in yaml.safe_load_all(ran.stdout) if each]


def settings_schema() -> tuple[dict[str, Any], dict[str, Any]]:
    """JSON Schema of the chart's `settings`, and the definitions that it refers to."""
    schema = Settings.model_json_schema()
    definitions = schema.pop("$defs")
    for name in SET_BY_THE_CHART:
        group, _, key = name.rpartition(".")
        table = definitions[f"{group.title()}Settings"] if group else schema
        del table["properties"][key]
    for clients in ("kafka", "consumer", "producer"):
        # The settings turn numbers and booleans into librdkafka's text before they are validated.
        properties = {"type": ["string", "number", "boolean"]}
        schema["properties"][clients]["additionalProperties"] = properties
    return _without_noise(schema), _without_noise(definitions)


def _without_noise(schema: Any) -> Any:
    """Drop titles, and defaults that repeat those of single settings."""
    if isinstance(schema, list):
        return [_without_noise(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_noise(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and isinstance(value, dict | list))
    }


def values_schema() -> str:
    """The text of values.schema.json; what does not come from the settings is kept."""
    whole = json.loads(SCHEMA.read_text("utf-8"))
    whole["properties"]["settings"], whole["$defs"] = settings_schema()
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def plain_manifests(program: Path) -> Mapping[str, str]:
    """File name → text: the chart's objects without what Helm alone needs."""
    files: dict[str, list[Manifest]] = {}
    for manifest in map(_without_helm, render(program, PLAIN_VALUES)):
        name = manifest["metadata"]["name"].removeprefix("track-pipeline").strip("-")
        kind = manifest["kind"].lower()
        files.setdefault(f"{kind}-{name}.yaml" if name else f"{kind}.yaml", []).append(manifest)
    head = "# Made from the Helm chart by `make manifests`.\n"
    texts = {
        name: head + yaml.safe_dump_all(manifests, sort_keys=False, width=100)
        for name, manifests in files.items()
    }
    texts["kustomization.yaml"] = head + yaml.safe_dump(_kustomization(sorted(texts)), width=100)
    return dict(sorted(texts.items()))


def _kustomization(resources: Sequence[str]) -> Manifest:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "default",
        "resources": list(resources),
        "images": [{"name": "track-pipeline", "newName": "track-pipeline", "newTag": "0.1.0"}],
    }


def _without_helm(manifest: Manifest) -> Manifest:
    plain = copy.deepcopy(manifest)
    metadata = plain["metadata"]
    metadata.pop("annotations", None)
    for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
        metadata["labels"].pop(label, None)
    if pod_spec(plain) is not None:
        # Nobody would refresh the checksum of a configuration that is edited by hand.
        plain["spec"]["template"]["metadata"].pop("annotations")
    return plain


def containers(manifest: Manifest) -> Iterator[dict[str, Any]]:
    """All containers of an object that makes pods."""
    spec = pod_spec(manifest)
    yield from spec.get("containers", ()) if spec else ()


def pod_spec(manifest: Manifest) -> dict[str, Any] | None:
    """The pods that an object makes; None when it makes none."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    template = spec.get("template") if isinstance(spec, dict) else None
    found: dict[str, Any] | None = template["spec"] if template else None
    return found
