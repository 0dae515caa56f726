"""The Helm chart, rendered by helm with each of its sets of values.

This file's tests need helm: they are skipped without it, and `.ci/run` installs it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from pipeline import __version__
from tests.system.deploy.chart import (
    CHART,
    KUBERNETES,
    PLAIN,
    VALUE_SETS,
    Manifest,
    helm,
    plain_manifests,
    pod_spec,
    render,
    values,
)
from tests.system.deploy.files import text
from tests.system.deploy.pods import (
    assert_command,
    assert_confined,
    assert_known,
    assert_pinned,
    assert_probes,
    component,
    settings_of,
)
from tests.tools import required_tool


@pytest.fixture(scope="module")
def program() -> Path:
    """Helm."""
    return required_tool("helm")


@pytest.fixture(scope="module")
def rendered(program: Path) -> Callable[[str], list[Manifest]]:
    """The objects of a set of values."""
    return cache(lambda name: render(program, name))


def _named(manifests: list[Manifest], kind: str, name: str = "") -> Manifest:
    """The only object of a kind, or the one whose name ends so."""
    (found,) = [
        each
        for each in manifests
        if each["kind"] == kind and each["metadata"]["name"].endswith(name)
    ]
    return found


def _config(manifests: list[Manifest]) -> str:
    found = [
        each["data"]["pipeline.toml"]
        for each in manifests
        if "pipeline.toml" in each.get("data", ())
    ]
    assert len(set(found)) == 1
    return str(found[0])


@pytest.mark.parametrize("name", VALUE_SETS)
class TestRendered:
    """The objects, with each set of values."""

    def test_chart_has_no_lint(self, program: Path, name: str) -> None:
        """Helm itself finds nothing wrong, and takes warnings for errors."""
        ran = helm(program, "lint", "--strict", CHART, f"--values={values(name)}")
        assert ran.returncode == 0, ran.stdout

    def test_every_key_is_known_to_kubernetes(
        self, rendered: Callable[[str], list[Manifest]], name: str
    ) -> None:
        """A misspelt key, which a cluster would ignore, is found, and so is a wrong type."""
        for manifest in rendered(name):
            assert_known(manifest, KUBERNETES)

    def test_pods_are_confined_pinned_and_probed(
        self, rendered: Callable[[str], list[Manifest]], name: str
    ) -> None:
        """Every object that makes pods keeps these rules."""
        for manifest in rendered(name):
            assert_confined(manifest)
            assert_pinned(manifest)
            assert_probes(manifest)

    def test_commands_and_settings_are_real(
        self, rendered: Callable[[str], list[Manifest]], name: str, tmp_path: Path
    ) -> None:
        """Each container runs a command of the program, and each variable is a setting."""
        manifests = rendered(name)
        for manifest in manifests:
            if pod_spec(manifest) is not None:
                assert_command(manifest)
                settings_of(manifest, _config(manifests), tmp_path)

    def test_pods_have_time_to_finish_and_to_leave(
        self, rendered: Callable[[str], list[Manifest]], name: str, tmp_path: Path
    ) -> None:
        """Kubernetes waits longer than the worker takes to stop."""
        manifests = rendered(name)
        worker = _named(manifests, "StatefulSet")
        settings = settings_of(worker, _config(manifests), tmp_path)
        spec = pod_spec(worker)
        assert spec is not None
        assert spec["terminationGracePeriodSeconds"] >= settings.shutdown_grace_s + 10

    def test_selectors_match_their_pods(
        self, rendered: Callable[[str], list[Manifest]], name: str
    ) -> None:
        """Services, the budget, the policy and the monitor select what they are for."""
        manifests = rendered(name)
        labels = {
            component(each): each["spec"]["template"]["metadata"]["labels"].items()
            for each in manifests
            if each["kind"] in {"StatefulSet", "Deployment", "Job"}
        }
        for each in manifests:
            if each["kind"] in {"StatefulSet", "Deployment"}:
                assert each["spec"]["selector"]["matchLabels"].items() <= labels[component(each)]
            elif each["kind"] == "Service":
                part = each["metadata"]["labels"]["app.kubernetes.io/component"]
                assert each["spec"]["selector"].items() <= labels[part]
            elif each["kind"] == "PodDisruptionBudget":
                assert each["spec"]["selector"]["matchLabels"].items() <= labels["worker"]
            elif each["kind"] == "NetworkPolicy":
                selector = each["spec"]["podSelector"]["matchLabels"].items()
                assert all(selector <= each for each in labels.values())
            elif each["kind"] == "ServiceMonitor":
                selector = each["spec"]["selector"]["matchLabels"].items()
                services = [s["metadata"] for s in manifests if s["kind"] == "Service"]
                found = [s["name"] for s in services if selector <= s["labels"].items()]
                assert [name.rpartition("-")[2] for name in found] == ["metrics", "watch"]

    def test_objects_are_named_apart(
        self, rendered: Callable[[str], list[Manifest]], name: str
    ) -> None:
        """No two objects of a kind have one name, and references within the chart hold."""
        manifests = rendered(name)
        names = [(each["kind"], each["metadata"]["name"]) for each in manifests]
        assert len(set(names)) == len(names)
        worker = _named(manifests, "StatefulSet")
        assert ("Service", worker["spec"]["serviceName"]) in names
        for each in manifests:
            for volume in (pod_spec(each) or {}).get("volumes", ()):
                if volume["name"] == "config":
                    assert ("ConfigMap", volume["configMap"]["name"]) in names


class TestEverything:
    """What only some values bring about."""

    def test_numbers_stay_what_they_are(
        self, rendered: Callable[[str], list[Manifest]], tmp_path: Path
    ) -> None:
        """Settings arrive as they were given: whole numbers, fractions, lists and tables."""
        manifests = rendered("everything")
        given: Mapping[str, Any] = yaml.safe_load(values("everything").read_text("utf-8"))
        settings = settings_of(_named(manifests, "StatefulSet"), _config(manifests), tmp_path)
        plain = settings.model_dump(mode="json")
        for key, value in given["settings"].items():
            if key in {"kafka", "consumer"}:
                expected = {name: str(each) for name, each in value.items()}
                assert expected.items() <= {n: str(v) for n, v in plain[key].items()}.items()
            elif isinstance(value, dict):
                assert value.items() <= plain[key].items()
            elif key == "identify":
                assert [each["event"] for each in plain[key]] == ["Signed Up"]
            else:
                assert plain[key] == value

    def test_policy_lets_workers_reach_a_registry_that_is_set(
        self, rendered: Callable[[str], list[Manifest]]
    ) -> None:
        """Without a registry its ports stay closed."""

        def ports(name: str) -> list[list[int]]:
            policy = _named(rendered(name), "NetworkPolicy")
            return [[each["port"] for each in rule["ports"]] for rule in policy["spec"]["egress"]]

        assert [443, 8085] in ports("everything")
        assert not any(8081 in each for each in ports("tls"))

    def test_rules_and_dashboard_are_those_of_the_project(
        self, rendered: Callable[[str], list[Manifest]]
    ) -> None:
        """There is one source of each."""
        manifests = rendered("everything")
        rules = yaml.safe_load(text("deploy/prometheus/rules.yml"))
        assert _named(manifests, "PrometheusRule")["spec"] == rules
        shown = _named(manifests, "ConfigMap", "-dashboard")["data"]["track-pipeline.json"]
        assert json.loads(shown) == json.loads(text("deploy/grafana/dashboard.json"))

    def test_scaler_reads_the_workers_own_group(
        self, rendered: Callable[[str], list[Manifest]], tmp_path: Path
    ) -> None:
        """KEDA scales the StatefulSet, which then has no number of replicas of its own."""
        manifests = rendered("everything")
        worker = _named(manifests, "StatefulSet")
        settings = settings_of(worker, _config(manifests), tmp_path)
        scaler = _named(manifests, "ScaledObject")["spec"]
        (trigger,) = scaler["triggers"]
        assert scaler["scaleTargetRef"]["name"] == worker["metadata"]["name"]
        assert "replicas" not in worker["spec"]
        assert trigger["metadata"]["consumerGroup"] == settings.group
        assert trigger["metadata"]["topic"] == settings.topics.raw
        assert trigger["metadata"]["bootstrapServers"] == settings.kafka["bootstrap.servers"]

    def test_job_before_the_installation_needs_nothing_of_it(
        self, rendered: Callable[[str], list[Manifest]]
    ) -> None:
        """The other objects do not exist when the topics are created."""
        manifests = rendered("everything")
        hooks = [
            each for each in manifests if "helm.sh/hook" in each["metadata"].get("annotations", ())
        ]
        assert [each["kind"] for each in hooks] == ["ConfigMap", "Job"]
        spec = pod_spec(hooks[1])
        assert spec is not None
        assert "serviceAccountName" not in spec
        assert spec["volumes"][0]["configMap"]["name"] == hooks[0]["metadata"]["name"]
        weights = [int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in hooks]
        assert weights == sorted(set(weights))


class TestLeaving:
    """The pod that asks whether it was scaled in."""

    def test_worker_may_get_its_own_stateful_set_and_nothing_else(
        self, rendered: Callable[[str], list[Manifest]]
    ) -> None:
        """No other pod has a token."""
        manifests = rendered("minimal")
        worker = _named(manifests, "StatefulSet")
        assert _named(manifests, "Role")["rules"] == [
            {
                "apiGroups": ["apps"],
                "resources": ["statefulsets"],
                "resourceNames": [worker["metadata"]["name"]],
                "verbs": ["get"],
            }
        ]
        account = _named(manifests, "ServiceAccount")
        (subject,) = _named(manifests, "RoleBinding")["subjects"]
        assert subject["name"] == account["metadata"]["name"]
        assert account["automountServiceAccountToken"] is False
        tokens = {
            component(each): spec["automountServiceAccountToken"]
            for each in manifests
            if (spec := pod_spec(each)) is not None
        }
        assert tokens == {"worker": True, "watch": False, "topics": False}

    def test_without_it_no_pod_has_a_token(self, program: Path) -> None:
        """Then the API is not asked, and there is no role."""
        manifests = render(program, "minimal", "--set=leaveWhenScaledIn=false")
        assert not [each for each in manifests if each["kind"].startswith("Role")]
        specs = [spec for each in manifests if (spec := pod_spec(each)) is not None]
        assert not any(spec["automountServiceAccountToken"] for spec in specs)


_REJECTED: Final = {
    "misspelt": (["replica=3"], "additional properties 'replica' not allowed"),
    "misspelt_setting": (["settings.gruop=x"], "additional properties 'gruop' not allowed"),
    "misspelt_limit": (["settings.batch.max_record=1"], "properties 'max_record' not allowed"),
    "set_by_the_chart": (["settings.instance_id=x"], "properties 'instance_id' not allowed"),
    "out_of_bounds": (["settings.shutdown_grace_s=0.5"], "/settings/shutdown_grace_s"),
    "not_a_setting": (['secretFiles=[{"variable": "PASSWORD"}]'], "/secretFiles/0/variable"),
    "nothing_to_mount": (['mounts=[{"path": "/a"}]'], "/mounts/0"),
    "no_brokers": (['settings={"kafka": null}'], "settings.kafka.bootstrap.servers is required"),
    "too_many_replicas": (
        ["keda.enabled=true", "keda.maxReplicas=7"],
        "is more than the 6 partitions",
    ),
    "too_many_workers": (
        ["keda.enabled=true", "keda.maxReplicas=4", "settings.workers=2"],
        "is more than the 6 partitions",
    ),
    "bounds_of_replicas": (
        ["keda.enabled=true", "keda.minReplicas=6", "keda.maxReplicas=2"],
        "minReplicas is more than",
    ),
    "long_name": ([f"fullnameOverride={'x' * 53}"], "/fullnameOverride"),
}


@pytest.mark.parametrize("fault", _REJECTED)
def test_wrong_value_is_rejected_with_its_name(program: Path, fault: str) -> None:
    """A misspelt or impossible value ends the installation before anything is changed."""
    assignments, says = _REJECTED[fault]
    flags = [
        f"--set{'-json' if '=[' in each or '={' in each else ''}={each}" for each in assignments
    ]
    with pytest.raises(AssertionError) as caught:
        render(program, "minimal", *flags)
    assert says in str(caught.value)


def test_long_release_name_is_rejected(program: Path) -> None:
    """A pod's name, with its ordinal, must fit into a host name."""
    with pytest.raises(AssertionError, match="set fullnameOverride"):
        render(program, "minimal", release="x" * 45)


def test_other_settings_restart_the_pods(program: Path) -> None:
    """The configuration is part of the pods' description, since they read it only at the start."""
    before, after = (
        _named(render(program, "minimal", *options), "StatefulSet")["spec"]["template"]["metadata"]
        for options in ([], ["--set=settings.group=other"])
    )
    assert before["annotations"] != after["annotations"]


def test_other_replay_options_are_another_job(program: Path) -> None:
    """A job can't be changed."""
    names = set()
    for start in ("1d", "2d"):
        options = ("--set=replay.enabled=true", f"--set=replay.options={{--from,{start}}}")
        manifests = render(program, "minimal", "--set=topics.create=false", *options)
        names.add(_named(manifests, "Job")["metadata"]["name"])
    assert len(names) == 2


def test_plain_manifests_are_those_of_the_chart(program: Path) -> None:
    """`make manifests` keeps deploy/kubernetes as the chart has it."""
    found = {path.name: path.read_text("utf-8") for path in PLAIN.glob("*.yaml")}
    assert found == plain_manifests(program)


def test_notes_name_the_first_pod(program: Path, tmp_path: Path) -> None:
    """What is shown after an installation says where to look."""
    # Without a cluster helm shows no notes, so they are rendered as part of an object.
    copy = shutil.copytree(CHART, tmp_path / "chart")
    shutil.move(copy / "templates/NOTES.txt", copy / "notes")
    (copy / "templates/notes.yaml").write_text(
        'data:\n  notes: |\n    {{- tpl (.Files.Get "notes") . | nindent 4 }}\n'
    )
    options = [f"--kube-version={KUBERNETES}", f"--values={values('minimal')}", "--namespace=ours"]
    ran = helm(program, "template", "events", copy, *options, "--show-only=templates/notes.yaml")
    notes = yaml.safe_load(ran.stdout)["data"]["notes"]
    assert f"track-pipeline {__version__} reads track.raw as group track-pipeline" in notes
    assert "kubectl -n ours logs events-track-pipeline-0" in notes
