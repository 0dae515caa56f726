"""`track-pipeline top`: what running workers do, from their endpoints, as it changes."""

from __future__ import annotations

import time
from functools import partial

import click

from pipeline.cli.endpoint_option import url_option
from pipeline.cli.help import Command
from pipeline.cli.live import can_draw, live_lines
from pipeline.cli.options import Number, with_settings
from pipeline.cli.output import is_terminal, output_console, print_json, print_line, print_table
from pipeline.cli.top_view import ROW_COLUMNS, endpoint_rows, picture_lines
from pipeline.errors import ExitCode, SettingsError
from pipeline.monitor.endpoint_client import EndpointPoll
from pipeline.monitor.endpoint_figures import EndpointMonitor, EndpointsPicture
from pipeline.ports import Stop
from pipeline.settings.model import Settings
from pipeline.worker.signals import stopping_on_signals


@click.command(
    cls=Command,
    groups={
        "Endpoints": ("--url", "--http-port", "--config"),
        "Output": ("--interval", "--once", "--json"),
    },
    examples={
        "The worker on this machine": "track-pipeline top --http-port 9400",
        "Two others": "track-pipeline top --url http://w-0:9400 --url http://w-1:9400",
        "For a script": "track-pipeline top --once --json --url http://w-0:9400",
    },
)
@with_settings("--http-port")
@url_option("Endpoint of a worker; may be repeated. [default: this machine, at http.port]")
@click.option(
    "--interval",
    type=Number(0.1, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two readings.",
)
@click.option("--once", is_flag=True, help="Print one picture after one interval.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; implies --once.")
def top(
    settings: Settings, urls: tuple[str, ...], interval: float, *, once: bool, as_json: bool
) -> None:
    """Show rates, lag, dead letters by reason, phases and health of running workers.

    Reads the HTTP endpoints of workers (http.port) again and again, and sums several up. Rates are
    averages of the last 10 s. An endpoint that can't be read is shown as such and tried again.
    Ctrl-C ends it with exit code 0.

    With --once, --json, or when standard output is no terminal: one result after one interval, and
    exit code 1 if an endpoint could not be read.
    """
    monitor = EndpointMonitor(EndpointPoll(urls or [_own_endpoint(settings)]))
    with stopping_on_signals() as stop:
        if can_draw() and not (once or as_json):
            _follow(monitor, interval, stop)
            return
        picture = _one_picture(monitor, interval, stop)
    if picture is None:
        return
    _print_once(picture, as_json=as_json)
    if picture.unreachable:
        click.get_current_context().exit(ExitCode.DIFFERENCE)


def _own_endpoint(settings: Settings) -> str:
    if not settings.http.port:
        raise SettingsError(
            ["http.port: is not set; give --url http://host:9400 or --http-port 9400"]
        )
    return f"http://127.0.0.1:{settings.http.port}"


def _follow(monitor: EndpointMonitor, interval: float, stop: Stop) -> None:
    with live_lines() as live:
        while not stop.is_set():
            began = time.monotonic()
            live.show(partial(picture_lines, monitor.look()))
            stop.wait(max(0.0, began + interval - time.monotonic()))


def _one_picture(monitor: EndpointMonitor, interval: float, stop: Stop) -> EndpointsPicture | None:
    """Picture with rates; None when it was interrupted."""
    monitor.look()
    return None if stop.wait(interval) else monitor.look()


def _print_once(picture: EndpointsPicture, *, as_json: bool) -> None:
    if as_json:
        print_json(picture.to_dict())
    elif is_terminal():
        for line in picture_lines(picture, output_console().width, 1000):
            print_line(line)
    else:
        print_table(ROW_COLUMNS, endpoint_rows(picture))
