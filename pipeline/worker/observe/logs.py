"""Log output: its destination, its form and its levels."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal

import structlog

from pipeline.core.escape import escaped, one_line
from pipeline.worker.observe.sentences import IdleFilter, SentenceRenderer

LogFormat = Literal["auto", "json", "console"]
_OF_LINES: Final = frozenset({"exception", "frames"})
"""Keys of tracebacks, the only values with more than one line."""


def configure_logging(log_format: LogFormat, level: str) -> None:
    """Send log lines of structlog and the standard library to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler()
    renderer: Any = structlog.processors.JSONRenderer()
    if is_for_people(log_format):
        handler.addFilter(IdleFilter())
        coloured = _coloured(os.environ, on_terminal=sys.stderr.isatty())
        renderer = SentenceRenderer(coloured=coloured)
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


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a structured logger that writes to the standard logger of this name.

    Its lines look as `configure_logging` says. In a program that has configured nothing they follow
    Python's own rules: warnings and errors go to standard error, and nothing to standard output.
    """
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name), wrapper_class=structlog.stdlib.BoundLogger
    )
    return logger


def is_for_people(log_format: LogFormat) -> bool:
    """Return whether somebody watches the log: its lines are sentences then."""
    return log_format == "console" or (log_format == "auto" and sys.stderr.isatty())


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
