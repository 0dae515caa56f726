"""Whether every event has exactly its outcome, by two independent witnesses.

The ledger knows what was written and what the generator says must become of it; the audit
(`track-pipeline audit`, as a process) recomputes all of it from the topics.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.errors import ExitCode
from pipeline.topics import TopicNames
from tests.brokers import Stored, read_topic
from tests.system.chaos.load import Entry, Ledger, digest
from tests.system.chaos.operator import Operator
from tests.unit.cli.program import command, environment

_BY_BROKER: Final = frozenset({"produce", "crash"})
"""Stages of letters that the generator can't foresee: the broker refused a record."""
_SHOWN: Final = 3
_AUDIT_S: Final = 300.0


class Verdict(NamedTuple):
    """Counts of events, and the first few that are wrong."""

    events: int
    lost: int
    doubled: int
    other: int
    """Invented, different, or out of order."""
    examples: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.other)


def judge_by_audit(servers: str, settings: Mapping[str, str]) -> Verdict:
    """Run the audit under the workers' settings, on all that they have committed."""
    variables = {**environment(), **settings, "TRACK_KAFKA_BOOTSTRAP_SERVERS": servers}
    done = subprocess.run(
        command("audit", "--json", "--money", "--show", str(_SHOWN)),
        env=variables,
        capture_output=True,
        timeout=_AUDIT_S,
        check=False,
    )
    if done.returncode not in {ExitCode.OK, ExitCode.DIFFERENCE}:
        words = done.stderr.decode().strip().splitlines()
        return Verdict(0, 0, 0, 1, [f"it ended with code {done.returncode}: {words[-1:]}"])
    found: dict[str, Any] = json.loads(done.stdout)
    other = sum(found[kind] for kind in ("invented", "different", "out_of_order"))
    examples = [" ".join(map(str, each.values())) for each in found["offences"]]
    if not found["ok"] and not examples:
        other, examples = 1, [f"money does not add up: {found['money']}"]
    return Verdict(found["events"], found["lost"], found["doubled"], other, examples)


class Outcomes(NamedTuple):
    """What the output topics hold, by raw partition and offset."""

    enriched: Mapping[tuple[int, int], Counter[str]]
    """Index (empty for a single event) → how often."""
    letters: Mapping[tuple[int, int], list[tuple[str, str, str]]]
    """(index, reason, stage) of each."""


def judge_by_ledger(servers: str, names: TopicNames, ledger: Ledger) -> Verdict:
    """Hold the topics against the ledger, also where the raw topic's log was cut meanwhile."""
    raw = {(each.partition, each.offset): each for each in read_topic(servers, names.raw)}
    begins = Operator(servers).begins(names.raw)
    intended, outcomes = ledger.intended(), read_outcomes(servers, names)
    doubted = ledger.doubted()
    acknowledged = ledger.acknowledged() | {
        place: number for place, number in doubted.items() if place in raw
    }
    # Of what was doubted and then cut away nobody can say what must have become of it.
    unknown = {place for place in doubted if place[1] < begins[place[0]]}
    faults = Counter[str]()
    examples: list[str] = []

    def accuse(kind: str, place: tuple[int, int], what: str, number: int = 1) -> None:
        if number > 0:
            faults[kind] += number
            if faults[kind] - number < _SHOWN:
                examples.append(f"{kind}: {names.raw}/{place[0]}/{place[1]} {what}")

    for place, number in acknowledged.items():
        entry, record = intended[number], raw.get(place)
        is_cut = place[1] < begins[place[0]]
        if not is_cut and (record is None or digest(record.key, record.value) != entry.digest):
            accuse("other", place, "is acknowledged, but not in the raw topic (Kafka's fault)")
            continue
        lost, doubled, wrong = weigh(entry, outcomes, place)
        accuse("lost", place, f"lacks {lost} of {entry.events} outcomes", lost)
        accuse("doubled", place, f"has {doubled} outcomes too many", doubled)
        accuse("other", place, f"became {wrong} instead of {entry.invalid}", int(bool(wrong)))
    for place in {*outcomes.enriched, *outcomes.letters} - set(acknowledged) - unknown:
        accuse("other", place, "has an outcome, but was never written, or was aborted")
    events = sum(intended[number].events for number in acknowledged.values())
    return Verdict(events, faults["lost"], faults["doubled"], faults["other"], examples)


def weigh(entry: Entry, outcomes: Outcomes, place: tuple[int, int]) -> tuple[int, int, str]:
    """Outcomes that are lost and doubled, and the reasons if they are not those foreseen."""
    enriched = outcomes.enriched.get(place, Counter())
    letters = outcomes.letters.get(place, [])
    whole = [letter for letter in letters if not letter[0] and letter[2] in _BY_BROKER]
    if whole:  # one letter for the whole record, instead of all its events
        return 0, len(whole) - 1 + enriched.total() + len(letters) - len(whole), ""
    times = enriched + Counter(index for index, _, _ in letters)
    doubled = times.total() - len(times)
    reasons = [reason for _, reason, stage in sorted(letters, key=_index)]
    foreseen = Counter(reasons) == Counter(entry.invalid) or bool(doubled)
    lost = entry.events - len(times)
    wrong = "" if foreseen or lost else ",".join(reasons) or "(none)"
    return max(0, lost), doubled + max(0, -lost), wrong


def _index(letter: tuple[str, str, str]) -> int:
    return int(letter[0] or 0)


def read_outcomes(servers: str, names: TopicNames) -> Outcomes:
    """All of both output topics, by their source headers."""
    enriched: defaultdict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    letters: defaultdict[tuple[int, int], list[tuple[str, str, str]]] = defaultdict(list)
    for each in read_topic(servers, names.enriched):
        place, index = _source(_named(each)[TrackHeader.SOURCE], names.raw)
        enriched[place][index] += 1
    for each in read_topic(servers, names.dead_letter):
        headers = _named(each)
        place, index = _source(headers[DlqHeader.SOURCE], names.raw)
        letters[place].append((index, headers[DlqHeader.REASON], headers[DlqHeader.STAGE]))
    return Outcomes(enriched, letters)


def _named(record: Stored) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in record.headers}


def _source(text: str, topic: str) -> tuple[tuple[int, int], str]:
    found, partition, offset, *index = text.split("/")
    assert found == topic, f"an output of another pipeline: {text}"
    return (int(partition), int(offset)), "".join(index)
