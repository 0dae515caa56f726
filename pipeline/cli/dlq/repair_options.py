"""Options of a repair: a Python file, or built-in fixes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from pipeline.cli.options import Parsed
from pipeline.dlq.builtin_repairs import (
    Fix,
    default_value,
    delete_member,
    repair_of,
    replace_text,
    set_value,
)
from pipeline.dlq.repair import Repair, no_repair
from pipeline.dlq.transform_file import EVENT_TIMEOUT_S, load_transform

_Function = Callable[..., Any]


def _fix(flag: str, metavar: str, read: Callable[[str], Fix], help_text: str) -> Any:  # noqa: ANN401  click's
    return click.option(
        flag,
        f"fixes_{flag.removeprefix('--')}",
        type=Parsed("fix", read),
        multiple=True,
        metavar=metavar,
        help=help_text,
    )


_OPTIONS: Final = (
    click.option(
        "--transform",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Python file with transform(event, dead_letter) or transform_bytes(value, "
        "dead_letter), which return what to try, or None to leave the dead letter out.",
    ),
    click.option(
        "--transform-timeout",
        type=click.IntRange(1, 3600),
        default=EVENT_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="Maximum time that the function of the file may take for one event.",
    ),
    _fix(
        "--set",
        "POINTER=VALUE",
        set_value,
        "Set a member, such as /properties/currency=EUR, of dead letters with a violation there.",
    ),
    _fix("--delete", "POINTER", delete_member, "Remove a member."),
    _fix("--default", "POINTER=VALUE", default_value, "Set a member that is absent or null."),
    _fix("--replace", "POINTER=REGEX=TEXT", replace_text, "Replace all matches in a text."),
    click.option(
        "--everywhere",
        is_flag=True,
        help="Apply --set, --delete, --default and --replace also to events without a violation at "
        "that location.",
    ),
)
REPAIR_FLAGS: Final = (
    "--transform",
    "--transform-timeout",
    "--set",
    "--delete",
    "--default",
    "--replace",
    "--everywhere",
)
_FIXES: Final = ("fixes_set", "fixes_delete", "fixes_default", "fixes_replace")


def with_repair(function: _Function) -> _Function:
    """Decorate a command: adds the options and passes `repair`; UnusableFileError for the file."""

    @wraps(function)
    def call(  # one for each option
        *args: Any,  # noqa: ANN401  click's
        transform: Path | None,
        transform_timeout: int,
        everywhere: bool,
        **given: Any,  # noqa: ANN401  click's
    ) -> Any:  # noqa: ANN401  click's
        fixes = [fix for name in _FIXES for fix in given.pop(name)]
        if transform is not None and fixes:
            raise click.UsageError("--transform and the built-in fixes exclude each other")
        with ExitStack() as stack:
            repair: Repair = no_repair()
            if transform is not None:
                from_file = load_transform(transform, transform_timeout)
                stack.callback(from_file.end)
                repair = from_file
            elif fixes:
                repair = repair_of(fixes, everywhere=everywhere)
            return function(*args, repair=repair, **given)

    command: _Function = call
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
