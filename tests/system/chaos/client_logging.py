"""Silences the Kafka clients of the chaos suite, which would log every broken connection."""

from __future__ import annotations

import logging
from typing import Any, Final

_LOG: Final = logging.getLogger("tests.chaos.librdkafka")
_LOG.disabled = True
SILENT: Final[dict[str, Any]] = {"logger": _LOG}
"""Client properties that turn logging off."""
