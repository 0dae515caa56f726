"""TLS and logins: what works, and the one sentence for each way in which a connection fails."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import KafkaError

from pipeline.errors import ExitCode
from pipeline.kafka.diagnosis import diagnosis
from pipeline.kafka.errors import LastClientError
from pipeline.settings.model import load_settings
from tests.brokers import RECENT, Sent, produce
from tests.hostile import EVENT
from tests.kafka.acls import WORKER, grants
from tests.kafka.secure import OAUTH_USER, PASSWORD, USER, SecureKafka, variables
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate
from tests.system.docs.snippets import blocks, table
from tests.unit.cli.program import Ran
from tests.unit.cli.program import run as run_program

pytestmark = pytest.mark.kafka

_SECRET: Final = "hunter2"  # noqa: S105
_TOKEN: Final[dict[str, str | None]] = {
    "sasl_mechanism": "OAUTHBEARER",
    "sasl_username": None,
    "sasl_password": None,
    "enable_sasl_oauthbearer_unsecure_jwt": "true",
    "sasl_oauthbearer_config": f"principal={OAUTH_USER} extension_note={_SECRET}",
}


def _check(settings: dict[str, str], patience_s: int = 30) -> Ran:
    """`check`, which waits so long for a connection."""
    return run_program("check", env=variables(settings | {"startup_timeout_s": str(patience_s)}))


def _fails(settings: dict[str, str], patience_s: int = 30) -> str:
    """The one sentence with which `check` ends."""
    ran = _check(settings, patience_s)
    assert ran.code == ExitCode.KAFKA, ran
    assert PASSWORD not in ran.err
    assert _SECRET not in ran.err
    *_, said = ran.err.splitlines()
    assert said.startswith("track-pipeline: ")
    return said


Change = Callable[[SecureKafka], dict[str, str]]

FAULTS: Final[dict[str, tuple[Change, str]]] = {
    "wrong_password": (
        lambda kafka: kafka.login(sasl_password=_SECRET),
        rf"the broker rejects the authentication of user {USER} \(.*invalid credentials.*\): ",
    ),
    "unknown_user": (
        lambda kafka: kafka.login(sasl_username="nobody"),
        "the broker rejects the authentication of user nobody ",
    ),
    "unsupported_mechanism": (
        lambda kafka: kafka.login(sasl_mechanism="PLAIN"),
        "by PLAIN: set sasl.mechanism to SCRAM-SHA-512 or OAUTHBEARER",
    ),
    "broken_token": (
        lambda kafka: kafka.login(changed=_TOKEN | {"sasl_oauthbearer_config": f"{_SECRET}=x"}),
        r"authentication fails \(.*sasl\.oauthbearer\.config can't be used\): correct",
    ),
    "unknown_authority": (
        lambda kafka: kafka.login(ssl_ca_location=str(kafka.other_ca)),
        "{address} has a certificate from an untrusted authority: set ssl.ca.location",
    ),
    "no_authority_named": (
        lambda kafka: kafka.login(ssl_ca_location=None),
        "{address} has a certificate from an untrusted authority: set ssl.ca.location",
    ),
    "expired_certificate": (
        lambda kafka: kafka.login("EXPIRED"),
        "{address} has a certificate that expired on Mar  4 00:00:00 2021 GMT: the broker needs",
    ),
    "certificate_of_tomorrow": (
        lambda kafka: kafka.login("EARLY"),
        "{address} has a certificate that is not valid before .* GMT: check this machine's clock",
    ),
    "certificate_of_another_host": (
        lambda kafka: kafka.login("ELSEWHERE"),
        "{address} has a certificate for kafka.example.com, not for 127.0.0.1: connect by a name",
    ),
    "no_client_certificate": (
        lambda kafka: kafka.login("MUTUAL"),
        r"{address} rejects the TLS connection \(.*\): if it requires a client certificate, set",
    ),
    "plaintext_to_tls": (
        lambda kafka: kafka.login(security_protocol="PLAINTEXT"),
        "{address} speaks TLS only: set security.protocol to SSL or SASL_SSL",
    ),
    "login_in_clear_to_tls": (
        lambda kafka: kafka.login(security_protocol="SASL_PLAINTEXT"),
        "{address} speaks TLS only: set security.protocol to SSL or SASL_SSL",
    ),
    "tls_to_plaintext": (
        lambda kafka: kafka.login("LOGIN", security_protocol="SASL_SSL"),
        "{address} does not speak TLS: connect to the broker's TLS port",
    ),
    "tls_without_login": (
        lambda kafka: kafka.login(security_protocol="SSL"),
        "{address} requires authentication: set security.protocol to SASL_SSL, and sasl.mechanism",
    ),
    "no_login_in_clear": (
        lambda kafka: kafka.login("LOGIN", security_protocol="PLAINTEXT"),
        "{address} requires authentication: set security.protocol to SASL_PLAINTEXT, and",
    ),
    "login_where_there_is_none": (
        lambda kafka: kafka.login("TLS", security_protocol="SASL_SSL"),
        "{address} uses no authentication: set security.protocol to SSL, or use another port",
    ),
    "unknown_name": (
        lambda kafka: kafka.login(bootstrap_servers="kafka.invalid:9093"),
        r"the name kafka.invalid can.t be resolved \(.*\): check its spelling",
    ),
}
"""Client properties → the end of the sentence, as a pattern; {address} is the broker's."""


PHRASES: Final = [
    row[0].split("…")[0].strip() or row[0].split("…")[1].strip()
    for row in table("docs/how-to/secure-cluster.md", "the last line has")
]
"""The unchanging words of each failure, as the page on security has them."""


@pytest.mark.parametrize("fault", FAULTS)
def test_connection_fault_is_explained(secure_kafka: SecureKafka, fault: str) -> None:
    """One sentence says what is wrong, with which broker, and what to do."""
    change, pattern = FAULTS[fault]
    settings = change(secure_kafka)
    address = settings["kafka_bootstrap_servers"]
    said = _fails(settings, 1)
    assert said.startswith(f"track-pipeline: no Kafka broker answers at {address} within 1 s: ")
    assert re.search(pattern.replace("{address}", re.escape(address)), said), said
    assert any(phrase in said for phrase in PHRASES), "it is not on the page"


def test_fault_of_a_worker(secure_kafka: SecureKafka, secure_pipeline: Pipeline) -> None:
    """The worker warns early with the cause, ends with it, and never shows a password."""
    settings = secure_kafka.login(sasl_password=_SECRET)
    worker = secure_pipeline.start(**settings, startup_timeout_s="2")
    assert worker.wait(PATIENCE_S) == ExitCode.KAFKA
    first, *_, last = secure_pipeline.text().splitlines()[1:]
    assert "Kafka does not answer yet at" in first
    for line in (first, last):
        assert f"rejects the authentication of user {USER}" in line
    assert "Traceback" not in secure_pipeline.text()
    assert _SECRET not in secure_pipeline.text()


def test_closed_and_silent_ports_are_distinguished() -> None:
    """A port without a server is told from one that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        kafka = {"bootstrap.servers": f"127.0.0.1:{port}", "security.protocol": "ssl"}
        assert diagnosis(kafka, LastClientError()) == (
            f": 127.0.0.1:{port} takes connections, but does not answer a TLS handshake within 2 s"
        )
        assert diagnosis({"bootstrap.servers": f"127.0.0.1:{port}"}, LastClientError()) == ""
    assert f": nothing listens at 127.0.0.1:{port}" in diagnosis(kafka, LastClientError())


@pytest.mark.parametrize("servers", ["", ",", "a..b:1", "[::1", "127.0.0.1:99999999", "\0:1"])
def test_address_that_is_none(servers: str) -> None:
    """An address that can't be one is the client's to refuse; looking at it does no harm."""
    last_error = LastClientError()
    last_error(KafkaError(KafkaError._RESOLVE, "no such host"))  # noqa: SLF001  the client's own name
    assert diagnosis({"bootstrap.servers": servers}, last_error) != ""


def test_examples_are_settings(tmp_path: Path) -> None:
    """The TOML of the page on security is accepted, all of it."""
    examples = blocks("docs/how-to/secure-cluster.md", "toml")
    assert len(examples) == 3
    for number, block in enumerate(examples):
        file = tmp_path / f"{number}.toml"
        file.write_text(block.text, "utf-8")
        assert load_settings(file, {}, {}).kafka["bootstrap.servers"]


def _allow_worker(kafka: SecureKafka, pipeline: Pipeline, user: str) -> None:
    kafka.allow_only(grants(WORKER, pipeline.names, pipeline.names.raw), user)


def test_login_by_token(secure_kafka: SecureKafka, secure_pipeline: Pipeline) -> None:
    """OAUTHBEARER properties reach the client; nothing of a token's configuration is logged."""
    _allow_worker(secure_kafka, secure_pipeline, OAUTH_USER)
    events = [Sent(EVENT, b"u", (), RECENT + n, n % 3) for n in range(30)]
    produce(secure_pipeline.servers, secure_pipeline.names.raw, events)
    debug = {"kafka_debug": "security,broker,conf", "log__level": "debug"}
    worker = secure_pipeline.start(**secure_kafka.login(changed=_TOKEN), **debug)
    secure_pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert secure_pipeline.found() == secure_pipeline.expected()
    assert "librdkafka" in secure_pipeline.text()
    assert _SECRET not in secure_pipeline.text()


def test_password_from_a_file(
    secure_kafka: SecureKafka, secure_pipeline: Pipeline, tmp_path: Path
) -> None:
    """A worker whose password is in a file logs in, and shows neither password nor token."""
    _allow_worker(secure_kafka, secure_pipeline, USER)
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    settings = secure_kafka.login(sasl_password=None, sasl_password_file=str(file))
    debug = {"kafka_debug": "security,broker,conf", "log__level": "debug"}
    worker = secure_pipeline.start(**settings, **debug)
    secure_pipeline.wait_for(lambda: bool(secure_pipeline.lines("topics")), "the start")
    assert terminate(worker) == 0
    (start,) = secure_pipeline.lines("starting")
    assert start["settings"]["kafka"]["sasl.password"] == "********"
    assert PASSWORD not in secure_pipeline.text()


def test_client_certificate_satisfies_the_broker(secure_kafka: SecureKafka) -> None:
    """A broker that wants a client certificate accepts one; what follows are permissions."""
    own: dict[str, str | None] = {
        "ssl_certificate_location": str(secure_kafka.client),
        "ssl_key_location": str(secure_kafka.client),
    }
    said = _fails(secure_kafka.login("MUTUAL", changed=own))
    assert "grant this user READ on the topic" in said


@pytest.mark.parametrize(
    ("listener", "property_"),
    [
        ("ELSEWHERE", {"kafka_ssl_endpoint_identification_algorithm": "none"}),
        ("EXPIRED", {"kafka_enable_ssl_certificate_verification": "false"}),
    ],
)
def test_verification_turned_off(
    secure_kafka: SecureKafka, listener: str, property_: dict[str, str]
) -> None:
    """Verification can't be off by accident; where it is off on purpose, each start warns."""
    settings = secure_kafka.login(listener) | property_
    refused = _check(settings)
    assert refused.code == ExitCode.USAGE
    assert "allow_unverified_tls = true" in refused.err
    connected = _check(settings | {"allow_unverified_tls": "true"})
    warning, *_, said = connected.err.splitlines()
    assert "the identity of the broker is not verified" in warning
    assert "grant this user READ on the topic" in said
