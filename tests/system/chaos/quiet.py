"""Clients of the chaos suite do not print what they think of a broken network."""

from __future__ import annotations

import logging
from typing import Any, Final

_LOG: Final = logging.getLogger("tests.chaos.librdkafka")
_LOG.disabled = True
QUIET: Final[dict[str, Any]] = {"logger": _LOG}
