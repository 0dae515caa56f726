"""Checks that every event has exactly one outcome, in two independent ways.

The ledger knows what was written and what the generator says must become of it. The audit
(`track-pipeline audit`, run as a process) recomputes all of it from the topics.
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
from tests.system.chaos.cluster_admin import ClusterAdmin
from tests.system.chaos.load import Entry, Ledger, digest
from tests.unit.cli.program import command, environment

_BROKER_STAGES: Final = frozenset({"produce", "crash"})
"""Stages of dead letters that the generator can't foresee: the broker rejected a record."""
_SHOWN: Final = 3
_AUDIT_S: Final = 300.0

_Position = tuple[int, int]
"""Partition and offset of a raw record."""


class CheckResult(NamedTuple):
    """Counts of events, and the first few that are wrong."""

    events: int
    lost: int
    duplicated: int
    other: int
    """Outcomes that are orphaned, mismatched or out of order."""
    examples: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.duplicated or self.other)


def check_by_audit(servers: str, settings: Mapping[str, str]) -> CheckResult:
    """Run the audit with the workers' settings, on everything that they have committed."""
    variables = {**environment(), **settings, "TRACK_KAFKA_BOOTSTRAP_SERVERS": servers}
    done = subprocess.run(
        command("audit", "--json", "--revenue", "--show", str(_SHOWN)),
        env=variables,
        capture_output=True,
        timeout=_AUDIT_S,
        check=False,
    )
    if done.returncode not in {ExitCode.OK, ExitCode.DIFFERENCE}:
        lines = done.stderr.decode().strip().splitlines()
        return CheckResult(0, 0, 0, 1, [f"it ended with code {done.returncode}: {lines[-1:]}"])
    found: dict[str, Any] = json.loads(done.stdout)
    other = sum(found[kind] for kind in ("orphaned", "mismatched", "out_of_order"))
    examples = [" ".join(map(str, each.values())) for each in found["discrepancies"]]
    if not found["ok"] and not examples:
        other, examples = 1, [f"revenue does not add up: {found['revenue']}"]
    return CheckResult(found["events"], found["missing"], found["duplicated"], other, examples)


class Outcomes(NamedTuple):
    """What the output topics hold, by the position of the raw record."""

    enriched: Mapping[_Position, Counter[str]]
    """Index in the batch (empty for a single event) → number of enriched events."""
    dead_letters: Mapping[_Position, list[tuple[str, str, str]]]
    """Index, reason and stage of each dead letter."""


def check_by_ledger(servers: str, names: TopicNames, ledger: Ledger) -> CheckResult:
    """Compare the topics with the ledger, including records that were deleted since."""
    raw = {(each.partition, each.offset): each for each in read_topic(servers, names.raw)}
    begins = ClusterAdmin(servers).begins(names.raw)
    intended, outcomes = ledger.intended(), read_outcomes(servers, names)
    undecided = ledger.undecided()
    acknowledged = ledger.acknowledged() | {
        position: number for position, number in undecided.items() if position in raw
    }
    acknowledged |= written_again(raw, intended, acknowledged)
    # If an undecided record was deleted since, nobody can say whether it was committed.
    unknown = {position for position in undecided if position[1] < begins[position[0]]}
    counts = Counter[str]()
    examples: list[str] = []

    def report(kind: str, position: _Position, what: str, number: int = 1) -> None:
        if number > 0:
            counts[kind] += number
            if counts[kind] - number < _SHOWN:
                examples.append(f"{kind}: {names.raw}/{position[0]}/{position[1]} {what}")

    for position, number in acknowledged.items():
        entry, record = intended[number], raw.get(position)
        is_deleted = position[1] < begins[position[0]]
        if not is_deleted and (record is None or digest(record.key, record.value) != entry.digest):
            report("other", position, "is acknowledged, but not in the raw topic (Kafka's fault)")
            continue
        lost, duplicated, reasons = compare_outcomes(entry, outcomes, position)
        report("lost", position, f"lacks {lost} of {entry.events} outcomes", lost)
        report("duplicated", position, f"has {duplicated} outcomes too many", duplicated)
        report("other", position, f"became {reasons} instead of {entry.invalid}", bool(reasons))
    for position in {*outcomes.enriched, *outcomes.dead_letters} - set(acknowledged) - unknown:
        report("other", position, "has an outcome, but was never written, or was aborted")
    events = sum(intended[number].events for number in acknowledged.values())
    return CheckResult(events, counts["lost"], counts["duplicated"], counts["other"], examples)


def written_again(
    raw: Mapping[_Position, Stored],
    intended: Mapping[int, Entry],
    acknowledged: Mapping[_Position, int],
) -> dict[_Position, int]:
    """Position → number of each copy in the raw topic of a record that is acknowledged elsewhere.

    librdkafka's idempotent producer writes a record a second time, in a new epoch, when a broker
    was killed before it answered. Both are raw records, and the workers have to treat them so.
    """
    numbers = {intended[number].digest: number for number in acknowledged.values()}
    found = {}
    for position, record in raw.items():
        number = numbers.get(digest(record.key, record.value))
        if number is not None and position not in acknowledged:
            found[position] = number
    return found


def compare_outcomes(entry: Entry, outcomes: Outcomes, position: _Position) -> tuple[int, int, str]:
    """Numbers of lost and duplicated outcomes; the reasons, if they are not the expected ones."""
    enriched = outcomes.enriched.get(position, Counter())
    dead_letters = outcomes.dead_letters.get(position, [])
    whole = [each for each in dead_letters if not each[0] and each[2] in _BROKER_STAGES]
    if whole:  # one dead letter for the whole record instead of all its events
        return 0, len(whole) - 1 + enriched.total() + len(dead_letters) - len(whole), ""
    times = enriched + Counter(index for index, _, _ in dead_letters)
    duplicated = times.total() - len(times)
    reasons = [reason for _, reason, stage in sorted(dead_letters, key=_index)]
    as_expected = Counter(reasons) == Counter(entry.invalid) or bool(duplicated)
    lost = entry.events - len(times)
    unexpected = "" if as_expected or lost else ",".join(reasons) or "(none)"
    return max(0, lost), duplicated + max(0, -lost), unexpected


def _index(dead_letter: tuple[str, str, str]) -> int:
    return int(dead_letter[0] or 0)


def read_outcomes(servers: str, names: TopicNames) -> Outcomes:
    """Read both output topics; each record names its raw record in a header."""
    enriched: defaultdict[_Position, Counter[str]] = defaultdict(Counter)
    dead_letters: defaultdict[_Position, list[tuple[str, str, str]]] = defaultdict(list)
    for each in read_topic(servers, names.enriched):
        position, index = _source(_headers(each)[TrackHeader.SOURCE], names.raw)
        enriched[position][index] += 1
    for each in read_topic(servers, names.dead_letter):
        headers = _headers(each)
        position, index = _source(headers[DlqHeader.SOURCE], names.raw)
        dead_letters[position].append((index, headers[DlqHeader.REASON], headers[DlqHeader.STAGE]))
    return Outcomes(enriched, dead_letters)


def _headers(record: Stored) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in record.headers}


def _source(text: str, topic: str) -> tuple[_Position, str]:
    found, partition, offset, *index = text.split("/")
    assert found == topic, f"an output of another pipeline: {text}"
    return (int(partition), int(offset)), "".join(index)
