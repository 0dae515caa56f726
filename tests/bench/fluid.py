"""Backlog of a consumer group over two days, as a fluid: rates instead of single events.

Events arrive by a daily curve, with a burst at the first noon. All workers stand still for hours on
the second morning. Partitions get unequal shares, and each is read by one worker; a worker reads
its partitions in proportion to what waits there. Whoever changes the number of workers pays with a
rebalance, in which nobody reads.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

STEP_S: Final = 30.0
"""Also the interval in which KEDA looks at the lag."""
DAY_S: Final = 86_400.0
DAYS: Final = 2
_NOON_S: Final = DAY_S / 2
_OUTAGE_S: Final = 1.25 * DAY_S
"""Start of the outage, at six in the morning: the backlog meets the daily peak."""
STABLE_S: Final = 600.0
"""Time for which Kubernetes remembers higher demands before it scales in, as the chart sets it."""
_TOLERANCE: Final = 0.1
"""Deviation from the target that Kubernetes ignores."""


class Load(NamedTuple):
    """What arrives, and when nobody reads."""

    average: float
    """Events per second."""
    peak: float = 1.6
    """Rate at noon over the average."""
    burst: float = 2.0
    """Factor of the burst, on top of the curve."""
    burst_s: float = 900.0
    outage_s: float = 7200.0

    def rate(self, now: float) -> float:
        """Events per second at a moment in seconds."""
        curve = 1 - (self.peak - 1) * math.cos(2 * math.pi * now / DAY_S)
        bursting = _NOON_S <= now < _NOON_S + self.burst_s
        return self.average * curve * (self.burst if bursting else 1)

    def is_outage(self, now: float) -> bool:
        """Whether the workers stand still."""
        return _OUTAGE_S <= now < _OUTAGE_S + self.outage_s


class Group(NamedTuple):
    """The consumer group and its topic."""

    partitions: int
    per_worker: float
    """Events per second of one worker."""
    hottest: float = 1.5
    """Share of the fullest partition over the mean share."""
    rebalance_s: float = 5.0
    start_s: float = 60.0
    """From the decision for one more worker until it reads."""
    commit_s: float = 0.3
    """From an event's arrival until its offset is committed, if nothing waits: lag for KEDA."""

    def shares(self) -> list[float]:
        """Share of each partition, in the order of the assignment; their sum is 1."""
        last = max(1, self.partitions - 1)
        spread = 2 * (self.hottest - 1)
        shares = [
            (self.hottest - spread * number / last) / self.partitions
            for number in range(self.partitions)
        ]
        random.Random(7).shuffle(shares)  # noqa: S311  which partition is the fullest, no secret
        return shares


class Scaler(Protocol):
    """Decides how many workers there should be."""

    def desired(self, running: int, lag: float) -> int:
        """How many workers should run, of so many and at such a lag."""


class Fixed(NamedTuple):
    """Always so many workers."""

    workers: int

    def desired(self, running: int, lag: float) -> int:
        """Ignore what happens."""
        del running, lag
        return self.workers


class Keda:
    """KEDA's Kafka scaler as the Helm chart sets it up: one worker for so much lag each."""

    def __init__(self, least: int, most: int, lag_per_worker: float) -> None:
        self._least = least
        self._most = most
        self._lag_per_worker = lag_per_worker
        self._demands: deque[int] = deque(maxlen=int(STABLE_S / STEP_S))

    def desired(self, running: int, lag: float) -> int:
        """Scale out at once, at most to the double or by four; scale in late."""
        wanted = lag / self._lag_per_worker
        if abs(wanted / running - 1) <= _TOLERANCE:
            wanted = running
        step = min(math.ceil(wanted), max(2 * running, running + 4))
        self._demands.append(max(self._least, min(self._most, step)))
        return max(self._demands) if step < running else self._demands[-1]


class Outcome(NamedTuple):
    """What happened in the two days."""

    arrived: float
    served: float
    least_workers: int
    most_workers: int
    worker_hours: float
    """Per day."""
    rebalances: int
    oldest_s: float
    """Age of the oldest waiting event on the first day, at its worst moment."""
    caught_up_s: float | None
    """Time from the end of the outage until nothing waited; None if that took all the time."""


class _Topic:
    """Partitions with what has arrived and what is served, in events since the start."""

    def __init__(self, shares: list[float]) -> None:
        self._shares = shares
        self._arrived = [0.0]
        """Load of all partitions together, by the number of the step."""
        self._served = [0.0] * len(shares)
        self._oldest = [0] * len(shares)
        """Step in which the oldest waiting event of a partition arrived."""

    @property
    def arrived(self) -> float:
        return self._arrived[-1]

    @property
    def served(self) -> float:
        return sum(self._served)

    def arrive(self, events: float) -> None:
        self._arrived.append(self.arrived + events)

    def serve(self, partitions: range, most: float) -> None:
        """Let one worker read what waits in its partitions, at most so many events."""
        waiting = [self.arrived * self._shares[p] - self._served[p] for p in partitions]
        part = min(1.0, most / max(1e-9, sum(waiting)))
        for partition, events in zip(partitions, waiting, strict=True):
            self._served[partition] += events * part

    def age_s(self) -> float:
        """Age of the oldest waiting event, in whole steps."""
        newest = len(self._arrived) - 1
        for partition, share in enumerate(self._shares):
            step, served = self._oldest[partition], self._served[partition] * (1 + 1e-9)
            while step < newest and self._arrived[step + 1] * share <= served:
                step += 1
            self._oldest[partition] = step
        return (newest - min(self._oldest)) * STEP_S


def simulate(load: Load, group: Group, scaler: Scaler) -> Outcome:
    """Run two days."""
    topic = _Topic(group.shares())
    running = scaler.desired(1, 0)
    counts, ages, rebalances = [], [], 0
    caught_up: float | None = None
    starting: deque[tuple[float, int]] = deque()
    for now in _steps():
        lag = topic.arrived - topic.served + load.rate(now) * group.commit_s
        wanted = scaler.desired(running, lag)
        starting.append((now + (group.start_s if wanted > running else 0), wanted))
        before = running
        while starting and starting[0][0] <= now:
            running = starting.popleft()[1]
        rebalances += running != before
        topic.arrive(load.rate(now) * STEP_S)
        if not load.is_outage(now):
            pause = group.rebalance_s if running != before else 0
            for partitions in _assignment(group.partitions, running):
                topic.serve(partitions, group.per_worker * (STEP_S - pause))
        counts.append(running)
        ages.append(topic.age_s())
        if caught_up is None and now >= _OUTAGE_S + load.outage_s and not ages[-1]:
            caught_up = now - _OUTAGE_S - load.outage_s
    first_day = ages[: int(DAY_S / STEP_S)]
    hours = sum(counts) * STEP_S / 3600 / DAYS
    return Outcome(
        topic.arrived, topic.served, min(counts), max(counts), hours, rebalances,
        max(first_day), caught_up,
    )  # fmt: skip


def _steps() -> Iterator[float]:
    return (step * STEP_S for step in range(int(DAYS * DAY_S / STEP_S)))


def _assignment(partitions: int, workers: int) -> Iterator[range]:
    """Partitions of each worker, as Kafka's assignor `range` deals them out."""
    each, more = divmod(partitions, workers)
    start = 0
    for worker in range(min(workers, partitions)):
        end = start + each + (worker < more)
        yield range(start, end)
        start = end
