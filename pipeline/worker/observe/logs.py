"""Where log lines go, and what they look like."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal

import structlog

from pipeline.core.escape import escaped, one_line

LogFormat = Literal["auto", "json", "console"]
_OF_LINES: Final = frozenset({"exception", "frames"})
"""Keys of tracebacks, the only values with more than one line."""


def configure_logging(log_format: LogFormat, level: str) -> None:
    """Send log lines of structlog and the standard library to standard error."""
    on_terminal = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any
    if log_format == "json" or (log_format == "auto" and not on_terminal):
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=_coloured(os.environ, on_terminal=on_terminal),
            exception_formatter=structlog.dev.plain_traceback,
        )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _with_escapes,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # librdkafka's own lines are for debugging; our messages contain what matters in them.
    logging.getLogger("pipeline.librdkafka").setLevel(
        logging.DEBUG if level.lower() == "debug" else logging.CRITICAL
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _coloured(environ: Mapping[str, str], *, on_terminal: bool) -> bool:
    """Follow the conventions of NO_COLOR, FORCE_COLOR and TERM, as tables do."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return on_terminal and environ.get("TERM") not in {"dumb", "unknown"}


def _with_escapes(_logger: object, _method: str, line: Any) -> Any:  # noqa: ANN401  structlog's
    """Escape all values, so that none can drive a terminal, forge a line or reverse text."""
    return {
        key: escaped(value) if key in _OF_LINES and isinstance(value, str) else _readable(value)
        for key, value in line.items()
    }


def _readable(value: Any) -> Any:  # noqa: ANN401  whatever is logged
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {_readable(key): _readable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(each) for each in value]
    return value
