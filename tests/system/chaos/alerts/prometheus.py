"""A Prometheus with the compressed rules, and a history of the alerts that it fires."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, Self

from tests.system.chaos.alerts.alert_key import AlertKey
from tests.system.deploy.prometheus_server import JOB, PrometheusServer

PROGRAM: Final = "prometheus"
_POLL_S: Final = 0.25
_START_S: Final = 60.0


class PrometheusError(Exception):
    """Prometheus is not installed, or does not start."""


class AlertingPrometheus(PrometheusServer):
    """The server with rules and targets of its own; targets can be changed at any time."""

    def __init__(self, folder: Path, rules: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True)
        self._rules = rules
        self._jobs: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        super().__init__(folder, ())

    def _write(self, targets: Sequence[str]) -> None:
        """Write the configuration as JSON, which is YAML as well."""
        assert not targets, "targets are added later"
        each = {"files": [str(self._targets_file)], "refresh_interval": "1s"}
        configuration = {
            "global": {
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "evaluation_interval": "1s",
            },
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": JOB, "file_sd_configs": [each]}],
        }
        (self._folder / "rules.yml").write_text(json.dumps(self._rules))
        (self._folder / "prometheus.yml").write_text(json.dumps(configuration))
        self._write_jobs()

    @property
    def _targets_file(self) -> Path:
        return self._folder / "targets.json"

    def scrape(self, job: str, addresses: list[str]) -> None:
        """Scrape these addresses under a job from now on; none ends the job."""
        with self._lock:
            self._jobs[job] = addresses
            self._write_jobs()

    def _write_jobs(self) -> None:
        entries = [
            {"targets": addresses, "labels": {"job": job}}
            for job, addresses in self._jobs.items()
            if addresses
        ]
        scratch = self._folder / "targets.new"
        scratch.write_text(json.dumps(entries))
        scratch.replace(self._targets_file)

    def __enter__(self) -> Self:
        """Start it, and wait until it answers; PrometheusError when it does not."""
        if shutil.which(PROGRAM) is None:
            raise PrometheusError(
                "prometheus is not on the PATH; on Debian and Ubuntu: apt-get install prometheus"
            )
        super().__enter__()
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise PrometheusError(f"{PROGRAM} does not start: {self._last_line()}")
            time.sleep(_POLL_S)
        return self

    def _answers(self) -> bool:
        try:
            return bool(self.version())
        except OSError:
            return False

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it has logged nothing"

    def version(self) -> str:
        """Return the version that it states."""
        return str(self.get("status/buildinfo")["version"])

    def are_up(self, job: str) -> bool:
        """Whether each target of a job was scraped, and the last scrape of each succeeded."""
        found = self.get("targets", state="active")["activeTargets"]
        health = [each["health"] for each in found if each["labels"].get("job") == job]
        with self._lock:
            return len(health) == len(self._jobs[job]) and set(health) == {"up"}

    def firing(self) -> set[tuple[str, AlertKey]]:
        """Jobs and alerts that fire now; the job of an alert without one is empty."""
        return {
            (labels.get("job", ""), AlertKey(labels["alertname"], labels["severity"]))
            for alert in self.alerts()
            if alert["state"] == "firing" and (labels := alert["labels"])
        }


class FiringAlerts(Protocol):
    """What the history polls."""

    def firing(self) -> set[tuple[str, AlertKey]]:
        """Jobs and alerts that fire now; OSError while there is no answer."""


class AlertHistory:
    """Notes when alerts begin and end to fire, in a thread, until it is stopped."""

    def __init__(self, alerts: FiringAlerts) -> None:
        self._alerts = alerts
        self._began: dict[tuple[str, AlertKey], float] = {}
        self._ended: dict[tuple[str, AlertKey], float] = {}
        self._firing: set[tuple[str, AlertKey]] = set()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alert-history", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_POLL_S):
            try:
                firing = self._alerts.firing()
            except OSError:
                continue  # it is busy; if it has ended, whoever waits says what did not happen
            now = time.monotonic()
            with self._changed:
                for each in firing:
                    self._began.setdefault(each, now)
                self._ended |= dict.fromkeys(self._firing - firing, now)
                self._firing = firing
                self._changed.notify_all()

    def fired_at(self, job: str, key: AlertKey) -> float | None:
        """Moment of the monotonic clock at which an alert fired for the first time."""
        return self._began.get((job, key))

    def wait_until_fired(self, job: str, keys: set[AlertKey], seconds: float) -> bool:
        """Wait until each of these alerts has fired; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(
                lambda: all((job, key) in self._began for key in keys), seconds
            )

    def wait_until_ended(
        self, job: str, key: AlertKey, since: float, seconds: float
    ) -> float | None:
        """Wait until an alert does not fire, and return since when, at the earliest `since`.

        None when that takes longer.
        """
        with self._changed:
            is_over = self._changed.wait_for(lambda: (job, key) not in self._firing, seconds)
            return max(since, self._ended.get((job, key), since)) if is_over else None
