"""Variables that Kubernetes adds for Services are neither settings nor problems."""

from __future__ import annotations

import pytest

from pipeline.errors import SettingsError
from pipeline.settings.model import load_settings


def _added(prefix: str, host: str = "10.0.0.1", shown: str = "10.0.0.1") -> dict[str, str]:
    """Variables of a Service with two ports, one of which has a name."""
    return {
        f"{prefix}_SERVICE_HOST": host,
        f"{prefix}_SERVICE_PORT": "80",
        f"{prefix}_SERVICE_PORT_HTTP": "80",
        f"{prefix}_SERVICE_PORT_HTTP_ALT": "8080",
        f"{prefix}_PORT": f"tcp://{shown}:80",
        f"{prefix}_PORT_80_TCP": f"tcp://{shown}:80",
        f"{prefix}_PORT_80_TCP_PROTO": "tcp",
        f"{prefix}_PORT_80_TCP_PORT": "80",
        f"{prefix}_PORT_80_TCP_ADDR": host,
        f"{prefix}_PORT_53_UDP": f"udp://{shown}:53",
        f"{prefix}_PORT_53_UDP_PROTO": "udp",
        f"{prefix}_PORT_99_SCTP": f"sctp://{shown}:99",
        f"{prefix}_PORT_99_SCTP_PROTO": "sctp",
    }


@pytest.mark.parametrize(
    "prefix",
    ["TRACK", "TRACK_PIPELINE", "TRACK_KAFKA", "TRACK_KAFKA_0", "TRACK_CONSUMER", "TRACK_LOG"],
)
def test_service_variables_are_ignored(prefix: str) -> None:
    """Variables of a Service are ignored whatever its name; real settings still count."""
    settings = load_settings(None, {}, {**_added(prefix), "TRACK_GROUP": "g"})
    assert dict(settings.sources) == {"group": "TRACK_GROUP"}


def test_ipv6_service_variables_are_ignored() -> None:
    """An IPv6 address is in brackets when a port follows."""
    added = _added("TRACK_KAFKA", "fd00::1", "[fd00::1]")
    assert load_settings(None, {}, added).sources == {}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRACK_KAFKA_PORT", "9092"),
        ("TRACK_PIPELINE_PORT", "http://localhost:80"),
        ("TRACK_KAFKA_SERVICE_HOST", "kafka"),
        ("TRACK_KAFKA_SERVICE_PORT", "http"),
        ("TRACK_KAFKA_PORT_80_TCP", "10.0.0.1:80"),
        ("TRACK_KAFKA_PORT_80_TCP_PROTO", "http"),
        ("TRACK_KAFKA_PORT_80_TCP_ADDR", "kafka"),
    ],
)
def test_service_names_with_other_values_are_reported(variable: str, value: str) -> None:
    """Such a variable may be a misspelled setting; the message also explains Service variables."""
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {}, {variable: value})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{variable}: no setting has this variable; ")
    assert "enableServiceLinks: false" in problem


@pytest.mark.parametrize("variable", ["TRACK_KAFKA_SERVICE", "TRACK_PIPELINE_HOST", "TRACK_PORTS"])
def test_other_names_are_reported_whatever_their_value(variable: str) -> None:
    """Only the forms that Kubernetes uses are ignored."""
    with pytest.raises(SettingsError, match=variable):
        load_settings(None, {}, {variable: "10.0.0.1"})
