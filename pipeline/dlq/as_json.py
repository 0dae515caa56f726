"""Letters as values for people and documents: masked unless it is to be revealed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.core.headers import DlqHeader
from pipeline.core.masking import mask, masked_text, masked_value
from pipeline.core.reasons import Stage
from pipeline.core.timestamps import format_time
from pipeline.dlq.dead_letter import DeadLetter, Problem
from pipeline.files.transform import UTF_8, as_text


def moment(time: int | None) -> str:
    """ISO-8601, or nothing."""
    return format_time(time) if time else ""


def plain(letter: DeadLetter, *, reveal: bool) -> dict[str, Any]:
    """One letter as JSON values; `value` is what was refused, `encoding` how it is written."""
    value = letter.value if reveal else masked_letter_value(letter)
    encoding, written = (UTF_8, None) if value is None else as_text(value)
    return {
        "place": letter.place,
        **facts(letter, reveal=reveal),
        "masked": not reveal,
        "encoding": encoding,
        "value": written,
    }


def facts(letter: DeadLetter, *, reveal: bool) -> dict[str, Any]:
    """What a letter says about itself, as JSON values; None for what it does not say."""
    text = _text_filter(reveal)
    return {
        "dialect": letter.dialect,
        "reason": text(letter.reason),
        "reasons": [masked_problem(problem, reveal=reveal) for problem in letter.problems],
        "stage": letter.stage,
        "source": letter.source.text() if letter.source else None,
        "source_timestamp": moment(letter.source_timestamp) or None,
        "failed_at": moment(letter.failed_at) or None,
        "first_failed_at": letter.said(DlqHeader.FIRST_FAILED_AT) or None,
        "attempt": letter.attempt,
        "replay": letter.said(DlqHeader.REPLAY) or None,
        "event": text(letter.event),
        "message_id": text(letter.message_id),
        "library": letter.library,
    }


def masked_problem(problem: Problem, *, reveal: bool) -> dict[str, str]:
    """Code, pointer and detail; the texts of other systems may hold anything."""
    text = _text_filter(reveal)
    return {name: text(value) for name, value in problem._asdict().items()}


def _text_filter(reveal: bool) -> Callable[[str], str]:  # noqa: FBT001  one of two
    return (lambda text: text) if reveal else mask


def masked_letter_value(letter: DeadLetter) -> bytes | None:
    """The value, masked; what killed a process is not decoded as JSON here."""
    if letter.value is not None and letter.stage == Stage.CRASH:
        return masked_text(letter.value).encode()
    return masked_value(letter.value)
