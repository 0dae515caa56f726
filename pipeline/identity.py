"""Identity of a run: new ids, and the user and host."""

from __future__ import annotations

import getpass
import secrets
import socket
from typing import Final

from pipeline.core.timestamps import format_time

_ID_BYTES: Final = 2


def new_id(kind: str, now: int) -> str:
    """A new id such as `redrive-20261123T152200Z-ab12`; `now` is epoch milliseconds."""
    return f"{kind}-{stamp(now)}"


def stamp(now: int) -> str:
    """A time and a random suffix, such as `20261123T152200Z-ab12`."""
    moment = format_time(now)[:19].replace("-", "").replace(":", "")
    return f"{moment}Z-{secrets.token_hex(_ID_BYTES)}"


def whoami() -> str:
    """The current user and host, `user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
