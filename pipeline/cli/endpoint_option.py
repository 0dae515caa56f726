"""The option `--url` of the commands that ask the endpoints of workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from pipeline.cli.options import Parsed
from pipeline.monitor.endpoint_client import endpoint_url

_Function = Callable[..., Any]


def url_option(help_text: str) -> Callable[[_Function], _Function]:
    """Return the option, with what it means for a command."""
    return click.option(
        "--url",
        "urls",
        type=Parsed("url", endpoint_url),
        multiple=True,
        metavar="URL",
        help=help_text,
    )
