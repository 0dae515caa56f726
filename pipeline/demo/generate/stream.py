"""The endless sequence of records that belong to a seed, generated in constant memory.

Each is a batch envelope or a single event; each event is good or spoiled by one fault. What is
stated of a record (`Generated.events`, `.invalid`) is what the contract makes of it, which a test
holds against the core itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.core.json_value import JsonObject
from pipeline.core.reasons import Reason
from pipeline.core.timestamps import DAY, format_time
from pipeline.demo.generate.dice import Deck, Dice
from pipeline.demo.generate.faults import (
    EVENT_FAULTS,
    HUGE_FAULTS,
    RECORD_FAULTS,
    STRICT_EVENT_FAULTS,
    STRICT_HUGE_FAULTS,
    EventFault,
    RecordFault,
)
from pipeline.demo.generate.people import Population, User
from pipeline.demo.generate.senders import (
    BATCHING_SERVERS,
    DEVICE_SENDERS,
    SERVER_SENDERS,
    Call,
    http_api,
)

START: Final = 1_735_689_600_000
"""2025-01-01T00:00:00Z in epoch milliseconds."""
EARLIEST: Final = 31_536_000_000
"""1971-01-01, so that no clock error leads to a time before 1970."""
LATEST: Final = 4_102_444_800_000
"""2100-01-01T00:00:00Z in epoch milliseconds."""
DEFAULT_INTERVAL_MS: Final = 20.0
FEWEST_ITEMS: Final = 2
MOST_ITEMS: Final = 20
_SHARE_SERVERS: Final = 0.4
_SHARE_SERVERS_BATCH: Final = 0.5
_SHARE_HUGE: Final = 0.02
_encode: Final = msgspec.json.Encoder().encode


class Generated(NamedTuple):
    """One raw record, and its outcome under the contract."""

    value: bytes | None
    """Value of the record; None for a tombstone."""
    key: bytes
    """Id of the user; for a batch, that of its first item's user."""
    events: int
    """Number of outcomes: the items of a batch that can be split, or else 1."""
    invalid: tuple[Reason, ...]
    """Reason of each outcome that is a dead letter, in order; all others are enriched."""
    timestamp: int
    """Time at which Kafka receives the record, in epoch milliseconds; it never decreases."""


@dataclass(frozen=True, slots=True)
class Generator:
    """An endless iterable of `Generated`; every iteration starts anew and gives the same.

    ValueError for shares outside 0 to 1, less than one user, a start before 1971 or after 2099,
    and an interval of more than a day.
    """

    seed: int = 0
    invalid_share: float = 0.02
    """Share of all events that are invalid."""
    batch_share: float = 0.05
    """Share of all records that are batches. With 1, no record as a whole is invalid."""
    users: int = 10_000
    start: int = START
    """Time of the first record, in epoch milliseconds."""
    interval_ms: float = DEFAULT_INTERVAL_MS
    """Mean time between two records."""
    lines: bool = False
    """Leave out faults that can't be one line of a text file: a null value, a blank one, UTF-16."""
    strict: bool = False
    """Include faults that are rejected only under `STRICT_SETTINGS`; outcomes then assume these."""
    huge: bool = False
    """Include, rarely, records of 0.2 to 2 MB, which break a limit."""

    def __post_init__(self) -> None:
        if not (0 <= self.invalid_share <= 1 and 0 <= self.batch_share <= 1):
            raise ValueError("invalid_share and batch_share must be from 0 to 1")
        if self.users < 1:
            raise ValueError("users must be 1 or more")
        if not EARLIEST <= self.start < LATEST:
            raise ValueError("start must be in the years 1971 to 2099")
        if not 0 <= self.interval_ms <= DAY:
            raise ValueError("the mean interval between records must be from 0 to a day")

    def __iter__(self) -> Iterator[Generated]:
        return _Run(self).records()


class _Run:
    """One pass through the records of a generator."""

    def __init__(self, plan: Generator) -> None:
        self._plan = plan
        self._dice = Dice(plan.seed)
        self._people = Population(plan.seed, plan.users)
        self._clock = float(plan.start)
        of_events = EVENT_FAULTS + (STRICT_EVENT_FAULTS if plan.strict else ())
        of_records = [fault for fault in RECORD_FAULTS if fault.is_line or not plan.lines]
        huge = HUGE_FAULTS + (STRICT_HUGE_FAULTS if plan.strict else ())
        self._items: Deck[EventFault] = Deck(of_events)
        self._singles: Deck[EventFault | RecordFault] = Deck([*of_events, *of_records])
        self._huge: Deck[RecordFault] = Deck(huge)

    def records(self) -> Iterator[Generated]:
        """Generate records without end."""
        plan, random = self._plan, self._dice.random
        while True:
            self._clock += random() * 2 * plan.interval_ms
            user = self._people.pick(self._dice)
            if random() < plan.batch_share:
                yield self._batch(user)
            elif random() < plan.invalid_share:
                yield self._rejected(user)
            else:
                yield Generated(_encode(self._single(user)), user.key, 1, (), int(self._clock))

    def _single(self, user: User) -> JsonObject:
        dice = self._dice
        by_server = dice.random() < _SHARE_SERVERS
        sender = dice.pick(SERVER_SENDERS) if by_server else DEVICE_SENDERS[user.device]
        received = int(self._clock) - 1 - dice.below(30)
        return sender(Call(dice, user, received, in_batch=False))

    def _rejected(self, user: User) -> Generated:
        dice = self._dice
        is_huge = self._plan.huge and dice.random() < _SHARE_HUGE
        fault = self._huge.draw(dice) if is_huge else self._singles.draw(dice)
        event = self._single(user)
        value: bytes | None
        if isinstance(fault, EventFault):
            value = _encode(fault.spoil(event, dice))
        else:
            value = fault.spoil(_encode(event), dice)
        return Generated(value, user.key, 1, (fault.reason,), int(self._clock))

    def _batch(self, user: User) -> Generated:
        """Make an envelope of a device's own events, or of a server's events about many users."""
        dice, people = self._dice, self._people
        count = FEWEST_ITEMS + dice.below(MOST_ITEMS - FEWEST_ITEMS + 1)
        received = int(self._clock) - 1 - dice.below(30)
        if dice.random() < _SHARE_SERVERS_BATCH:
            sender = dice.pick(BATCHING_SERVERS)
            users = [user, *(people.pick(dice) for _ in range(count - 1))]
            sent = received - 10
        else:
            sender, users = DEVICE_SENDERS[user.device], [user] * count
            sent = received - 10 + user.clock_error
        events = [sender(Call(dice, one, received, in_batch=True)) for one in users]
        envelope: JsonObject = {"batch": events, "sentAt": format_time(sent)}
        if sender is http_api:
            envelope = _with_shared_context(envelope, events)
        envelope["batch"], invalid = self._with_faults(events)
        return Generated(_encode(envelope), user.key, count, invalid, int(self._clock))

    def _with_faults(self, events: list[JsonObject]) -> tuple[list[Any], tuple[Reason, ...]]:
        dice, items = self._dice, list[Any](events)
        invalid = []
        for index, event in enumerate(events):
            if dice.random() < self._plan.invalid_share:
                fault = self._items.draw(dice)
                items[index] = fault.spoil(event, dice)
                invalid.append(fault.reason)
        return items, tuple(invalid)


def _with_shared_context(envelope: JsonObject, events: list[JsonObject]) -> JsonObject:
    """Move what holds for every item into the envelope, as users of the HTTP API do."""
    for event in events[1:]:
        del event["context"]
    shared = {"ip": events[0]["context"]["ip"], "channel": "server"}
    return envelope | {"context": shared, "integrations": {"All": True}}
