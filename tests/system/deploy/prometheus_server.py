"""A real Prometheus on the loopback interface: it scrapes every second, and has the alert rules."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import yaml

from pipeline.demo.local_kafka.ports import free_port
from tests.system.deploy.files import text
from tests.system.deploy.prometheus_files import RULES
from tests.tools import required_tool

JOB: Final = "track-pipeline"
_INTERVAL: Final = "1s"
_ANSWER_S: Final = 10.0
_OPENER: Final = build_opener(ProxyHandler({}))
"""Does not send requests to this machine through a proxy."""
_CHOSEN: Final = {"$namespace": ".*", "$job": ".*", "$__rate_interval": "15s"}
"""Variables of the dashboard → their values when everything is chosen."""

Sample = tuple[dict[str, str], float]
Series = tuple[dict[str, str], list[tuple[float, float]]]


class PrometheusServer:
    """A Prometheus process with a folder of its own; a context manager."""

    def __init__(self, folder: Path, targets: Sequence[str]) -> None:
        """Write its configuration; `targets` are `host:port`."""
        self._folder = folder
        self._address = f"127.0.0.1:{free_port()}"
        self._write(targets)

    def _write(self, targets: Sequence[str]) -> None:
        rules = yaml.safe_load(text(RULES))
        for group in rules["groups"]:
            group["interval"] = _INTERVAL
        configuration = {
            "global": {"scrape_interval": _INTERVAL, "evaluation_interval": _INTERVAL},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": list(targets)}]}],
        }
        for name, content in (("rules.yml", rules), ("prometheus.yml", configuration)):
            (self._folder / name).write_text(yaml.safe_dump(content), encoding="utf-8")

    def __enter__(self) -> Self:
        """Start it; it need not answer yet."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    required_tool("prometheus"),
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={self._address}",
                ],
                stdout=log,
                stderr=log,
            )
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    @property
    def log(self) -> Path:
        """Everything that it has printed."""
        return self._folder / "prometheus.log"

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its HTTP interface; OSError when there is none."""
        url = f"http://{self._address}/api/v1/{path}?{urlencode(parameters)}"
        with _OPENER.open(url, timeout=_ANSWER_S) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Sample]:
        """The present values of a query, which may be one of the dashboard's."""
        found = self.get("query", query=filled_in(expression))
        return [(each["metric"], float(each["value"][1])) for each in found["result"]]

    def query_range(self, expression: str, first: float, last: float, step: float) -> list[Series]:
        """The values of a query at equidistant moments."""
        times = {"start": str(first), "end": str(last), "step": str(step)}
        found = self.get("query_range", query=filled_in(expression), **times)
        return [
            (each["metric"], [(float(at), float(value)) for at, value in each["values"]])
            for each in found["result"]
        ]

    def value(self, expression: str) -> float | None:
        """The only value of a query; None while there is none or no answer."""
        try:
            found = self.query(expression)
        except OSError:
            return None
        return found[0][1] if found else None

    def rules(self) -> list[Mapping[str, Any]]:
        """All rules as it has evaluated them."""
        groups = self.get("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def alerts(self) -> list[Mapping[str, Any]]:
        """Alerts that are pending or fire."""
        found: list[Mapping[str, Any]] = self.get("alerts")["alerts"]
        return found


def filled_in(expression: str) -> str:
    """A query with values in place of the dashboard's variables."""
    return re.sub(r"\$\w+", lambda match: _CHOSEN[match[0]], expression)
