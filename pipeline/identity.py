"""Names that commands give: to what they do, and to who does it."""

from __future__ import annotations

import getpass
import secrets
import socket
from typing import Final

from pipeline.core.timestamps import format_time

_ID_BYTES: Final = 2


def new_id(kind: str, now: int) -> str:
    """`redrive-20261123T152200Z-ab12`; `now` is epoch milliseconds."""
    return f"{kind}-{stamp(now)}"


def stamp(now: int) -> str:
    """`20261123T152200Z-ab12`."""
    moment = format_time(now)[:19].replace("-", "").replace(":", "")
    return f"{moment}Z-{secrets.token_hex(_ID_BYTES)}"


def whoami() -> str:
    """`user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
