"""Checks the addresses of brokers."""

from __future__ import annotations

import re
from typing import Final

SERVERS: Final = frozenset({"bootstrap.servers", "metadata.broker.list"})
"""Names of the property that holds the addresses."""
_PROTOCOLS: Final = frozenset({"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"})
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\]")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_LARGEST_PORT: Final = 65_535
_EXAMPLE: Final = "write host:port, several separated by commas, such as kafka1:9092,kafka2:9092"


def servers_problem(text: str, protocol: str | None) -> str | None:
    """The problem with a list of addresses; `protocol` is the clients' security.protocol."""
    servers = [server.strip(" ") for server in text.split(",")]
    named = list(filter(None, servers))
    if not named:
        return f"contains no broker: {_EXAMPLE}"
    found = (_problem(server, (protocol or "PLAINTEXT").upper()) for server in named)
    return next(filter(None, found), None)


def _problem(server: str, protocol: str) -> str | None:
    scheme, separator, address = server.rpartition("://")
    shown = ascii(server.rpartition("@")[2])  # a password may precede it
    if separator and scheme.upper() not in _PROTOCOLS:
        return f"{shown} is a URL: {_EXAMPLE}"
    if separator and scheme.upper() != protocol:
        return f"{shown} has another protocol than security.protocol, which is {protocol}"
    fault = _fault_of(address)
    return None if fault is None else f"{shown} {fault}: {_EXAMPLE}"


def _fault_of(address: str) -> str | None:
    host, _, port = address.rpartition(":")
    if not host and address.isdecimal():
        return "is a number"
    if not host or (address.startswith("[") and address.endswith("]")):
        return "has no port (Kafka's usual one is 9092)"
    if not _HOST.fullmatch(host):
        return "is not a host and a port"
    if not (_PORT.fullmatch(port) and 0 < int(port) <= _LARGEST_PORT):
        return f"has no port from 1 to {_LARGEST_PORT}"
    return None
