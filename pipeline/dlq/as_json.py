"""Dead letters as JSON values, in which personal data is masked unless it is to be revealed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.core.dead_letter_fields import Problem
from pipeline.core.headers import DlqHeader
from pipeline.core.masking import mask, masked_text, masked_value
from pipeline.core.reasons import Stage
from pipeline.core.timestamps import format_time
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.files.transform import UTF_8, as_text


def iso_time(time: int | None) -> str:
    """Format a time as ISO-8601; empty for none."""
    return format_time(time) if time else ""


def to_dict(dead_letter: DeadLetter, *, reveal: bool) -> dict[str, Any]:
    """One dead letter as JSON values; `encoding` says how its `value` is written."""
    value = dead_letter.value if reveal else masked_dead_letter_value(dead_letter)
    encoding, written = (UTF_8, None) if value is None else as_text(value)
    return {
        "position": dead_letter.position,
        **facts(dead_letter, reveal=reveal),
        "masked": not reveal,
        "encoding": encoding,
        "value": written,
    }


def facts(dead_letter: DeadLetter, *, reveal: bool) -> dict[str, Any]:
    """Facts that a dead letter states, as JSON values; None for those that it does not state."""
    text = _text_filter(reveal)
    return {
        "header_format": dead_letter.header_format,
        "reason": text(dead_letter.reason),
        "reasons": [masked_problem(problem, reveal=reveal) for problem in dead_letter.problems],
        "stage": dead_letter.stage,
        "source": dead_letter.source.text() if dead_letter.source else None,
        "source_timestamp": iso_time(dead_letter.source_timestamp) or None,
        "failed_at": iso_time(dead_letter.failed_at) or None,
        "first_failed_at": dead_letter.header(DlqHeader.FIRST_FAILED_AT) or None,
        "attempt": dead_letter.attempt,
        "replay": dead_letter.header(DlqHeader.REPLAY) or None,
        "event": text(dead_letter.event),
        "message_id": text(dead_letter.message_id),
        "library": dead_letter.library,
    }


def masked_problem(problem: Problem, *, reveal: bool) -> dict[str, str]:
    """Code, pointer and detail; texts of other systems may contain personal data."""
    text = _text_filter(reveal)
    return {name: text(value) for name, value in problem._asdict().items()}


def _text_filter(reveal: bool) -> Callable[[str], str]:  # noqa: FBT001  one of two
    return (lambda text: text) if reveal else mask


def masked_dead_letter_value(dead_letter: DeadLetter) -> bytes | None:
    """Masked value; what killed a process is not decoded as JSON in this one."""
    if dead_letter.value is not None and dead_letter.stage == Stage.CRASH:
        return masked_text(dead_letter.value).encode()
    return masked_value(dead_letter.value)
