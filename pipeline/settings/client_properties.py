"""Kafka client properties in the settings: which are allowed, masked or unsafe."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from pydantic import BeforeValidator, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails

from pipeline.settings.client_values import problem as client_problem
from pipeline.settings.servers import SERVERS, servers_problem

_FIXED: Final = "it is fixed because exactly-once delivery depends on it"
OWNED: Final = {
    "group.id": "set `group` instead",
    "group.instance.id": "set `instance_id` instead",
    "transactional.id": "it is built from `transactional_id_prefix`, `group` and `instance_id`",
    "transaction.timeout.ms": "set `transaction_timeout_ms` instead",
    "auto.offset.reset": "`initial_offset` and `on_data_loss` decide where to start",
    "enable.auto.commit": _FIXED,
    "auto.commit.interval.ms": _FIXED,
    "auto.commit.enable": _FIXED,
    "enable.auto.offset.store": _FIXED,
    "enable.partition.eof": _FIXED,
    "isolation.level": _FIXED,
    "enable.idempotence": _FIXED,
    "acks": _FIXED,
    "request.required.acks": _FIXED,
    "delivery.report.only.error": _FIXED,
    "allow.auto.create.topics": "only `track-pipeline topics create` creates topics",
    "partitioner": "the output partition follows the input partition, as the contract says",
}
"""librdkafka properties that are not configurable, and what to do instead."""

_MAX_POLL_INTERVAL_MS: Final = 300_000
"""librdkafka's default of max.poll.interval.ms."""
MASK: Final = "********"
_SECRET = re.compile(r"^sasl\b|^ssl\b|pass|secret|token|credential|key\.pem", re.IGNORECASE)
_IN_URL = re.compile(r"//[^/@]*@")
"""Matches name and password before a host."""
_NO_SECRETS: Final = frozenset(
    {
        "enable.sasl.oauthbearer.unsecure.jwt",
        "enable.ssl.certificate.verification",
        "sasl.kerberos.keytab",
        "sasl.kerberos.min.time.before.relogin",
        "sasl.kerberos.principal",
        "sasl.kerberos.service.name",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.oauthbearer.assertion.algorithm",
        "sasl.oauthbearer.assertion.claim.aud",
        "sasl.oauthbearer.assertion.claim.exp.seconds",
        "sasl.oauthbearer.assertion.claim.iss",
        "sasl.oauthbearer.assertion.claim.jti.include",
        "sasl.oauthbearer.assertion.claim.nbf.seconds",
        "sasl.oauthbearer.assertion.claim.sub",
        "sasl.oauthbearer.assertion.file",
        "sasl.oauthbearer.assertion.jwt.template.file",
        "sasl.oauthbearer.assertion.private.key.file",
        "sasl.oauthbearer.client.credentials.client.id",
        "sasl.oauthbearer.client.id",
        "sasl.oauthbearer.extensions",
        "sasl.oauthbearer.grant.type",
        "sasl.oauthbearer.metadata.authentication.type",
        "sasl.oauthbearer.method",
        "sasl.oauthbearer.scope",
        "sasl.oauthbearer.sub.claim.name",
        "sasl.oauthbearer.token.endpoint.url",
        "sasl.username",
        "ssl.ca.certificate.stores",
        "ssl.ca.location",
        "ssl.ca.pem",
        "ssl.certificate.location",
        "ssl.certificate.pem",
        "ssl.cipher.suites",
        "ssl.crl.location",
        "ssl.curves.list",
        "ssl.endpoint.identification.algorithm",
        "ssl.engine.id",
        "ssl.engine.location",
        "ssl.key.location",
        "ssl.keystore.location",
        "ssl.providers",
        "ssl.sigalgs.list",
    }
)
"""Properties of TLS and authentication that may be shown. All others are masked, since a password
in a misspelled property is still a password."""

ALLOW_UNVERIFIED_TLS: Final = "allow_unverified_tls"
_VERIFICATION: Final = {
    "enable.ssl.certificate.verification": frozenset({"true", "t", "1"}),
    "ssl.endpoint.identification.algorithm": frozenset({"https"}),
}
"""Values of a property with which the broker's certificate and host name are verified."""
_UNVERIFIED: Final = (
    "disables verification of the broker's certificate, so that anyone could impersonate the "
    f"broker: remove it, or confirm it with {ALLOW_UNVERIFIED_TLS} = true"
)


def _read(value: object, info: ValidationInfo) -> object:
    """The properties of a table as text; ValidationError with every invalid one."""
    if not isinstance(value, dict):
        return value
    table = str(info.field_name)
    properties = {name: _as_text(given) for name, given in value.items()}
    wrong = {
        name: cause
        for name, text in properties.items()
        if (cause := _problem(table, name, text)) is not None
    }
    if not info.data.get(ALLOW_UNVERIFIED_TLS):
        wrong |= dict.fromkeys(_unverified(properties), _UNVERIFIED)
    for name in SERVERS & properties.keys() - wrong.keys():
        cause = servers_problem(properties[name] or "", properties.get("security.protocol"))
        wrong |= {} if cause is None else {name: cause}
    if wrong:
        raise ValidationError.from_exception_data(
            "Properties",
            [
                InitErrorDetails(
                    type="value_error", loc=(name,), input=None, ctx={"error": ValueError(cause)}
                )
                for name, cause in wrong.items()
            ],
        )
    return properties


def _as_text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def _problem(table: str, name: str, text: str | None) -> str | None:
    if name in OWNED:
        return f"can't be set as a client property: {OWNED[name]}"
    if text is None:
        return "must be text, a number, true or false"
    return client_problem(table, name, text)


def _unverified(properties: Mapping[str, str | None]) -> Iterator[str]:
    for name, values in _VERIFICATION.items():
        value = properties.get(name)
        if value is not None and value.strip().lower() not in values:
            yield name


Properties = Annotated[dict[str, str], BeforeValidator(_read)]
"""librdkafka properties by their own dotted names."""


def is_secret(name: str) -> bool:
    """Whether the value of a property must not be shown."""
    return name not in _NO_SECRETS and bool(_SECRET.search(name))


def masked(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties with each secret value replaced."""
    return {
        name: MASK if is_secret(name) else _IN_URL.sub(f"//{MASK}@", value)
        for name, value in properties.items()
    }


def max_poll_interval_s(consumer: Mapping[str, str]) -> float:
    """Return the seconds without a read after which a consumer loses its partitions."""
    return float(consumer.get("max.poll.interval.ms", _MAX_POLL_INTERVAL_MS)) / 1000


def weaknesses(shared: Mapping[str, str], *own: Mapping[str, str]) -> list[str]:
    """A warning for each property that weakens the security of a connection.

    `shared` are the properties of all clients, `own` those of single ones, which take precedence.
    """
    clients = [shared, *({**shared, **properties} for properties in own)]
    found = {
        f"{name} is {client[name]}: the identity of the broker is not verified, so that anyone on "
        "the network path can impersonate it"
        for client in clients
        for name in _unverified(client)
    }
    found |= {
        f"the connection to {server} is not encrypted (security.protocol is SASL_PLAINTEXT): "
        "events and credentials can be read on the network path; SASL_SSL encrypts them"
        for client in clients
        for server in _sent_in_clear(client)
    }
    return sorted(found)


def _sent_in_clear(client: Mapping[str, str]) -> Iterator[str]:
    """Servers to which credentials are sent unencrypted over a network."""
    if client.get("security.protocol", "").lower() == "sasl_plaintext":
        servers = client.get("bootstrap.servers", "").split(",")
        yield from (server for server in map(str.strip, servers) if not _is_here(server))


def _is_here(server: str) -> bool:
    host = server.rpartition("://")[2]
    host = (host.rpartition(":")[0] or host).strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in {"", "localhost"}
