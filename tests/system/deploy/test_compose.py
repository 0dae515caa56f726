"""docker-compose.yml, and what it hands to Prometheus and Grafana."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from pipeline.registry.formats import uses_registry
from pipeline.settings.model import Settings, load_settings
from tests.system.deploy.files import ROOT, compose, image, stages, text
from tests.system.docs.shell import parse
from tests.tools import required_tool

OURS: Final = ("topics", "worker-1", "worker-2", "generator", "watch")
"""The services that run this program."""
WORKERS: Final = ("worker-1", "worker-2")
THEIRS: Final = ("kafka", "registry", "prometheus", "grafana", "ui")
ALL: Final = (*OURS, *THEIRS)
PORT: Final = "9400"
PROVISIONING: Final = "deploy/grafana/provisioning"
_VARIABLE: Final = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")


def _services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = compose()["services"]
    return services


def _service(name: str) -> dict[str, Any]:
    return _services()[name]


def _settings(name: str, **variables: str) -> Settings:
    """The settings that a service of ours runs with, under these variables of the shell."""
    environment = {
        key: _substituted(str(value), variables)
        for key, value in _service(name)["environment"].items()
    }
    settings = load_settings(None, {}, environment)
    assert len(settings.sources) == len(environment)
    return settings


def _substituted(value: str, variables: Mapping[str, str]) -> str:
    """What Compose makes of `${NAME:-default}`."""
    return _VARIABLE.sub(lambda match: variables.get(match[1]) or match[2], value)


def _mounts(name: str) -> dict[PurePosixPath, Path]:
    """Path in the container → path in the checkout, of what is mounted from the checkout."""
    volumes = [volume.split(":") for volume in _service(name)["volumes"]]
    return {
        PurePosixPath(target[0]): ROOT / source
        for source, *target in volumes
        if source.startswith("./")
    }


def _in_checkout(name: str, path: str) -> Path:
    """The file of the checkout that a container sees at `path`."""
    for target, source in _mounts(name).items():
        if PurePosixPath(path).is_relative_to(target):
            return source / PurePosixPath(path).relative_to(target)
    raise AssertionError(path)


class TestServices:
    """What starts, and how it is confined."""

    def test_small_set_by_default_and_more_by_profile(self) -> None:
        """Kafka, topics, two workers and a generator start; the rest only when asked for."""
        profiles = {name: service.get("profiles", []) for name, service in _services().items()}
        assert profiles == {
            "kafka": [],
            "topics": [],
            "worker-1": [],
            "worker-2": [],
            "generator": [],
            "watch": ["monitoring"],
            "prometheus": ["monitoring"],
            "grafana": ["monitoring"],
            "registry": ["registry"],
            "ui": ["ui"],
        }

    def test_images_are_pinned(self) -> None:
        """Each image has a tag that does not move, and no registry in front of its name."""
        for service in _services().values():
            name, _, tag = service["image"].partition(":")
            assert tag != "latest"
            assert any(digit in tag for digit in "0123456789") or tag == "local"
            assert "." not in name.split("/")[0]

    def test_nothing_is_published_to_the_network(self) -> None:
        """Ports are bound to this machine's loopback address, each once."""
        ports = [port for service in _services().values() for port in service.get("ports", [])]
        assert ports
        assert all(port.startswith("127.0.0.1:") for port in ports)
        published = [port.split(":")[1] for port in ports]
        assert len(set(published)) == len(published)

    @pytest.mark.parametrize("name", ALL)
    def test_containers_are_confined(self, name: str) -> None:
        """A container can write only where it is told to, has no capabilities, and can't gain any.

        Its memory, its processors and its processes are limited, and its log is rotated.
        """
        service = _service(name)
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert {"mem_limit", "cpus", "pids_limit"} <= set(service)
        assert service["logging"] == {"driver": "local"}
        assert not {"privileged", "network_mode", "pid", "cap_add"} & set(service)

    @pytest.mark.parametrize("name", ALL)
    def test_health_is_checked_where_there_is_something_to_ask(self, name: str) -> None:
        """Each service has a health check that needs no shell, but for the one that soon ends."""
        check = _service(name)["healthcheck"]
        if name == "topics":
            assert check == {"disable": True}
        else:
            assert check["test"][0] == "CMD"
            assert {"interval", "timeout", "start_period", "retries"} <= set(check)

    def test_each_waits_for_what_it_needs(self) -> None:
        """Services start in order, and none waits for one that may not be there."""
        needs = {
            name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
            for name, service in _services().items()
        }
        after_topics = {"topics": "service_completed_successfully"}
        assert needs == {
            "kafka": {},
            "topics": {"kafka": "service_healthy"},
            "worker-1": after_topics,
            "worker-2": after_topics,
            "generator": after_topics,
            "watch": after_topics,
            "prometheus": {"worker-1": "service_healthy", "worker-2": "service_healthy"},
            "grafana": {"prometheus": "service_healthy"},
            "registry": {"kafka": "service_healthy"},
            "ui": {"kafka": "service_healthy"},
        }


class TestOurServices:
    """The services that run this program."""

    def test_image_is_built_once(self) -> None:
        """All have the same image, and one of the services that always start builds it."""
        assert len({_service(name)["image"] for name in OURS}) == 1
        assert [name for name, service in _services().items() if "build" in service] == ["topics"]

    @pytest.mark.parametrize("name", OURS)
    def test_settings_are_real(self, name: str) -> None:
        """Every TRACK_ variable is a setting, its value is accepted, and all name the same topics.

        The address of Kafka is the one that it advertises to containers.
        """
        settings = _settings(name)
        assert settings.topics == Settings().topics
        assert settings.group == Settings().group
        kafka = _service("kafka")["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        assert f"CONTAINERS://{settings.kafka['bootstrap.servers']}" in kafka.split(",")

    @pytest.mark.parametrize("name", OURS)
    def test_commands_and_flags_are_real(self, name: str) -> None:
        """Each of our services runs a command of the program, with flags that it has."""
        parse(_service(name)["command"])

    def test_workers_have_instance_ids_of_their_own(self) -> None:
        """The id is the name of the service, so that it stays the same after a restart."""
        assert {_settings(name).instance_id for name in WORKERS} == set(WORKERS)

    @pytest.mark.parametrize("name", WORKERS)
    def test_worker_has_time_to_finish(self, name: str) -> None:
        """Docker waits longer than the worker takes to finish its transaction."""
        grace = _service(name)["stop_grace_period"]
        assert float(grace.removesuffix("s")) > Settings().shutdown_grace_s

    def test_generator_writes_to_the_topic_that_the_workers_read(self) -> None:
        """What the generator writes is what the workers process."""
        flags = dict(pairwise(_service("generator")["command"]))
        assert flags["--topic"] == _settings("worker-1").topics.raw

    @pytest.mark.parametrize("name", WORKERS)
    def test_health_check_waits_until_a_worker_is_ready(self, name: str) -> None:
        """`up --wait` returns when the workers are ready; nothing replaces a container here."""
        _, _, command = image("HEALTHCHECK").rest.partition(" CMD ")
        own = [word for word in json.loads(command) if word not in {"--require", "live"}]
        assert _service(name)["healthcheck"]["test"][1:] == own

    @pytest.mark.parametrize("name", [*WORKERS, "watch"])
    def test_health_check_asks_the_endpoint_of_the_container(self, name: str) -> None:
        """The check asks the port that the image opens."""
        assert f"http://127.0.0.1:{PORT}" in _service(name)["healthcheck"]["test"][-1]

    @pytest.mark.parametrize("name", [*WORKERS, "watch"])
    def test_endpoint_is_published(self, name: str) -> None:
        """Each endpoint can be asked from this machine."""
        (port,) = _service(name)["ports"]
        assert port.split(":")[2] == PORT == image("EXPOSE").rest


class TestRegistry:
    """The Schema Registry, for outputs in Avro."""

    def test_outputs_are_json_unless_asked_for(self) -> None:
        """Nobody asks the registry by default; one variable of the shell changes the outputs."""
        assert not uses_registry(_settings("worker-1"), writes=True)
        assert uses_registry(_settings("worker-1", TRACK_OUTPUT__FORMAT="avro"), writes=True)

    def test_image_has_the_packages_of_the_registry(self) -> None:
        """The image that the services share is built with the client's packages."""
        build = _service("topics")["build"]
        assert build["args"] == {"REQUIREMENTS": "registry"}
        copied = next(step.rest for step in stages()[0] if step.word == "COPY")
        assert "requirements/registry.txt" in copied.split()

    def test_workers_and_health_check_ask_the_same_api(self) -> None:
        """The address is that of the service, and the path that of Confluent's API."""
        url = urlsplit(_settings("worker-1").schema_registry.url or "")
        service = _service("registry")
        assert url.hostname == "registry"
        assert [port.rpartition(":")[2] for port in service["ports"]] == [str(url.port)]
        checked = urlsplit(service["healthcheck"]["test"][-1])
        assert checked.port == url.port
        assert checked.path.startswith(f"{url.path}/")

    def test_schemas_outlive_the_container(self) -> None:
        """Schemas are records of the same Kafka, at the address that it gives to containers."""
        environment = _service("registry")["environment"]
        assert environment["APICURIO_STORAGE_KIND"] == "kafkasql"
        servers = environment["APICURIO_KAFKASQL_BOOTSTRAP_SERVERS"]
        assert servers == _settings("worker-1").kafka["bootstrap.servers"]


class TestMonitoring:
    """What Prometheus and Grafana are given."""

    def test_every_mounted_file_exists(self) -> None:
        """Docker would make an empty directory in the place of a missing file."""
        mounted = {*_mounts("prometheus").values(), *_mounts("grafana").values()}
        assert all(source.exists() for source in mounted)

    def test_prometheus_accepts_its_configuration(self) -> None:
        """The configuration, and the rules that it names, are valid."""
        config = ROOT / "deploy/prometheus/prometheus.yml"
        check = [str(required_tool("promtool")), "check", "config", str(config)]
        result = subprocess.run(check, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr

    def test_prometheus_scrapes_exactly_the_services_with_an_endpoint(self) -> None:
        """Workers and `watch` are one job, since the rules take them together."""
        with_endpoint = {name for name in OURS if _service(name)["command"][0] in ("run", "watch")}
        (job,) = yaml.safe_load(text("deploy/prometheus/prometheus.yml"))["scrape_configs"]
        (targets,) = job["static_configs"]
        assert set(targets["targets"]) == {f"{name}:{PORT}" for name in with_endpoint}

    def test_prometheus_is_started_with_the_file_that_is_mounted(self) -> None:
        """The path in the command is that of the checked configuration."""
        flags = dict(flag.split("=", 1) for flag in _service("prometheus")["command"])
        config = _in_checkout("prometheus", flags["--config.file"])
        assert config == ROOT / "deploy/prometheus/prometheus.yml"

    def test_grafana_reads_from_the_prometheus_beside_it(self) -> None:
        """The data source is the service, at the port on which it listens."""
        (source,) = yaml.safe_load(text(f"{PROVISIONING}/datasources/prometheus.yml"))[
            "datasources"
        ]
        (port,) = _service("prometheus")["ports"]
        assert source["url"] == f"http://prometheus:{port.split(':')[2]}"
        interval = yaml.safe_load(text("deploy/prometheus/prometheus.yml"))["global"]
        assert source["jsonData"]["timeInterval"] == interval["scrape_interval"]

    def test_grafana_finds_the_dashboard(self) -> None:
        """The provider's directory holds the dashboard, which is also the first page."""
        (provider,) = yaml.safe_load(text(f"{PROVISIONING}/dashboards/track-pipeline.yml"))[
            "providers"
        ]
        home = _service("grafana")["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        assert str(PurePosixPath(home).parent) == provider["options"]["path"]
        assert json.loads(_in_checkout("grafana", home).read_text(encoding="utf-8"))["panels"]

    def test_grafana_lets_nobody_change_anything(self) -> None:
        """Whoever can reach it may look; there is no account, hence no password."""
        environment = _service("grafana")["environment"]
        assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
        assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
        assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


class TestMakeUp:
    """The targets `up` and `down`."""

    def test_down_stops_every_profile(self) -> None:
        """What was started by a profile is stopped without naming it."""
        recipe = text("Makefile").partition("\ndown: ")[2].partition("\n\n")[0]
        assert "docker compose --profile '*' down" in recipe
