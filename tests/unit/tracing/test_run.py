"""What `run` does about traces before it reaches a broker."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.errors import ExitCode
from pipeline.settings.model import load_settings
from tests.unit.cli.program import environment, run

_AFTER_A_RUN = """
import sys
from pipeline.cli.main import cli
from pipeline.settings.model import load_settings
from pipeline.wiring import require_tracing, tracing
settings = load_settings(None, {"kafka.bootstrap.servers": "127.0.0.1:9"}, {})
require_tracing(settings)
broker = object()
with tracing(settings, broker, print) as same:
    assert same is broker
print(*(name for name in sys.modules if name.startswith("opentelemetry")))
"""


def test_without_the_setting_nothing_is_imported_and_nothing_is_wrapped() -> None:
    """Off costs nothing: no module of OpenTelemetry, and the very same broker."""
    ran = subprocess.run(
        [sys.executable, "-c", _AFTER_A_RUN],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "\n", "")


@pytest.mark.parametrize("command", ["run", "check"])
def test_missing_extra_is_one_sentence(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked of Kafka; it says what to install."""
    for name in [name for name in sys.modules if name.startswith("pipeline.tracing.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    ran = run(
        command,
        "--bootstrap-servers",
        "127.0.0.1:9",
        env={"TRACK_TRACING__ENDPOINT": "http://127.0.0.1:4318"},
    )
    assert ran.code == ExitCode.USAGE
    assert 'pip install "track-pipeline[otel]"' in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "endpoint",
    ["localhost:4318", "grpc://c:4317", "http://user:secret@c:4318", "http://c/?a=1", "http://"],
)
def test_endpoint_that_is_no_base_url_is_rejected(endpoint: str) -> None:
    """Credentials, too, since settings are logged; the message does not show them."""
    ran = run(
        "run",
        "--bootstrap-servers",
        "127.0.0.1:9",
        env={"TRACK_TRACING__ENDPOINT": endpoint},
    )
    assert ran.code == ExitCode.USAGE
    assert "TRACK_TRACING__ENDPOINT: tracing.endpoint: is not a base URL" in ran.err
    assert "such as http://localhost:4318" in ran.err
    assert "secret" not in ran.err


def test_traces_are_no_part_of_the_contract() -> None:
    """Traces change no outcome, so an audit needs to know nothing of them."""
    traced = load_settings(None, {"tracing.endpoint": "http://localhost:4318"}, {})
    assert traced.contract() == load_settings(None, {}, {}).contract()
