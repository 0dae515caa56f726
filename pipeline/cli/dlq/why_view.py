"""What letters have in common, as people read it."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.dlq.figures import Times, percent
from pipeline.cli.dlq.next_command import further, show
from pipeline.cli.dlq.options import Asked
from pipeline.core.escape import escaped, one_line, short_json
from pipeline.core.masking import mask
from pipeline.dlq.as_json import moment
from pipeline.dlq.baseline import Compared
from pipeline.dlq.blocked_revenue import HeldMoney
from pipeline.dlq.contrast import Finding, Sample
from pipeline.dlq.features import MEMBER, READABLE, TYPE


class Answer(NamedTuple):
    """What was found."""

    letters: Sample
    good: Sample
    compared: Compared
    alike: bool
    """Whether the good events are of the event names and libraries that were asked for."""
    findings: list[Finding]
    money: HeldMoney
    first: int
    """Time of the first failure, epoch milliseconds; 0 when no letter tells it."""
    last: int


def print_answer(console: Console, asked: Asked, answer: Answer) -> None:
    """All of it; there is at least one letter."""
    times = Times(answer.first, answer.last)
    span = f", refused {times.span()}" if times.span() else ""
    heading = f"{answer.letters.offered:,} letters in {asked.desk.captured.topic}{span}"
    console.print(Text(escaped(heading), "bold"))
    for line in _compared_with(asked, answer):
        console.print(Text(escaped(line)))
    if answer.findings:
        if answer.compared is not Compared.NONE:
            console.print(Text(escaped(_headline(asked, answer, times)), "bold yellow"))
        console.print()
        console.print(_table(asked, answer, times))
        console.print()
    else:
        console.print("nothing sets them apart: dlq summary counts them by reason and event")
    if answer.money.sentence():
        console.print(answer.money.sentence())
    for word, command in zip(("next", "then"), _next(asked, answer), strict=False):
        console.print(Text(escaped(f"{word}: {command}"), "bold"), soft_wrap=True)


def _compared_with(asked: Asked, answer: Answer) -> list[str]:
    topic = asked.settings.topics.enriched
    like = " like them" if answer.alike else ""
    number = f"{len(answer.good.rows):,}"
    lines = {
        Compared.SAME_TIME: (
            f"compared with {number} good events{like} of the same time in {topic}"
        ),
        Compared.EARLIER: (
            f"no good event{like} of the same time in {topic}: "
            f"compared with {number} from before it"
        ),
        Compared.NONE: (
            f"no good event to compare with in {topic}: what most of the letters have in common"
        ),
    }
    said = [lines[answer.compared]]
    sample = len(answer.letters.rows)
    if not answer.letters.is_whole:
        said.append(f"looked into a sample of {sample:,} letters")
    unreadable = answer.letters.lacking(READABLE)
    if unreadable:
        share = percent(unreadable / sample)
        said.append(
            f"{share} have no value that can be read: of them only place and time are known"
        )
    return said


def _headline(asked: Asked, answer: Answer, times: Times) -> str:
    first = answer.findings[0]
    return (
        f"{percent(first.letters.share)} {_has(asked, first)}, against "
        f"{percent(first.good.share)} of good events; first seen {times.text(first.first)}"
    )


def _has(asked: Asked, finding: Finding) -> str:
    """As the end of a sentence about several letters."""
    feature = finding.feature
    if feature.about == MEMBER:
        return f"{'lack' if finding.lacks else 'have'} {_shown(asked, feature.value)}"
    if feature.about == TYPE:
        return f"have {_shown(asked, feature.value)} as {feature.more}"
    if not feature.value:
        return f"have no {feature.about}"
    return f"have {feature.about} {_shown(asked, feature.text)}"


def _shown(asked: Asked, text: str) -> str:
    if text.isspace():
        return short_json(text, len(text))
    return one_line(text if asked.reveal else mask(text))


def _what(asked: Asked, finding: Finding) -> tuple[str, str]:
    """Two cells of the table."""
    feature = finding.feature
    if feature.about == TYPE:
        return _shown(asked, feature.value), f"is {feature.more}"
    if feature.about == MEMBER:
        return _shown(asked, feature.value), "is missing" if finding.lacks else "is there"
    return feature.about, _shown(asked, feature.text) if feature.value else "(none)"


def _table(asked: Asked, answer: Answer, times: Times) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("letters", justify="right", no_wrap=True)
    is_compared = answer.compared is not Compared.NONE
    if is_compared:
        table.add_column("good events", justify="right", no_wrap=True)
    for name in ("what", ""):
        table.add_column(name, overflow="fold")
    for name in ("first seen", "such as"):
        table.add_column(name, no_wrap=True)
    for one in answer.findings:
        shares = [percent(one.letters.share)]
        if is_compared:
            shares.append(percent(one.good.share))
        what = map(Text, _what(asked, one))
        table.add_row(*shares, *what, times.text(one.first), one.sample)
    return table


def _next(asked: Asked, answer: Answer) -> list[str]:
    """See one of the letters, and ask whether they would pass by now."""
    check = further("check", asked.selection, done_too=asked.done_too)
    return [*(show(one.sample) for one in answer.findings[:1]), check]


def plain_answer(asked: Asked, answer: Answer) -> dict[str, Any]:
    """All of it as JSON values."""
    return {
        "topic": asked.desk.captured.topic,
        "letters": answer.letters.offered,
        "sampled_letters": len(answer.letters.rows),
        "first_failed_at": moment(answer.first) or None,
        "last_failed_at": moment(answer.last) or None,
        "good_topic": asked.settings.topics.enriched,
        "good_events": len(answer.good.rows),
        "compared_with": answer.compared.value,
        "compared_with_alike_only": answer.alike,
        "masked": not asked.reveal,
        "findings": [_plain_finding(asked, one) for one in answer.findings],
        "money": answer.money.plain(),
        "left_out": dict(asked.desk.done),
        "next": _next(asked, answer) if answer.letters.rows else [],
    }


def _plain_finding(asked: Asked, one: Finding) -> dict[str, Any]:
    text = one.feature.text if asked.reveal else mask(one.feature.text)
    return {
        "about": one.feature.about,
        "value": text or None,
        "lacks": one.lacks,
        "letters": one.letters.events,
        "letters_share": round(one.letters.share, 6),
        "good_events": one.good.events,
        "good_share": round(one.good.share, 6) if one.good.total else None,
        "first_failed_at": moment(one.first) or None,
        "sample": one.sample,
    }
