"""Pairs the outputs that one raw record must have with those that exist. Pure; counts nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from pipeline.core.coordinates import NO_ITEM
from pipeline.core.record import Role
from pipeline.reconcile.audit.expect import ExpectedOutput, ExpectedRecord
from pipeline.reconcile.outputs import OTHER_RULES, POINTER, SET_ASIDE, OutputRow


class UnmatchedKind(StrEnum):
    """Why an output matches no event."""

    DUPLICATE = "duplicate"
    """Its event has its outcome already."""
    DROPPED = "dropped"
    """The rules drop its event."""
    UNKNOWN = "unknown"
    """There is no such event."""
    OUTSIDE = "outside"
    """Its raw record is outside the window."""


class Match(NamedTuple):
    """An output that is the outcome of an event, a message, or all events of a record."""

    expected: ExpectedOutput | None
    """What the output was matched with; None when it is the outcome of the whole record."""
    row: OutputRow
    fault: str = ""
    """Why the output is not as expected; empty when it is."""


@dataclass(slots=True)
class MatchResult:
    """How the expected and the existing outputs of one raw record pair up."""

    matches: list[Match] = field(default_factory=list)
    missing: list[ExpectedOutput] = field(default_factory=list)
    unmatched: list[tuple[OutputRow, UnmatchedKind]] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Whether every expected output exists, byte for byte as these rules make it."""
        return not self.missing and not any(m.fault or m.row.marks for m in self.matches)


CONTENTS: Final = "contents"
"""Fault of an output with the right class and timestamp; its record must be read to say more."""
WORDS: Final = {
    Role.ENRICHED: "an enriched event",
    Role.DEAD_LETTER: "a dead letter",
    Role.IDENTIFY: "an identify message",
    Role.OTHER: "a forwarded call",
}


def match_record(expected: ExpectedRecord, rows: Sequence[OutputRow]) -> MatchResult:
    """Pair expected outputs with existing ones; `rows` are sorted by source and position."""
    result = MatchResult()
    if len(rows) == 1 and len(expected.events) == 1 and not expected.messages:
        # The simple case, which holds for almost every record.
        event, row = expected.events[0], rows[0]
        simple = row.role == event.role and row.item == event.item and not row.marks
        if simple and not _fault(event, row):
            result.matches.append(Match(event, row))
            return result
    outcomes = [row for row in rows if row.role != Role.IDENTIFY]
    messages = [row for row in rows if row.role == Role.IDENTIFY]
    whole = _outcome_of_whole_record(expected, outcomes)
    if whole is not None:
        outcomes.remove(whole)
        result.matches.append(Match(None, whole, _fault_of_whole_record(expected, whole)))
    elif _split_by_other_rules(expected, outcomes):
        outcomes = _match_first_of_items(outcomes, result)
    else:
        outcomes = _match(expected.events, outcomes, result)
    messages = _match_messages(expected, messages, result)
    for row in outcomes + messages:
        kind = _unmatched_kind(expected, row, result)
        if kind is UnmatchedKind.DROPPED and row.marks & OTHER_RULES:
            result.matches.append(Match(None, row))
        else:
            result.unmatched.append((row, kind))
    return result


def _fault(expected: ExpectedOutput, row: OutputRow) -> str:
    """Say why an output is not as expected; under other rules its presence is enough."""
    if row.marks & OTHER_RULES:
        return ""
    if row.role != expected.role:
        return f"{WORDS[Role(row.role)]}, but the rules give {WORDS[expected.role]}"
    digest = expected.pointer_digest if row.marks & POINTER else expected.digest
    if row.digest != digest:
        return CONTENTS
    if expected.timestamp and row.timestamp and row.timestamp != expected.timestamp:
        return "the Kafka timestamp is wrong"
    return ""


def _outcome_of_whole_record(
    expected: ExpectedRecord, outcomes: Sequence[OutputRow]
) -> OutputRow | None:
    """Find a dead letter for all events of the record: set aside, or rejected by other rules."""
    for row in outcomes:
        is_dead_letter = row.role == Role.DEAD_LETTER and row.item == expected.item
        if is_dead_letter and row.marks & (SET_ASIDE | OTHER_RULES):
            return row
    return None


def _fault_of_whole_record(expected: ExpectedRecord, row: OutputRow) -> str:
    if row.marks & OTHER_RULES:
        return ""
    pointer = row.marks & POINTER
    digest = expected.set_aside_pointer_digest if pointer else expected.set_aside_digest
    return "" if row.digest == digest else CONTENTS


def _split_by_other_rules(expected: ExpectedRecord, outcomes: Sequence[OutputRow]) -> bool:
    """Whether other rules have split a batch that these rules reject as a whole."""
    return (
        len(expected.events) == 1
        and expected.events[0].item == expected.item
        and expected.item == NO_ITEM
        and bool(outcomes)
        and all(row.item != NO_ITEM and row.marks & OTHER_RULES for row in outcomes)
    )


def _match_first_of_items(outcomes: Sequence[OutputRow], result: MatchResult) -> list[OutputRow]:
    """Match one output of each item, whatever it is; return the others."""
    left, seen = [], set()
    for row in outcomes:
        if row.item in seen:
            left.append(row)
        else:
            result.matches.append(Match(None, row))
            seen.add(row.item)
    return left


def _match(
    expected: Sequence[ExpectedOutput], rows: Sequence[OutputRow], result: MatchResult
) -> list[OutputRow]:
    """Match each event with its first correct output, or else its first; return the others."""
    by_item: defaultdict[int, list[OutputRow]] = defaultdict(list)
    for row in rows:
        by_item[row.item].append(row)
    for each in expected:
        if each.role is Role.DROPPED:
            continue
        candidates = by_item.get(each.item)
        if not candidates:
            result.missing.append(each)
            continue
        best = min(candidates, key=lambda row, each=each: bool(_fault(each, row)))  # type: ignore[misc]
        candidates.remove(best)
        result.matches.append(Match(each, best, _fault(each, best)))
    return [row for left in by_item.values() for row in left]


def _match_messages(
    expected: ExpectedRecord, rows: Sequence[OutputRow], result: MatchResult
) -> list[OutputRow]:
    """Match identify messages; other rules may have made more of them, or fewer."""
    outcomes = list(result.matches)
    own = MatchResult()
    left = _match(expected.messages, rows, own)
    result.matches += own.matches
    result.missing += [each for each in own.missing if not _is_excused(each, outcomes)]
    with_message = {each.item for each in expected.messages}
    without_message = {each.item for each in expected.events} - with_message
    more = [row for row in left if row.marks & OTHER_RULES and row.item in without_message]
    return [row for row in left if row not in more] + _match_first_of_items(more, result)


def _is_excused(message: ExpectedOutput, outcomes: Sequence[Match]) -> bool:
    """Whether the message's event was set aside, or processed under other rules."""
    return any(
        match.expected is None or (match.row.item == message.item and match.row.marks & OTHER_RULES)
        for match in outcomes
    )


def _unmatched_kind(expected: ExpectedRecord, row: OutputRow, result: MatchResult) -> UnmatchedKind:
    is_message = row.role == Role.IDENTIFY
    for match in result.matches:
        if match.row.item == row.item and (match.row.role == Role.IDENTIFY) == is_message:
            return UnmatchedKind.DUPLICATE
    for event in () if is_message else expected.events:
        is_dropped = event.role is Role.DROPPED
        # A dropped single event does not tell whether it was the only item of a batch.
        is_only = is_dropped and len(expected.events) == 1
        if row.item == event.item or (is_only and row.item in {NO_ITEM, 0}):
            return UnmatchedKind.DROPPED if is_dropped else UnmatchedKind.DUPLICATE
    return UnmatchedKind.UNKNOWN
