"""A Kafka with TLS, logins and ACLs, and with listeners whose certificates are bad.

The tests' own clients use the plain listener, where everybody is a super user. What is tested
connects to one of the others.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import trustme
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.demo.local_kafka.files import Layout
from pipeline.demo.local_kafka.ports import HOST, free_port

PASSWORD: Final = "p4ss-of-the-worker"  # noqa: S105  of a user that lives as long as a test
USER: Final = "worker"
OAUTH_USER: Final = "other-worker"
"""Logs in by OAUTHBEARER."""
_CLIENT_S: Final = 30.0
_JAAS: Final = "org.apache.kafka.common.security"
_EXPIRED: Final = datetime(2021, 3, 4, tzinfo=UTC)
_LATER: Final = datetime.now(UTC) + timedelta(days=1)


class Listener(NamedTuple):
    """One way to connect."""

    protocol: str
    """As Kafka calls it, and as `security.protocol` has it."""
    certificate: str = ""
    """Name of the certificate that the listener presents."""
    needs_client_certificate: bool = False


LISTENERS: Final = {
    "SECURE": Listener("SASL_SSL", "good"),
    "TLS": Listener("SSL", "good"),
    "MUTUAL": Listener("SSL", "good", needs_client_certificate=True),
    "LOGIN": Listener("SASL_PLAINTEXT"),
    "EXPIRED": Listener("SASL_SSL", "expired"),
    "EARLY": Listener("SASL_SSL", "early"),
    "ELSEWHERE": Listener("SASL_SSL", "elsewhere"),
}


class Grant(NamedTuple):
    """One line of an ACL: what a user may do."""

    kind: ResourceType
    name: str
    operation: AclOperation
    prefixed: bool = False


class SecureKafka:
    """One broker in a folder; its certificates are made anew each time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        plain, *others = _free_ports(1 + len(LISTENERS))
        self._ports = dict(zip(LISTENERS, others, strict=True))
        self.ca = directory / "ca.pem"
        """Of the authority that has signed the broker's certificates."""
        self.other_ca = directory / "other-ca.pem"
        self.client = directory / "client.pem"
        """Key and certificate of a client, signed by `ca`."""
        self._write_certificates()
        self._kafka = LocalKafka(
            directory / "kafka",
            port=plain,
            layout=lambda folder: _SecureLayout(folder, self._addresses()),
            properties=self._properties(),
        )

    @property
    def servers(self) -> str:
        """Of the plain listener: for the tests' own clients."""
        return self._kafka.bootstrap_servers

    def address(self, listener: str) -> str:
        """`host:port` of a listener."""
        return f"{HOST}:{self._ports[listener]}"

    def login(
        self,
        listener: str = "SECURE",
        *,
        changed: Mapping[str, str | None] | None = None,
        **others: str | None,
    ) -> dict[str, str]:
        """Settings of the worker's user.

        `changed` and `others` are client properties, with `_` for dots; None leaves one out.
        """
        wanted: dict[str, str | None] = {
            "bootstrap_servers": self.address(listener),
            "security_protocol": LISTENERS[listener].protocol,
            "ssl_ca_location": str(self.ca),
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": USER,
            "sasl_password": PASSWORD,
            **(changed or {}),
            **others,
        }
        return {f"kafka_{name}": value for name, value in wanted.items() if value is not None}

    def allow_only(self, grants: Iterable[Grant], user: str = USER) -> None:
        """Give a user these rights and no others; wait until the broker knows."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        wanted = {_binding(each, user) for each in grants}
        mine = _all_of(user)
        known = set(admin.describe_acls(mine).result(_CLIENT_S))
        for extra in known - wanted:
            for done in admin.delete_acls([_only(extra)], request_timeout=_CLIENT_S).values():
                done.result(_CLIENT_S)
        if wanted - known:
            for made in admin.create_acls(list(wanted - known)).values():
                made.result(_CLIENT_S)
        deadline = time.monotonic() + _CLIENT_S
        while set(admin.describe_acls(mine).result(_CLIENT_S)) != wanted:
            assert time.monotonic() < deadline, "the broker does not take the ACLs over"

    def start(self) -> None:
        """Start it; LocalKafkaError when it can't be."""
        self._kafka.start()

    def stop(self) -> None:
        """Stop it."""
        self._kafka.stop()

    def _addresses(self) -> str:
        return ",".join(f"{name}://{HOST}:{port}" for name, port in self._ports.items())

    def _write_certificates(self) -> None:
        authority = trustme.CA(organization_name="track-pipeline tests")
        authority.cert_pem.write_to_path(self.ca)
        trustme.CA(organization_name="somebody else").cert_pem.write_to_path(self.other_ca)
        certificates = {
            "good": authority.issue_cert(HOST, "localhost"),
            "expired": authority.issue_cert(HOST, not_after=_EXPIRED),
            "early": authority.issue_cert(HOST, not_before=_LATER),
            "elsewhere": authority.issue_cert("kafka.example.com"),
        }
        for name, certificate in certificates.items():
            self._key_store(name).write_bytes(_key_store(certificate))
        self.client.write_bytes(_key_store(authority.issue_cert("client.example.com")))

    def _key_store(self, name: str) -> Path:
        return self._directory / f"{name}.pem"

    def _properties(self) -> dict[str, str]:
        protocols = {name: listener.protocol for name, listener in LISTENERS.items()}
        protocols |= {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
        properties = {
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol}" for name, protocol in protocols.items()
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,OAUTHBEARER",
        }
        for name, listener in LISTENERS.items():
            properties |= self._properties_of(f"listener.name.{name.lower()}.", listener)
        return properties

    def _properties_of(self, prefix: str, listener: Listener) -> Mapping[str, str]:
        properties: dict[str, str] = {}
        if listener.certificate:
            properties |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(self._key_store(listener.certificate)),
            }
        if listener.needs_client_certificate:
            properties |= {
                "ssl.client.auth": "required",
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.ca),
            }
        if "SASL" in listener.protocol:
            properties |= {
                "scram-sha-512.sasl.jaas.config": f"{_JAAS}.scram.ScramLoginModule required;",
                "oauthbearer.sasl.jaas.config": (
                    f"{_JAAS}.oauthbearer.OAuthBearerLoginModule required "
                    'unsecuredLoginStringClaim_sub="broker";'
                ),
                "oauthbearer.sasl.server.callback.handler.class": (
                    f"{_JAAS}.oauthbearer.internals.unsecured."
                    "OAuthBearerUnsecuredValidatorCallbackHandler"
                ),
            }
        return {prefix + name: value for name, value in properties.items()}


def variables(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings as the environment has them."""
    return {f"TRACK_{name.upper()}": value for name, value in settings.items()}


def _free_ports(count: int) -> list[int]:
    """Ports that differ."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


class _SecureLayout(Layout):
    """The listeners beside the plain one, and the worker's user from the beginning."""

    format_flags = (
        "--standalone",
        "--add-scram",
        f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]",
    )

    def __init__(self, directory: Path, addresses: str) -> None:
        super().__init__(directory)
        self._addresses = addresses

    def write(self, port: int, controller_port: int, properties: Mapping[str, str]) -> None:
        """As usual, with more listeners."""
        plain = f"PLAINTEXT://{HOST}:{port}"
        more = {
            "listeners": f"{plain},CONTROLLER://{HOST}:{controller_port},{self._addresses}",
            "advertised.listeners": f"{plain},{self._addresses}",
        }
        super().write(port, controller_port, {**properties, **more})


def _key_store(certificate: trustme.LeafCert) -> bytes:
    """Key and certificates in the form that Kafka reads: the key as PKCS#8."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem + b"".join(blob.bytes() for blob in certificate.cert_chain_pems)


def _all_of(user: str) -> AclBindingFilter:
    any_name: Any = None  # the stubs want a text
    return AclBindingFilter(
        ResourceType.ANY,
        any_name,
        ResourcePatternType.ANY,
        f"User:{user}",
        any_name,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )


def _only(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _binding(grant: Grant, user: str) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if grant.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        grant.kind,
        grant.name,
        pattern,
        f"User:{user}",
        "*",
        grant.operation,
        AclPermissionType.ALLOW,
    )
