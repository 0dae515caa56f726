"""What must be so of every object that makes pods, whoever renders it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate

from pipeline.settings.model import Settings, load_settings
from tests.system.deploy.chart import Manifest, containers, pod_spec
from tests.system.deploy.custom_resources import SPECS
from tests.system.docs.shell import parse

CONFIG: Final = "/etc/track-pipeline/config/pipeline.toml"
_CUSTOM_KEYS: Final = {"apiVersion", "kind", "metadata", "spec"}
_TEMPORARY: Final = "/tmp"  # noqa: S108  an emptyDir of the pod
_TOOLS: Final = {"topics", "replay", "audit"}
"""Components that run to their end, and have no probes."""


def assert_known(manifest: Manifest, version: str) -> None:
    """Every key of an object is known to Kubernetes, and every value has its type."""
    custom = SPECS.get((manifest["apiVersion"], manifest["kind"]))
    if custom is None:
        kubernetes_validate.validate(manifest, version, strict=True)
        return
    assert manifest.keys() <= _CUSTOM_KEYS
    jsonschema.validate(manifest["spec"], custom)


def assert_confined(manifest: Manifest) -> None:
    """Its pods meet the `restricted` Pod Security Standard, write nowhere, and have limits."""
    spec = pod_spec(manifest)
    if spec is None:
        return
    security = spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] >= 10_000
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["enableServiceLinks"] is False
    for container in containers(manifest):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
        assert writable <= {_TEMPORARY}
        mounted = [mount["name"] for mount in container["volumeMounts"]]
        assert mounted == [volume["name"] for volume in spec["volumes"]]


def assert_pinned(manifest: Manifest) -> None:
    """Its images have a version or a digest, and no registry in front of their names."""
    for container in containers(manifest):
        name, _, digest = container["image"].partition("@")
        name, _, tag = name.partition(":")
        assert digest.startswith("sha256:") or any(digit in tag for digit in "0123456789")
        assert "." not in name.split("/")[0]


def settings_of(manifest: Manifest, config: str, folder: Path) -> Settings:
    """The settings of its container, which are all accepted; AssertionError when one is unused."""
    (container,) = containers(manifest)
    environ = {}
    for variable in container.get("env", ()):
        assert variable["name"] not in environ
        name = variable["name"].removesuffix("_FILE")
        environ[name] = variable.get("value", "pod-0")  # a password, or the name of the pod
    file = folder / "pipeline.toml"
    file.write_text(config, encoding="utf-8")
    settings = load_settings(file, {}, environ)
    assert set(environ) <= set(settings.sources.values())
    return settings


def assert_command(manifest: Manifest) -> None:
    """Its container runs a command of the program, with options that it has."""
    for container in containers(manifest):
        parse(container["args"])
        assert CONFIG in container["args"]


def component(manifest: Manifest) -> str | None:
    """The part of the program that an object's pods are."""
    spec = manifest.get("spec", {})
    spec = spec["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else spec
    labels: dict[str, Any] = spec.get("template", {}).get("metadata", {}).get("labels", {})
    return labels.get("app.kubernetes.io/component")


def assert_probes(manifest: Manifest) -> None:
    """What runs for long is probed at its port; a tool is not."""
    for container in containers(manifest):
        probes = {name for name in container if name.endswith("Probe")}
        if component(manifest) in _TOOLS:
            assert not probes
            continue
        assert {"startupProbe", "livenessProbe"} <= probes
        assert {container[name]["httpGet"]["port"] for name in probes} == {"http"}
        assert [port["name"] for port in container["ports"]] == ["http"]
