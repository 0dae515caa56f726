"""What commands have in common: `--config` and the flags of single settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from pipeline import __version__
from pipeline.cli.param_types import Parsed
from pipeline.core.contract import Identity
from pipeline.core.process import Processor
from pipeline.core.timestamps import read_time
from pipeline.errors import SettingsError
from pipeline.settings.model import Settings, load_settings
from pipeline.settings.names import FLAGS, Leaf, allowed, leaves

BOOTSTRAP_SERVERS: Final = "bootstrap.servers"
PIPELINE_FLAGS: Final = (
    "--bootstrap-servers",
    "--group",
    "--raw-topic",
    "--enriched-topic",
    "--dead-letter-topic",
    "--identify-topic",
)
"""Of commands that look at what a worker has done: which one it is."""

_Function = Callable[..., Any]


def with_settings(*flags: str, needs_kafka: bool = False) -> Callable[[_Function], _Function]:
    """Decorate a command: adds `--config` and the flags, passes the argument `settings`.

    `flags` are names of `pipeline.settings.names.FLAGS`. With `needs_kafka` a missing
    bootstrap.servers is a SettingsError like any other.
    """
    by_parameter = {_parameter(flag): FLAGS[flag] for flag in flags}

    def decorate(function: _Function) -> _Function:
        @wraps(function)
        def call(*args: Any, config: Path | None, **given: Any) -> Any:  # noqa: ANN401  click's
            values = {name: given.pop(key) for key, name in by_parameter.items()}
            settings = load_settings(config, values, os.environ)
            if needs_kafka:
                require_kafka(settings)
            return function(*args, settings=settings, **given)

        command: _Function = call
        for flag in reversed(flags):
            command = _flag_option(flag)(command)
        return _CONFIG(command)

    return decorate


def offline_processor(settings: Settings) -> Processor:
    """The contract under these settings, for commands that need no Kafka."""
    return Processor(settings, Identity(app=f"track-pipeline/{__version__}"))


def require_kafka(settings: Settings) -> None:
    """Raise SettingsError unless the settings name a broker."""
    if not settings.kafka.get(BOOTSTRAP_SERVERS):
        problem = (
            "kafka.bootstrap.servers: is not set; give --bootstrap-servers host:port, the variable "
            "TRACK_KAFKA_BOOTSTRAP_SERVERS, or the key in the --config file"
        )
        raise SettingsError([problem])


def _parameter(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


_LEAVES: Final = {leaf.name: leaf for leaf in leaves(Settings)}
_CONFIG: Final = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file with settings; environment variables TRACK_… and flags override it.",
)


def _flag_option(flag: str) -> Callable[[_Function], _Function]:
    """The click option of a setting; the settings check its value, together with all others."""
    name = FLAGS[flag]
    leaf = _LEAVES.get(name)
    if leaf is None:
        return click.option(
            flag, _parameter(flag), metavar="HOST:PORT,…", help="Kafka brokers to begin with."
        )
    return click.option(flag, _parameter(flag), metavar=_metavar(leaf), help=_help(leaf))


def _metavar(leaf: Leaf) -> str:
    choices = allowed(leaf.field)
    if "number" in choices:
        return "N"
    return choices.replace(", ", "|").replace(" or ", "|") if "text" not in choices else "NAME"


def _help(leaf: Leaf) -> str:
    text = (leaf.field.description or "").partition(". ")[0]
    default = "" if leaf.default is None else f" [default: {leaf.default}]"
    return f"{text[:1].upper()}{text[1:]}.{default}"


def _time(text: str) -> int:
    """A time as events may have it, as epoch milliseconds after 1970."""
    time = read_time(text)
    if time is None or time[0] <= 0:
        raise ValueError(f"{text!r} is no time after 1970, such as 2015-12-12T19:11:01.266Z")
    return time[0]


def config_file() -> tuple[str, ...]:
    """The `--config` file of the command that runs, which is an input as others are."""
    config = click.get_current_context().params.get("config")
    return () if config is None else (str(config),)


overwrite_option: Final = click.option(
    "--overwrite", is_flag=True, help="Replace the file that is written, if it exists."
)
received_at_option: Final = click.option(
    "--received-at",
    type=Parsed("time", _time),
    metavar="TIME",
    help="When the events were received, where they do not say it themselves (ISO-8601).",
)
