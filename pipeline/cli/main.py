"""The command `track-pipeline`: its subcommands, and how every failure ends.

Commands are imported only when they are called, so that `transform` needs no Kafka client. A
failure that a user can do something about is one sentence on standard error and an exit code.
"""

from __future__ import annotations

import importlib
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple, NoReturn

import click

from pipeline import __version__
from pipeline.cli.streams import ReaderGoneError, connect_streams, let_go_of_streams
from pipeline.cli.termination import Terminated, end_as_asked, unwind_on_signals
from pipeline.compiled.choice import chosen
from pipeline.core.escape import escaped
from pipeline.errors import ExitCode, TrackError

PROGRAM: Final = "track-pipeline"


class WaitHandler(logging.Handler):
    """Prints what a tool waits for on standard error, a sentence behind the program's name."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the sentence; a closed standard error must not end the work."""
        with suppress(OSError):
            click.echo(f"{PROGRAM}: {record.getMessage()}", err=True)


def _print_waits() -> None:
    waits = logging.getLogger("pipeline.waits")
    if not any(isinstance(each, WaitHandler) for each in waits.handlers):
        waits.addHandler(WaitHandler())
        waits.propagate = False


class Listed(NamedTuple):
    """A command of a group: the module that it is in, and a one-line summary."""

    module: str
    summary: str
    attribute: str = ""
    """Name of the function in the module, when it is not the command's own name."""


class CommandTree(click.Group):
    """A group whose commands are `listed` by name, in the order of the help text."""

    def __init__(self, *args: Any, listed: Mapping[str, Listed], **kwargs: Any) -> None:  # noqa: ANN401  click's
        super().__init__(*args, **kwargs)
        self._listed = listed

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of all commands, in the order of the help text."""
        del ctx
        return list(self._listed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of this name."""
        del ctx
        listed = self._listed.get(cmd_name)
        if listed is None:
            return None
        module = importlib.import_module(listed.module)
        command: click.Command = getattr(module, listed.attribute or cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command as click does, but suggest commands that are not imported yet, too."""
        name = args[0]
        if name not in self._listed and not name.startswith("-"):
            raise click.exceptions.NoSuchCommand(name, possibilities=self._listed, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.summary) for name, each in self._listed.items()])


COMMANDS: Final = {
    "demo": Listed("pipeline.cli.demo", "Run the whole pipeline on a temporary local Kafka."),
    "transform": Listed("pipeline.cli.transform", "Enrich files of events, without Kafka."),
    "explain": Listed("pipeline.cli.explain", "Show what each rule does to one event."),
    "generate": Listed(
        "pipeline.cli.generate", "Generate realistic events for tests and benchmarks."
    ),
    "topics": Listed("pipeline.cli.topics", "Create the topics, or fix existing ones."),
    "schemas": Listed(
        "pipeline.cli.schemas", "Register and check Avro schemas in a Schema Registry."
    ),
    "check": Listed("pipeline.cli.check", "Check settings, broker and topics."),
    "run": Listed(
        "pipeline.cli.run", "Run the worker: raw topic in, enriched topic out, exactly once."
    ),
    "status": Listed(
        "pipeline.cli.status", "Show how a pipeline is, from the cluster or from its workers."
    ),
    "top": Listed("pipeline.cli.top", "Show rates, lag and health of running workers, live."),
    "watch": Listed(
        "pipeline.cli.watch", "Serve metrics of a pipeline from the cluster alone, as a service."
    ),
    "leave": Listed(
        "pipeline.cli.leave", "Remove the instance id of a stopped worker from its group."
    ),
    "audit": Listed("pipeline.cli.audit", "Prove that every raw event has its one outcome."),
    "replay": Listed("pipeline.cli.replay", "Run the rules over part of the raw topic again."),
    "dlq": Listed("pipeline.cli.dlq", "Inspect, repair and redrive dead letters."),
}
"""Commands in the order in which a newcomer needs them."""


class Program(CommandTree):
    """The root command, which turns every failure into a sentence and an exit code."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of this name."""
        try:
            return super().get_command(ctx, cmd_name)
        except Exception as error:
            raise failure_of(error, ctx) from error

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401  click's
    ) -> click.Context:
        """Parse the arguments; `--help` and `--version` print here already."""
        with _as_failures(None):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  click's
        """Run a command; whatever it raises becomes a Failure."""
        _print_waits()
        with _as_failures(ctx):
            try:
                result = super().invoke(ctx)
            except click.exceptions.Exit:
                sys.stdout.flush()  # fails here, where it can be told, and not when Python exits
                raise
            sys.stdout.flush()
            return result


class Failure(click.ClickException):
    """A failure of the program: a sentence for standard error, and the exit code."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the object too

    def show(self, file: Any = None) -> None:  # noqa: ANN401  click's
        """Print each line of the message behind the program's name."""
        del file
        if not self.message:
            return
        # Only our own line feeds divide it: splitlines() knows others, which a topic may hold.
        for line in escaped(self.message).split("\n"):
            with suppress(OSError):  # the exit code tells it where standard error does not
                click.echo(f"{PROGRAM}: {line}", err=True)


_QUIET: Final[dict[type[BaseException], ExitCode]] = {
    Terminated: ExitCode.INTERRUPTED,  # main() ends by the signal itself
    ReaderGoneError: ExitCode.READER_GONE,  # as quiet as every program in front of `head`
}
"""Errors that end the program silently."""


def code_of(error: BaseException) -> ExitCode | None:
    """Exit code of an error whose text is a sentence for the user; None for other errors."""
    if not isinstance(error, TrackError) or error.exit_code == ExitCode.INTERNAL:
        return None
    return error.exit_code


@contextmanager
def _as_failures(ctx: click.Context | None) -> Iterator[None]:
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except (Exception, KeyboardInterrupt) as error:
        raise failure_of(error, ctx) from error


def failure_of(error: BaseException, ctx: click.Context | None) -> Failure:
    """Translate an error that a command raises into the failure that ends the program."""
    if isinstance(error, Failure):
        return error
    code = code_of(error)
    if code is not None:
        return Failure(". ".join([str(error), *getattr(error, "__notes__", ())]), code)
    quiet = next((code for kind, code in _QUIET.items() if isinstance(error, kind)), None)
    if quiet is not None:
        return Failure("", quiet)
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted", ExitCode.INTERRUPTED)
    if isinstance(error, OSError):
        return Failure(_system_sentence(error), ExitCode.INPUT_OUTPUT)
    return _internal(error, ctx)


def _system_sentence(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def _internal(error: BaseException, ctx: click.Context | None) -> Failure:
    """Report a bug in this program; show the traceback only with --traceback."""
    if ctx is not None and ctx.find_root().params.get("traceback"):
        with suppress(OSError):
            click.echo(escaped("".join(traceback.format_exception(error))), err=True)
    text = " ".join(str(error).split())
    return Failure(
        f"internal error, {type(error).__name__}: {text}: please report it, with what "
        f"`{PROGRAM} --traceback …` prints",
        ExitCode.INTERNAL,
    )


@click.group(
    cls=Program,
    listed=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `track-pipeline demo`. Each command has examples at the end of its --help.",
)
@click.version_option(
    __version__,
    "--version",
    prog_name=PROGRAM,
    message=f"%(prog)s, version %(version)s\ncore: {chosen()}",
)
@click.option("--traceback", is_flag=True, help="Show the traceback of an internal error.")
def cli(*, traceback: bool) -> None:
    """Enrich Segment-style track events, exactly once, on Kafka or without it."""
    del traceback  # read from the context where an error ends


def main() -> NoReturn:
    """Entry point of the program."""
    connect_streams()
    unwind_on_signals()
    try:
        cli(prog_name=PROGRAM)
    except OSError:  # click could not write its sentence about wrong usage to standard error
        sys.exit(ExitCode.USAGE)
    finally:
        let_go_of_streams()
        end_as_asked()
    raise AssertionError  # click exits
