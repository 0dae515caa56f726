"""Ports on loopback for the embedded Kafka, and whether a broker serves on one."""

from __future__ import annotations

import secrets
import socket
import struct
from typing import Final

HOST: Final = "127.0.0.1"

_FREE: Final = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections: among those, a client that retries
while the broker is down can end up connected to itself, and so keep the broker's port."""
_ATTEMPTS: Final = 100
_ANSWER_S: Final = 1.0
_METADATA: Final = struct.pack(">hhihi", 3, 1, 0, -1, 0)
"""Kafka's request 3 in version 1: correlation id 0, no client id, no topics."""
_ANSWER: Final = struct.Struct(">iii")
"""Beginning of the answer: length, correlation id, number of brokers."""


def obstacle(port: int) -> str | None:
    """Say why a server can't listen on this port, as the end of a sentence; None when it can."""
    if port not in range(1, 1 << 16):
        return "is not a port number from 1 to 65535"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Kafka does
        try:
            probe.bind((HOST, port))
        except PermissionError:
            return "is not allowed for this user"
        except OSError:
            return "is taken by another program"
    return None


def free_port(but: int | None = None) -> int:
    """Choose a port that nothing listens on, other than `but`.

    Raises:
        OSError: none was found.
    """
    for _ in range(_ATTEMPTS):
        port = secrets.choice(_FREE)
        if port != but and obstacle(port) is None:
            return port
    raise OSError(0, "no free port was found", HOST)


def serves(port: int) -> bool:
    """Whether a Kafka broker answers on this port and knows of a broker that is up."""
    try:
        with socket.create_connection((HOST, port), timeout=_ANSWER_S) as connection:
            connection.sendall(struct.pack(">i", len(_METADATA)) + _METADATA)
            answer = connection.makefile("rb").read(_ANSWER.size)
    except OSError:
        return False
    brokers = _ANSWER.unpack(answer)[2] if len(answer) == _ANSWER.size else 0
    return bool(brokers > 0)
