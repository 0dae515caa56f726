"""The sentence of each log event, for somebody who watches a worker in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

LogLine = Mapping[str, Any]


def _starting(line: LogLine) -> str:
    settings = line.get("settings")
    if settings is None:
        return f"starting as {line['instance']}" if line["instance"] else "starting"
    topics, workers = settings["topics"], settings["workers"]
    outputs = [topics["enriched"], topics["dead_letter"]]
    if settings["identify"]:
        outputs.append(topics["identify"])
    if settings["on_other_type"] == "forward":
        outputs.append(topics["other"])
    several = f"{workers} workers: " if workers > 1 else ""
    return (
        f"track-pipeline {line['version']} (core: {line['core']}): {several}reads {topics['raw']}, "
        f"writes {_listed(outputs)}, {settings['delivery']} (group {settings['group']}, Kafka at "
        f"{settings['kafka'].get('bootstrap.servers')})"
    )


def _compiled_core_unused(line: LogLine) -> str:
    return f"the Python core runs: {line['cause']}"


def _topics(line: LogLine) -> str:
    found = [f"{name} ({number})" for name, number in line["partitions"].items()]
    return f"Kafka answers; topics and their partitions: {', '.join(found)}"


def _assigned(line: LogLine) -> str:
    numbers, held = line["partitions"], line["held"]
    if not numbers.isdecimal():
        return f"reading partitions {numbers} ({held} in all)"
    return f"reading partition {numbers}" + (f" ({held} in all)" if held > 1 else "")


def _revoked(line: LogLine) -> str:
    return f"no longer reading partitions {line['partitions']} ({line['held']} left)"


def _statistics(line: LogLine) -> str:
    lag = line["lag"]
    left = "" if lag is None else f"; {lag:,} records behind" if lag else "; up to date"
    if not line["consumed"]:
        return f"no new records{left}"
    speed = line["consumed"] / line["seconds"] if line["seconds"] else 0
    parts = [f"{line['enriched']:,} enriched"]
    for name, words in (("dead_lettered", "rejected"), ("dropped", "dropped")):
        counts = line[name]
        if counts:
            reason, most = next(iter(counts.items()))
            mostly = f"{reason} {most:,}" if len(counts) == 1 else f"most: {reason} {most:,}"
            parts.append(f"{sum(counts.values()):,} {words} ({mostly})")
    if line["forwarded"]:
        parts.append(f"{line['forwarded']:,} forwarded")
    if line["lost"]:
        parts.append(f"{line['lost']:,} lost")
    return f"{line['consumed']:,} records ({speed:,.0f}/s): {', '.join(parts)}{left}"


def _waiting(line: LogLine) -> str:
    since = f" (for {line['seconds']:.0f} s)" if line.get("seconds") else ""
    return f"waiting: {line['cause']}{since}"


def _recovering(line: LogLine) -> str:
    return f"recovering by a {line['how']} (attempt {line['attempt']}): {line['cause']}"


def _recovered(line: LogLine) -> str:
    return f"working again after {line['after_s']:g} s"


def _processing_error(line: LogLine) -> str:
    return (
        f"a bug in this program ({line['error']}) stopped the record {line['source']}, which "
        "becomes a dead letter: please report it"
    )


def _isolated(line: LogLine) -> str:
    return f"record {line['source']} is set aside as a dead letter: {line['cause']}"


def _bisecting(line: LogLine) -> str:
    return f"looking for the record that fails among {line['records']}: {line['cause']}"


def _spans_lost(line: LogLine) -> str:
    spans = line["spans"]
    what = "a span was" if spans == 1 else f"{spans:,} spans were"
    return f"{what} not sent to the collector of traces: {line['cause']}"


def _message(line: LogLine) -> str:
    return str(line["message"])


def _watching(line: LogLine) -> str:
    return (
        f"track-pipeline {line['version']}: looks at group {line['group']} and topic "
        f"{line['topic']} every {line['interval_s']:g} s"
    )


def _watched(line: LogLine) -> str:
    lag, members = line["lag_records"], line["members"]
    seconds = line["lag_seconds"]
    behind = f"{lag:,} records behind, the oldest waits for {seconds:,.0f} s"
    text = f"{members} {'member' if members == 1 else 'members'}; {behind if lag else 'up to date'}"
    if line["retention_seconds"] is not None:
        text += (
            f"; retention may delete unread records in {line['retention_seconds'] / 3600:,.1f} h"
        )
    if line.get("dead_letters"):
        text += f"; {line['dead_letters']:,} unresolved dead letters"
    if line.get("dead_letters_expiring"):
        hours = line["dead_letter_retention_seconds"] / 3600
        text += f", {line['dead_letters_expiring']:,} expire soon, the first in {hours:,.1f} h"
    return text


def _left_group(line: LogLine) -> str:
    held = f", with partitions {line['partitions']}" if line["partitions"] else ""
    return f"left group {line['group']} for good{held}: {line['cause']}"


def _membership_kept(line: LogLine) -> str:
    return f"stays a member of group {line['group']} until its session ends: {line['cause']}"


def _membership_not_ended(line: LogLine) -> str:
    return f"could not leave group {line['group']}, its session has to end: {line['cause']}"


def _stopped(_line: LogLine) -> str:
    return "stopped"


def _ended(line: LogLine) -> str:
    return f"ended with exit code {line['code']}: {line['cause']}"


def _worker_started(line: LogLine) -> str:
    return f"worker {line['worker']} started (process {line['pid']})"


def _worker_ended(line: LogLine) -> str:
    cause = f": {line['cause']}" if line.get("cause") else ""
    return f"worker {line['worker']} ended, {line['how']}{cause}; {line['next']}"


def _crash_suspected(line: LogLine) -> str:
    return f"worker {line['worker']} crashed; suspected: {_span(line)}"


def _crash_bisected(line: LogLine) -> str:
    return f"worker {line['worker']} crashed again; still suspected: {_span(line)}"


def _crash_reproduced(line: LogLine) -> str:
    return f"{_span(line)} alone crashed worker {line['worker']}; it is tried once more"


def _crash_confirmed(line: LogLine) -> str:
    return f"{_span(line)} crashed worker {line['worker']} again; it becomes a dead letter"


def _crash_not_a_record(line: LogLine) -> str:
    return f"worker {line['worker']} crashed, and no single record is the cause"


def _span(line: LogLine) -> str:
    first, last = line["first"], line["last"]
    place = f"{line['topic']}/{line['partition']}"
    if first == last:
        return f"record {place}/{first}"
    return f"one of {last - first + 1:,} records ({place}, offsets {first} to {last})"


def _listening(line: LogLine) -> str:
    return f"metrics and health at http://{line['address']}/"


def _stuck(line: LogLine) -> str:
    return f"this worker is stuck: {line['cause']}; what it is doing:"


def _worker_stuck(line: LogLine) -> str:
    return f"worker {line['worker']} is stuck and will be ended: {line['cause']}"


def _stopping(line: LogLine) -> str:
    return f"stopping {line['workers']} workers"


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


OF_SUPERVISOR: Final = frozenset(
    {
        _worker_started,
        _worker_ended,
        _worker_stuck,
        _crash_suspected,
        _crash_bisected,
        _crash_reproduced,
        _crash_confirmed,
        _crash_not_a_record,
    }
)
"""Sentences that name the worker themselves."""
SENTENCES: Final[Mapping[str, Callable[[LogLine], str]]] = {
    "starting": _starting,
    "compiled_core_unused": _compiled_core_unused,
    "listening": _listening,
    "topics": _topics,
    "assigned": _assigned,
    "revoked": _revoked,
    "statistics": _statistics,
    "waiting": _waiting,
    "recovering": _recovering,
    "recovered": _recovered,
    "processing_error": _processing_error,
    "record_isolated": _isolated,
    "bisecting": _bisecting,
    "spans_lost": _spans_lost,
    "breaker_open": _message,
    "stuck": _stuck,
    "watching": _watching,
    "watched": _watched,
    "noticed": _message,
    "left_group": _left_group,
    "membership_kept": _membership_kept,
    "membership_not_ended": _membership_not_ended,
    "stopped": _stopped,
    "ended": _ended,
    "worker_started": _worker_started,
    "worker_ended": _worker_ended,
    "worker_stuck": _worker_stuck,
    "crash_suspected": _crash_suspected,
    "crash_bisected": _crash_bisected,
    "crash_reproduced": _crash_reproduced,
    "crash_confirmed": _crash_confirmed,
    "crash_not_a_record": _crash_not_a_record,
    "stopping": _stopping,
}
"""Makes the sentence of a line, by the name of its event."""
