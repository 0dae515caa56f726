"""Recognises variables that Kubernetes adds to each pod for the Services of its namespace.

A Service named `track`, `track-kafka` or `track-pipeline` produces variables with our prefix. Their
names and values together distinguish them from settings.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final

_NAME: Final = re.compile(
    r"TRACK(?:_[A-Z0-9]+)*?_(?:SERVICE_(?P<host>HOST)|SERVICE_(?P<port>PORT)(?:_[A-Z0-9_]+)?"
    r"|PORT(?:_[0-9]{1,5}_(?:TCP|UDP|SCTP)(?P<part>_ADDR|_PORT|_PROTO)?)?)"
)
_ADDRESS: Final = re.compile(
    r"(?:tcp|udp|sctp)://(?P<host>[0-9.]+|\[[0-9a-f:]+\]):(?P<port>[0-9]+)"
)
_PROTOCOLS: Final = frozenset({"tcp", "udp", "sctp"})

HINT: Final = (
    "no setting has this variable; if Kubernetes has added it for a Service, set "
    "enableServiceLinks: false in the pod's spec"
)


def is_named_like_service_variable(variable: str) -> bool:
    """Whether the variable is named like one that Kubernetes adds for a Service."""
    return _NAME.fullmatch(variable) is not None


def is_service_variable(variable: str, value: str) -> bool:
    """Whether the variable has such a name, and a value that Kubernetes would give it."""
    name = _NAME.fullmatch(variable)
    if name is None:
        return False
    is_expected: Callable[[str], bool] = {
        "_ADDR": _is_host,
        "_PORT": str.isdecimal,
        "_PROTO": _PROTOCOLS.__contains__,
    }.get(name["part"] or "", _is_address)
    if name["host"]:
        is_expected = _is_host
    elif name["port"]:
        is_expected = str.isdecimal
    return is_expected(value)


def _is_host(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_address(value: str) -> bool:
    parts = _ADDRESS.fullmatch(value)
    return parts is not None and _is_host(parts["host"].strip("[]"))
