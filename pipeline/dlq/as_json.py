"""Dead letters as JSON values, in which personal data is masked unless it is to be revealed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.avro.framing import Frame
from pipeline.core.dead_letter_fields import Problem
from pipeline.core.headers import VALUE_SCHEMA_ID, DlqHeader
from pipeline.core.masking import HIDDEN, mask, masked_event, masked_text, masked_value
from pipeline.core.reasons import Stage
from pipeline.core.timestamps import format_time
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.files.transform import UTF_8, as_text


def iso_time(time: int | None) -> str:
    """Format a time as ISO-8601; empty for none."""
    return format_time(time) if time else ""


def to_dict(dead_letter: DeadLetter, *, reveal: bool) -> dict[str, Any]:
    """One dead letter as JSON values; `encoding` says how its `value` is written.

    A framed one also has members for its framing and, when it can be read, its decoded value.
    """
    value = dead_letter.value if reveal else masked_dead_letter_value(dead_letter)
    encoding, written = (UTF_8, None) if value is None else as_text(value)
    return {
        "position": dead_letter.position,
        **facts(dead_letter, reveal=reveal),
        **framing(dead_letter, reveal=reveal),
        "masked": not reveal,
        "encoding": encoding,
        "value": written,
    }


def framing(dead_letter: DeadLetter, *, reveal: bool) -> dict[str, Any]:
    """How a framed value names its schema, and the value as JSON; nothing for plain JSON."""
    frame = dead_letter.frame
    if frame is None:
        return {}
    found: dict[str, Any] = {"framing": frame_name(frame)}
    # What killed a process is not decoded in this one.
    if dead_letter.stage != Stage.CRASH and type(dead_letter.decoded) is dict:
        decoded = dead_letter.decoded
        found["decoded"] = decoded if reveal else masked_event(decoded)
    return found


def frame_name(frame: Frame) -> str:
    """Say in a few words how a value names its schema, and which it is."""
    if frame.in_header:
        return f"header {VALUE_SCHEMA_ID}, {frame.schema_name()}"
    if isinstance(frame.schema, bytes):
        return f"Avro single object, {frame.schema_name()}"
    return f"prefix, {frame.schema_name()}"


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
    """Masked value, as JSON text when it is framed; all of it is hidden when it can't be read.

    What killed a process is not decoded in this one.
    """
    value, is_framed = dead_letter.value, dead_letter.frame is not None
    if value is not None and dead_letter.stage == Stage.CRASH:
        return (HIDDEN if is_framed else masked_text(value)).encode()
    if value and is_framed and dead_letter.text is None:
        return HIDDEN.encode()  # the patterns of text do not find what binary data holds
    return masked_value(dead_letter.text if is_framed else value)
