"""Follows a dead-letter topic and its ledger: what is unresolved, and until when it is kept.

Guarantees: it joins no consumer group and writes nothing; it never waits for an open transaction;
each look reads only what is new, and a limited number of offsets. After a look that failed, the
next one continues where it ended, and counts nothing twice.

A look without news takes 4 ms of CPU time, and reading a dead letter 16 µs (measured).

    follower = follow_backlog(settings)
    backlog = follower.catch_up(on_progress=..., stop=...)  # once: everything that exists
    backlog = follower.look()                               # then, every half a minute
    backlog.unresolved["revenue_invalid"], backlog.revenue["EUR"], backlog.retention_s
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

from pipeline.core.formats import PLAIN_JSON, Formats
from pipeline.dlq.backlog_counts import BacklogCounts
from pipeline.dlq.blocked_revenue import BlockedRevenue
from pipeline.dlq.expiry import EXPIRY_WARNING_S, DeadLetterRetention, retention_of
from pipeline.dlq.header_formats import reader_of
from pipeline.dlq.ledger import read_entry
from pipeline.dlq.ledger_topic import LedgerTopic, TopicExtents
from pipeline.dlq.values import of_dead_letters
from pipeline.errors import RefusedError
from pipeline.ports import Clock, Ranges, Reader, Stop, TopicFacts
from pipeline.progress import OnProgress, Progress
from pipeline.reconcile.revenue import Sums, exact_amount
from pipeline.settings.model import Settings
from pipeline.topics import LEDGER_SUFFIX, require_permission
from pipeline.wiring import WallClock, admin, formats, range_reader

MOST_OFFSETS: Final = 100_000
"""Offsets of dead letters that one look reads at most: some seconds. Without a limit, a look after
an incident would keep the other figures of `watch` from being refreshed."""

_DENIED: Final = (
    "READ on topic {} is denied, so that redriven and discarded dead letters count as unresolved"
)


@dataclass(frozen=True)
class Backlog:
    """The dead letters that are neither redriven nor discarded, at one moment."""

    topic: str
    """Name of the dead-letter topic."""
    unresolved: Mapping[str, int]
    """Reason → number. The reasons are codes of this program, and `other`."""
    revenue: Mapping[str, Decimal]
    """Currency → exact revenue that they block."""
    unreadable: int
    """Number of revenues, or of whole events, that can't be read."""
    expiring: int
    """Number of them that retention may delete within the warning time."""
    expiring_revenue: Mapping[str, Decimal]
    """Currency → exact revenue that these block."""
    retention_s: float | None
    """Seconds until retention may delete the oldest of them, at least 0; None when there is none,
    or retention has no time limit or is not known. Kafka deletes whole segments, so it may keep
    them longer, but not shorter unless `notices` say so."""
    deleted_unresolved: int
    """Number of dead letters that were deleted unresolved while this follower watched: by
    retention or by an operator, but not together with their topic."""
    unread: int
    """Number of offsets that are not read yet. Until it is 0, the numbers are too low."""
    notices: tuple[str, ...] = ()
    """Sentences about what makes these figures incomplete."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values; amounts are text, so nothing rounds them."""
        return {
            "topic": self.topic,
            "unresolved": dict(self.unresolved),
            "revenue": _exact(self.revenue),
            "unreadable": self.unreadable,
            "expiring": self.expiring,
            "expiring_revenue": _exact(self.expiring_revenue),
            "retention_s": self.retention_s,
            "deleted_unresolved": self.deleted_unresolved,
            "unread": self.unread,
            "notices": list(self.notices),
        }


class BacklogCluster(TopicExtents, Protocol):
    """What is asked about the cluster; `Admin` answers it."""

    def topics(self, names: Iterable[str]) -> dict[str, TopicFacts]:
        """Facts of those topics that exist or are hidden; see `Admin.topics`."""


class BacklogFollower:
    """Reads what is new in a dead-letter topic and its ledger, each time that it looks."""

    def __init__(  # noqa: PLR0913  what it reads, and how it counts
        self,
        settings: Settings,
        cluster: BacklogCluster,
        reader: Reader,
        topic: str,
        *,
        warning_s: float = EXPIRY_WARNING_S,
        clock: Clock | None = None,
        formats: Formats = PLAIN_JSON,
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._reader = reader
        self._topic = topic
        self._ledger_name = topic + LEDGER_SUFFIX
        self._warning_s = warning_s
        self._clock = clock or WallClock()
        self._dead_letter = reader_of(formats.read)
        self._ids: tuple[str, str] | None = None
        self._deleted_before = 0
        self._start("")

    def _start(self, topic_id: str) -> None:
        """Start over with a topic of which nothing is read."""
        self._counts = BacklogCounts(topic_id, BlockedRevenue(self._settings))
        self._ledger = LedgerTopic(self._cluster, self._reader, self._ledger_name)
        self._next: dict[int, int] = {}

    def catch_up(self, on_progress: OnProgress | None = None, stop: Stop | None = None) -> Backlog:
        """Look until everything that existed is read, or a stop is requested.

        Raises what `look` raises.
        """
        backlog = self.look()
        total = backlog.unread + MOST_OFFSETS
        while backlog.unread and not (stop is not None and stop.is_set()):
            if on_progress is not None:
                done = max(0, total - backlog.unread)
                on_progress(Progress("reading dead letters", done, total))
            backlog = self.look()
        return backlog

    def look(self, most: int = MOST_OFFSETS) -> Backlog:
        """Read what is new, at most so many offsets, and return how things are now.

        Raises RefusedError when the topic does not exist or may not be read, and TransportError;
        DataLossError is one, when records are deleted at this very moment. It may be called again
        after any of them.
        """
        facts = self._cluster.topics([self._topic, self._ledger_name])
        if self._topic not in facts:
            raise RefusedError(
                f"topic {self._topic} does not exist: is the name right (topics.dead_letter)?"
            )
        require_permission([facts[self._topic]], "READ")
        extents = self._cluster.extents(self._topic, stable=True)
        ledger = facts.get(self._ledger_name)
        self._notice_new_topics(facts[self._topic], ledger, extents)
        notices = self._read_ledger(ledger)
        unread = self._read_dead_letters(extents, most)
        return self._backlog(retention_of(facts[self._topic]), unread, notices)

    def _notice_new_topics(
        self, topic: TopicFacts, ledger: TopicFacts | None, extents: Mapping[int, tuple[int, int]]
    ) -> None:
        """Start over when a topic was created again, or truncated: old offsets mean nothing."""
        ids = topic.id, ledger.id if ledger else ""
        known_topic, known_ledger = self._ids or ("", "")
        is_new = self._ids is None or known_topic != ids[0] or known_ledger not in {"", ids[1]}
        is_shorter = any(
            number not in extents or extents[number][1] < offset
            for number, offset in self._next.items()
        )
        if is_new or is_shorter:
            self._deleted_before += self._counts.lost
            self._start(topic.id)
        self._ids = ids

    def _read_ledger(self, ledger: TopicFacts | None) -> list[str]:
        if ledger is None:
            return []
        if not ledger.allows("READ"):
            # Kafka does not tell a topic that may not be read from one that does not exist.
            return [_DENIED.format(ledger.name)]
        for record in self._ledger.news(stable=True):
            entry = read_entry(record)
            if entry is not None:
                self._counts.apply(entry)
        return []

    def _read_dead_letters(self, extents: Mapping[int, tuple[int, int]], most: int) -> int:
        """Read the new ones, and return how many offsets are left."""
        for number, (begin, _) in extents.items():
            self._counts.forget_before(number, begin)
            self._next[number] = max(begin, self._next.get(number, begin))
        ranges = self._ranges(extents, most)
        for record in self._reader.read(ranges):
            self._counts.add(self._dead_letter(record))
            self._next[record.partition] = record.offset + 1
        for (_, number), (_, end) in ranges.items():
            self._next[number] = end  # the last offsets may have no record
        return sum(end - self._next[number] for number, (_, end) in extents.items())

    def _ranges(self, extents: Mapping[int, tuple[int, int]], most: int) -> Ranges:
        new = {number: end for number, (_, end) in extents.items() if self._next[number] < end}
        share = max(1, most // max(1, len(new)))
        return {
            (self._topic, number): (self._next[number], min(end, self._next[number] + share))
            for number, end in new.items()
        }

    def _backlog(
        self, retention: DeadLetterRetention, unread: int, notices: Iterable[str]
    ) -> Backlog:
        counts, now = self._counts, self._clock.now()
        counts.set_limit(retention.limit_ms(now, self._warning_s))
        oldest = counts.oldest_ms()
        left_s = None
        if oldest is not None and retention.kept_ms is not None:
            left_s = max(0, oldest + retention.kept_ms - now) / 1000
        sums = counts.sums(counts.unresolved)
        return Backlog(
            topic=self._topic,
            unresolved=counts.unresolved.by_reason(),
            revenue=_by_currency(sums),
            unreadable=sums.unreadable,
            expiring=counts.expiring.reasons.total(),
            expiring_revenue=_by_currency(counts.sums(counts.expiring)),
            retention_s=left_s,
            deleted_unresolved=self._deleted_before + counts.lost,
            unread=unread,
            notices=(*notices, *retention.notices),
        )


def _by_currency(sums: Sums) -> dict[str, Decimal]:
    return {key.currency: amount for key, amount in sorted(sums.amounts.items())}


def _exact(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: exact_amount(amount) for currency, amount in amounts.items()}


def follow_backlog(
    settings: Settings, *, topic: str | None = None, warning_s: float = EXPIRY_WARNING_S
) -> BacklogFollower:
    """Follow the dead letters of a topic, or of the one that the settings name.

    Nothing is asked before the first look.
    """
    name = topic or settings.topics.dead_letter
    return BacklogFollower(
        settings,
        admin(settings),
        range_reader(settings),
        name,
        warning_s=warning_s,
        formats=of_dead_letters(formats(settings, writes=False)),
    )
