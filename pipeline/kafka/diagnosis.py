"""Finds out why a cluster can't be reached: the client itself only reports a timeout.

Looks at the first brokers with plain sockets, only after the client has failed, and for a few
seconds at most.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError

from pipeline.errors import OutcomeUnknownError
from pipeline.kafka import error_codes
from pipeline.kafka import tls_diagnosis as tls
from pipeline.kafka.call_timeout import TimedCalls
from pipeline.kafka.errors import LastClientError, reason

Address = tuple[str, int]
"""Host and port."""
_LIMIT_S: Final = 6.0
"""Time limit for each broker: three steps of two seconds."""
_LOOKED_AT: Final = 3
"""Number of brokers that are looked at."""
_USUAL_PORT: Final = 9092
_SASL_HANDSHAKE: Final = 17
_UNSUPPORTED_MECHANISM: Final = 33
_NO_AUTHENTICATION: Final = 34
"""Kafka's error codes UNSUPPORTED_SASL_MECHANISM and ILLEGAL_SASL_STATE."""
_LONGEST_ANSWER: Final = 65_536
_NOISE: Final = re.compile(r"^\w+: |\w+://\S+: | \(after \d+ms in state \w+\)$")
"""Text that the client adds to a cause: its code, the connection, the time."""
_ADVERTISED: Final = re.compile(r"(?P<host>[\w.-]+|\[[\w:.%]+\]):(?P<port>\d{1,5})/\d+: ")
"""The client's name for a broker that it knows from metadata. Brokers of the settings have
`/bootstrap` in place of the number."""


class _HandshakeAnswer(NamedTuple):
    """A broker's answer to the question whether it supports a SASL mechanism."""

    code: int
    mechanisms: list[str]


def diagnosis(
    kafka: Mapping[str, Any], last_error: LastClientError, advertised: Sequence[Address] = ()
) -> str:
    """Return `: <what is wrong, what to do>`, or nothing when neither we nor the client know.

    `advertised` are the addresses that the brokers advertise, where they are known.
    """
    found = _looked_at(_addresses(kafka), lambda address: _fault(address, kafka))
    well = [address for address, fault in found if fault is None]
    if not well:
        return f": {found[0][1]}" if found else last_error.sentence()
    elsewhere = _elsewhere(well[0], advertised or _named_in(last_error))
    if elsewhere is not None:
        return f": {elsewhere}"
    # At least one broker looks well from outside, so only authentication is left.
    last = last_error.error
    if last is None or last.code() != error_codes.AUTHENTICATION_FAILED:
        return last_error.sentence()
    return f": {_authentication_fault(last, kafka)}"


def _addresses(kafka: Mapping[str, Any]) -> list[Address]:
    """Return the bootstrap addresses; a scheme before the name is allowed."""
    servers = str(kafka.get("bootstrap.servers") or kafka.get("metadata.broker.list") or "")
    found = []
    for server in filter(None, (text.strip() for text in servers.split(","))):
        host, _, port = server.rpartition("://")[2].rpartition(":")
        if not port.isdecimal():
            host, port = server, str(_USUAL_PORT)
        found.append((host.strip("[]"), int(port)))
    return found


def _looked_at(
    addresses: Sequence[Address], fault: Callable[[Address], str | None]
) -> list[tuple[Address, str | None]]:
    """Return the first addresses, each with what is wrong with it, or None."""
    found: list[tuple[Address, str | None]] = []

    def look(address: Address) -> None:
        found.append((address, fault(address)))

    calls = TimedCalls()
    # An impossible address raises ValueError or OverflowError.
    with contextlib.suppress(OutcomeUnknownError, OSError, ValueError, OverflowError):
        for address in addresses[:_LOOKED_AT]:
            calls.call(partial(look, address), _LIMIT_S, "")
    calls.end()
    return found


def _named_in(last_error: LastClientError) -> list[Address]:
    """Return the broker that the client failed to reach, if it knows it from metadata."""
    named = None if last_error.error is None else _ADVERTISED.search(last_error.error.str())
    return [] if named is None else [(named["host"].strip("[]"), int(named["port"]))]


def _elsewhere(answering: Address, advertised: Sequence[Address]) -> str | None:
    """Say that a broker answers but advertises an address that can't be reached from here."""
    found = _looked_at(advertised, _out_of_reach)
    wrong = next(((address, why) for address, why in found if why is not None), None)
    if wrong is None:
        return None
    address, why = wrong
    whom = "itself" if len(advertised) == 1 else "one of the brokers"
    return (
        f"the broker at {_name(answering)} answers but advertises {whom} as {_name(address)}, "
        f"{why}: correct its advertised.listeners, or make that address reachable from here"
    )


def _out_of_reach(address: Address) -> str | None:
    try:
        tls.connected(address).close()
    except ConnectionRefusedError:
        return "where nothing listens"
    except socket.gaierror:
        return "a name that can't be resolved here"
    except OSError:
        return "which can't be reached from here"
    return None


def _name(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _fault(address: Address, kafka: Mapping[str, Any]) -> str | None:
    name = _name(address)
    try:
        plain = tls.connected(address)
    except ConnectionRefusedError:
        return f"nothing listens at {name} (connection refused): check the port, and the broker"
    except socket.gaierror as error:
        return f"the name {address[0]} can't be resolved ({error.strerror}): check its spelling"
    except OSError as error:
        said = error.strerror or "it does not answer"
        return f"{name} can't be reached ({said}): check for a firewall in between"
    with plain:
        fault = _fault_of_connection(plain, address, kafka)
    return None if fault is None else f"{name} {fault}"


def _fault_of_connection(
    plain: socket.socket, address: Address, kafka: Mapping[str, Any]
) -> str | None:
    if not tls.uses_tls(kafka):
        if tls.speaks_tls(address):
            return "speaks TLS only: set security.protocol to SSL or SASL_SSL"
        return _fault_of_authentication(plain, kafka)
    try:
        connection = tls.secured(plain, address[0], kafka)
    except FileNotFoundError:
        return None  # the client itself names the file
    except OSError as error:
        return tls.handshake_fault(error, address, kafka)
    with connection:
        try:
            return _fault_of_authentication(connection, kafka)
        except ssl.SSLError as error:
            # Since TLS 1.3 a client certificate is rejected after the handshake.
            return tls.refused_by_broker(error.reason or "no reason given", kafka)


def _fault_of_authentication(connection: socket.socket, kafka: Mapping[str, Any]) -> str | None:
    protocol = str(kafka.get("security.protocol", "PLAINTEXT")).upper()
    mechanism = str(kafka.get("sasl.mechanism") or kafka.get("sasl.mechanisms") or "GSSAPI")
    answer = _handshake(connection, mechanism)
    if answer is None:
        return None
    encrypted = tls.uses_tls(kafka)
    if protocol.startswith("SASL"):
        if answer.code == _NO_AUTHENTICATION:
            wanted = "SSL" if encrypted else "PLAINTEXT"
            return f"uses no authentication: set security.protocol to {wanted}, or use another port"
        if answer.code == _UNSUPPORTED_MECHANISM:
            offered = " or ".join(answer.mechanisms)
            return (
                f"does not support authentication by {mechanism}: set sasl.mechanism to {offered}"
            )
        return None
    if answer.code == _NO_AUTHENTICATION:
        return None
    wanted = "SASL_SSL" if encrypted else "SASL_PLAINTEXT"
    return (
        f"requires authentication: set security.protocol to {wanted}, and sasl.mechanism, "
        "sasl.username and sasl.password to yours"
    )


def _handshake(connection: socket.socket, mechanism: str) -> _HandshakeAnswer | None:
    """Begin a SASL handshake. None when there is no answer that Kafka would give."""
    name = mechanism.encode()
    request = struct.pack(">hhihh", _SASL_HANDSHAKE, 1, 0, -1, len(name)) + name
    try:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as answers:
            (size,) = struct.unpack(">i", answers.read(4))
            answer = answers.read(size) if 0 < size <= _LONGEST_ANSWER else b""
        return _read_answer(answer)
    except ssl.SSLError:
        raise
    except (OSError, struct.error, UnicodeDecodeError):
        return None


def _read_answer(answer: bytes) -> _HandshakeAnswer:
    _, code, count = struct.unpack_from(">ihi", answer)
    position, mechanisms = 10, []
    for _ in range(count):
        (length,) = struct.unpack_from(">h", answer, position)
        position += 2 + length
        mechanisms.append(answer[position - length : position].decode())
    return _HandshakeAnswer(code, mechanisms)


def _authentication_fault(error: KafkaError, kafka: Mapping[str, Any]) -> str:
    said = _NOISE.sub("", reason(error))
    if "OAUTHBEARER" in str(kafka.get("sasl.mechanism") or kafka.get("sasl.mechanisms")):
        return f"authentication fails ({said}): correct the properties sasl.oauthbearer.…"
    user = kafka.get("sasl.username", "(none)")
    return (
        f"the broker rejects the authentication of user {user} ({said}): correct sasl.username "
        "and sasl.password"
    )
