"""What commands have in common: `--config`, the flags of single settings, and types of values."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from pipeline import __version__
from pipeline.core.contract import Identity
from pipeline.core.formats import with_plain_json
from pipeline.core.process import Processor
from pipeline.core.time_window import read_moment
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
    "--other-topic",
)
"""Flags that tell a command which worker's pipeline it looks at."""

_Function = Callable[..., Any]
_Value = TypeVar("_Value")
_ASKED_AT: Final = f"{__name__}.asked_at"


class Number(click.FloatRange):
    """A number within bounds; `nan` and `inf`, which no bound excludes, are rejected."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """See click."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


RATE: Final = Number(0.001)
"""Maximum number per second."""
SHARE: Final = Number(0, 1)


class Parsed(click.ParamType[_Value]):
    """A type whose values are parsed by `read`; the text of its ValueError is shown to the user."""

    def __init__(self, name: str, read: Callable[[str], _Value]) -> None:
        self.name = name
        self._read = read

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> _Value:
        """See click."""
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def utf8_text(text: str) -> str:
    """Return the text if it is valid UTF-8; raise ValueError otherwise."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} is not UTF-8 text") from None
    return text


def asked_at() -> int:
    """The time that an age such as `2h` is counted back from, in epoch milliseconds.

    It is the same for all options of a command.
    """
    now: int = click.get_current_context().meta.setdefault(_ASKED_AT, time.time_ns() // 1_000_000)
    return now


class Moment(Parsed[int | None]):
    """A start or end of a time window, in epoch milliseconds; None for the word `unbounded`."""

    def __init__(self, unbounded: str) -> None:
        self._unbounded = unbounded
        super().__init__("time", self._moment)

    def _moment(self, text: str) -> int | None:
        if text == self._unbounded:
            return None
        return read_moment(text, asked_at(), f"{self._unbounded} for no limit")


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
    """Build the processor for these settings, for commands that need no Kafka.

    It reads plain JSON whatever `input.format` is, and framed records where that allows them. Its
    outputs are JSON.
    """
    identity = Identity(app=f"track-pipeline/{__version__}")
    if settings.input.format == "json":
        return Processor(settings, identity)
    # Here: for plain JSON nothing of Kafka is imported.
    from pipeline.wiring import formats  # noqa: PLC0415

    return Processor(settings, identity, with_plain_json(formats(settings, writes=False)))


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
    """Make the click option of a setting, whose value is checked with all other settings."""
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
    if "text" not in choices:
        return choices.replace(", ", "|").replace(" or ", "|")
    return "URL" if leaf.name.endswith(".url") else "NAME"


def _help(leaf: Leaf) -> str:
    text = (leaf.field.description or "").partition(". ")[0]
    default = "" if leaf.default is None else f" [default: {leaf.default}]"
    return f"{text[:1].upper()}{text[1:]}.{default}"


def _event_time(text: str) -> int:
    """Parse a time in any form that events may have, as epoch milliseconds after 1970."""
    found = read_time(text)
    if found is None or found[0] <= 0:
        raise ValueError(f"{text!r} is not a time after 1970, such as 2015-12-12T19:11:01.266Z")
    return found[0]


def config_file() -> tuple[str, ...]:
    """The `--config` file of the running command, which counts as an input file."""
    config = click.get_current_context().params.get("config")
    return () if config is None else (str(config),)


overwrite_option: Final = click.option(
    "--overwrite", is_flag=True, help="Replace the file that is written, if it exists."
)
received_at_option: Final = click.option(
    "--received-at",
    type=Parsed("time", _event_time),
    metavar="TIME",
    help="When the events were received, where they do not say it themselves (ISO-8601).",
)
