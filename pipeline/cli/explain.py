"""`track-pipeline explain`: what each rule does to one event."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import click
import msgspec

from pipeline.cli.help import Command
from pipeline.cli.options import offline_processor, received_at_option, with_settings
from pipeline.cli.output import print_indented, print_json, print_line, print_notice
from pipeline.core.decode import decode
from pipeline.core.encode import encode_json
from pipeline.core.escape import escaped, long_json, one_line, short_json
from pipeline.core.json_pointer import ABSENT
from pipeline.core.json_value import JsonValue
from pipeline.core.reasons import Reason, WarningCode
from pipeline.core.record import NO_PARTITION, Output, Record, Role
from pipeline.errors import ExitCode
from pipeline.files.explain import Effect, EffectKind, Explanation
from pipeline.files.explain import explain as explain_record
from pipeline.files.lines import STDIN, open_input
from pipeline.files.outputs import check_redirection
from pipeline.files.transform import dead_letter_line

if TYPE_CHECKING:
    from pipeline.settings.model import Settings

_LONGEST_VALUE: Final = 100
_TITLES: Final = {
    Role.ENRICHED: "enriched event",
    Role.IDENTIFY: "identify message",
    Role.DEAD_LETTER: "dead letter",
    Role.OTHER: "forwarded call",
}
_GOOD: Final = frozenset({Role.ENRICHED, Role.OTHER})
"""Outcomes as wished."""
_STYLES: Final = {
    EffectKind.REJECTED: "red",
    EffectKind.WARNED: "yellow",
    EffectKind.CHANGED: "green",
    EffectKind.KEPT: "dim",
}


@click.command(
    cls=Command,
    examples={
        "One event in a file": "track-pipeline explain order.json",
        "An event that a worker has rejected": (
            "track-pipeline dlq show track.raw/0/17 --raw | track-pipeline explain"
        ),
    },
)
@click.argument("file", default=STDIN, metavar="[FILE|-]")
@received_at_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document for machines.")
@with_settings()
@click.pass_context
def explain(
    ctx: click.Context, file: str, *, received_at: int | None, as_json: bool, settings: Settings
) -> None:
    """Show what each rule does to one event, and what comes out.

    FILE (or standard input) is one JSON document over any number of lines: an event, or a batch
    envelope, of which each event is shown.

    The exit code is 0 when every event is enriched or forwarded, 1 when one is rejected or dropped.
    """
    check_redirection([file])
    if file == STDIN and sys.stdin is not None and sys.stdin.isatty():
        print_notice("reading one event from the terminal; Ctrl-D ends the input")
    with open_input(file) as source:
        value, name = source.input.document(), source.input.name
    processor = offline_processor(settings)
    record = Record(value, None, (), received_at, name, NO_PARTITION, 1)
    explained = explain_record(processor, record, time.time_ns() // 1_000_000)
    if as_json:
        document = {"events": [explanation.to_dict() for explanation in explained]}
        print_json(document)
    else:
        _print_all(explained)
        _hint(explained, value)
    good = all(explanation.outcome in _GOOD for explanation in explained)
    ctx.exit(ExitCode.OK if good else ExitCode.DIFFERENCE)


def _print_all(explained: list[Explanation]) -> None:
    for number, explanation in enumerate(explained):
        if number:
            print_line()
        print_explanation(explanation)


def print_explanation(explanation: Explanation, *, with_records: bool = True) -> None:
    """Print what each rule did to one event, and the records that are written for it."""
    good = explanation.outcome in _GOOD
    print_line(_headline(explanation), "bold green" if good else "bold red")
    for effect in explanation.effects:
        rule = f"- {effect.kind}: {effect.code} {effect.pointer}".rstrip()
        print_line(one_line(rule), _STYLES[effect.kind])
        print_indented(one_line(effect.meaning), "dim")
        if values := _values(effect):
            print_indented(values)
    if not explanation.effects:
        print_line("- no rule changed anything")
    for output in explanation.outputs if with_records else ():
        print_line(f"{_TITLES[output.role]}:", "bold")
        print_line(_text(_document(output)))


def _headline(explanation: Explanation) -> str:
    outcome = "forwarded" if explanation.outcome == Role.OTHER else explanation.outcome
    return one_line(f"{explanation.source}: {outcome.replace('_', ' ')}")


def _values(effect: Effect) -> str:
    """The values before and after; a single one when they are equal."""
    before, after = _shown(effect.before), _shown(effect.after)
    if effect.kind is EffectKind.REJECTED:
        return "" if effect.before is ABSENT else before
    if effect.code == WarningCode.LONE_SURROGATE_REPLACED:
        return after  # the half can't be shown
    if not effect.changes:
        return "" if effect.before is ABSENT else f"{before} (kept)"
    return f"{before} -> {after}"


def _shown(value: JsonValue) -> str:
    return "(absent)" if value is ABSENT else short_json(value, _LONGEST_VALUE)


def _text(document: bytes) -> str:
    try:
        return long_json(document)
    except msgspec.DecodeError:  # a call that is forwarded as it is may have half a surrogate pair
        return escaped(document.decode())


def _document(output: Output) -> bytes:
    if output.role is Role.DEAD_LETTER:
        return encode_json(dead_letter_line(output))
    return output.value or b"null"


def _hint(explained: list[Explanation], value: bytes) -> None:
    """Point out the right command to a user who gives a file of many events."""
    codes = [effect.code for explanation in explained for effect in explanation.effects]
    first, _, rest = value.strip().partition(b"\n")
    several = rest.strip() and isinstance(decode(first, 512), dict)
    if codes == [Reason.INVALID_JSON] and several:
        print_notice(
            "hint: explain takes one JSON document, and this looks like one event per line: "
            "track-pipeline transform reads those"
        )
