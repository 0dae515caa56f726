"""One raw record: what must be there against what is there. Pure; nothing is counted here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pipeline.core.coordinates import NO_ITEM
from pipeline.core.record import Role
from pipeline.reconcile.audit.expect import Expected, Wanted
from pipeline.reconcile.outputs import OTHER_RULES, POINTER, SET_ASIDE, Found


class Standing(StrEnum):
    """What an output is that no event has claimed."""

    DOUBLE = "double"
    """Its event has its outcome already."""
    DROPPED = "dropped"
    """The rules drop its event."""
    UNKNOWN = "unknown"
    """There is no such event."""
    OUTSIDE = "outside"
    """Its raw record is outside the window."""


class Claim(NamedTuple):
    """An output that stands for an event, a message, or all events of a record."""

    wanted: Wanted | None
    """None: it stands for the whole record."""
    row: Found
    fault: str = ""
    """Why it is not what it must be; empty when it is."""


@dataclass(slots=True)
class Verdict:
    """What became of one raw record."""

    claims: list[Claim] = field(default_factory=list)
    missing: list[Wanted] = field(default_factory=list)
    extras: list[tuple[Found, Standing]] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Whether every output is there, byte for byte as these rules make it."""
        return not self.missing and not any(c.fault or c.row.marks for c in self.claims)


CONTENTS = "contents"
"""The fault of an output with the right class and time; what it is takes a look at its record."""
WORDS = {
    Role.ENRICHED: "an enriched event",
    Role.DEAD_LETTER: "a dead letter",
    Role.IDENTIFY: "an identify message",
}


def judge(expected: Expected, rows: Sequence[Found]) -> Verdict:
    """Pair what must be there with what is there; `rows` are sorted by place."""
    verdict = Verdict()
    if len(rows) == 1 and len(expected.events) == 1 and not expected.messages:
        # The plain case, which almost every record is.
        wanted, row = expected.events[0], rows[0]
        plain = row.role == wanted.role and row.item == wanted.item and not row.marks
        if plain and not _fault(wanted, row):
            verdict.claims.append(Claim(wanted, row))
            return verdict
    outcomes = [row for row in rows if row.role != Role.IDENTIFY]
    messages = [row for row in rows if row.role == Role.IDENTIFY]
    whole = _for_the_whole(expected, outcomes)
    if whole is not None:
        outcomes.remove(whole)
        verdict.claims.append(Claim(None, whole, _fault_of_whole(expected, whole)))
    elif _split_by_other_rules(expected, outcomes):
        outcomes = _claim_first_of_each(outcomes, verdict)
    else:
        outcomes = _claim(expected.events, outcomes, verdict)
    messages = _claim_messages(expected, messages, verdict)
    for row in outcomes + messages:
        standing = _standing(expected, row, verdict)
        if standing is Standing.DROPPED and row.marks & OTHER_RULES:
            verdict.claims.append(Claim(None, row))
        else:
            verdict.extras.append((row, standing))
    return verdict


def _fault(wanted: Wanted, row: Found) -> str:
    """Why a row is not what is wanted; under other rules its presence is enough."""
    if row.marks & OTHER_RULES:
        return ""
    if row.role != wanted.role:
        return f"{WORDS[Role(row.role)]}, but the rules give {WORDS[wanted.role]}"
    right = wanted.pointer_print if row.marks & POINTER else wanted.print
    if row.print != right:
        return CONTENTS
    if wanted.timestamp and row.timestamp and row.timestamp != wanted.timestamp:
        return "the Kafka timestamp is another one"
    return ""


def _for_the_whole(expected: Expected, outcomes: Sequence[Found]) -> Found | None:
    """A letter that stands for all events of the record: set aside, or refused by other rules."""
    for row in outcomes:
        is_letter = row.role == Role.DEAD_LETTER and row.item == expected.item
        if is_letter and row.marks & (SET_ASIDE | OTHER_RULES):
            return row
    return None


def _fault_of_whole(expected: Expected, row: Found) -> str:
    if row.marks & OTHER_RULES:
        return ""
    pointer = row.marks & POINTER
    right = expected.aside_pointer_print if pointer else expected.aside_print
    return "" if row.print == right else CONTENTS


def _split_by_other_rules(expected: Expected, outcomes: Sequence[Found]) -> bool:
    """Whether other rules have split a batch that these rules refuse as a whole."""
    return (
        len(expected.events) == 1
        and expected.events[0].item == expected.item
        and expected.item == NO_ITEM
        and bool(outcomes)
        and all(row.item != NO_ITEM and row.marks & OTHER_RULES for row in outcomes)
    )


def _claim_first_of_each(outcomes: Sequence[Found], verdict: Verdict) -> list[Found]:
    """Claim one output of each item, whatever it is; what is left."""
    left, seen = [], set()
    for row in outcomes:
        if row.item in seen:
            left.append(row)
        else:
            verdict.claims.append(Claim(None, row))
            seen.add(row.item)
    return left


def _claim(wanted: Sequence[Wanted], rows: Sequence[Found], verdict: Verdict) -> list[Found]:
    """Claim the best output of each event; what is left. What is right is better than first."""
    by_item: defaultdict[int, list[Found]] = defaultdict(list)
    for row in rows:
        by_item[row.item].append(row)
    for each in wanted:
        if each.role is Role.DROPPED:
            continue
        candidates = by_item.get(each.item)
        if not candidates:
            verdict.missing.append(each)
            continue
        best = min(candidates, key=lambda row, each=each: bool(_fault(each, row)))  # type: ignore[misc]
        candidates.remove(best)
        verdict.claims.append(Claim(each, best, _fault(each, best)))
    return [row for left in by_item.values() for row in left]


def _claim_messages(expected: Expected, rows: Sequence[Found], verdict: Verdict) -> list[Found]:
    """The same for identify messages; other rules may have made more of them, or fewer."""
    outcomes = list(verdict.claims)
    own = Verdict()
    left = _claim(expected.messages, rows, own)
    verdict.claims += own.claims
    verdict.missing += [each for each in own.missing if not _is_excused(each, outcomes)]
    wanted = {each.item for each in expected.messages}
    events = {each.item for each in expected.events} - wanted
    more = [row for row in left if row.marks & OTHER_RULES and row.item in events]
    return [row for row in left if row not in more] + _claim_first_of_each(more, verdict)


def _is_excused(message: Wanted, outcomes: Sequence[Claim]) -> bool:
    """Whether the message's event was set aside, or judged by other rules."""
    return any(
        claim.wanted is None or (claim.row.item == message.item and claim.row.marks & OTHER_RULES)
        for claim in outcomes
    )


def _standing(expected: Expected, row: Found, verdict: Verdict) -> Standing:
    is_message = row.role == Role.IDENTIFY
    for claim in verdict.claims:
        if claim.row.item == row.item and (claim.row.role == Role.IDENTIFY) == is_message:
            return Standing.DOUBLE
    for wanted in () if is_message else expected.events:
        # Of a single event that was dropped nothing tells whether it was in a batch.
        alone = wanted.role is Role.DROPPED and len(expected.events) == 1
        if row.item == wanted.item or (alone and row.item in {NO_ITEM, 0}):
            return Standing.DROPPED if wanted.role is Role.DROPPED else Standing.DOUBLE
    return Standing.UNKNOWN
