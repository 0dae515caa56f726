"""Is a worker alive, and is it ready? A policy without clock and I/O.

Alive means progress, never "the process exists". A worker is stuck when records wait for longer
than a limit and nothing outside explains it. A broker that is away, an open circuit breaker or a
group that rebalances make it unready, but a restart would not help, so it stays alive: otherwise a
broker that flaps would send every worker into a crash loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pipeline.metrics.snapshot import State, WorkerCondition

_EXPLAINED: Final[frozenset[State]] = frozenset({"starting", "waiting", "breaker_open", "stopping"})
"""States with a cause outside of the worker, or a time limit of their own. `recovering` is none of
them: each attempt counts as an iteration, and what keeps an attempt waiting is `waiting`."""


class Health(NamedTuple):
    """Health of a worker, or of all of them."""

    live: bool
    ready: bool
    code: str
    """Reason code: the state, or `stuck`."""
    reasons: tuple[str, ...]
    """One sentence for each thing that is wrong."""


def worker_health(condition: WorkerCondition, now: float, stuck_after_s: float) -> Health:
    """Judge one worker at a moment of the monotonic clock."""
    stuck = _stuck(condition, now, stuck_after_s)
    if stuck:
        return Health(live=False, ready=False, code="stuck", reasons=(stuck,))
    ready = condition.state == "running"
    reasons = () if ready else (condition.cause or _SENTENCES.get(condition.state, ""),)
    return Health(live=True, ready=ready, code=condition.state, reasons=reasons)


_SENTENCES: Final[dict[State, str]] = {
    "starting": "it is connecting to Kafka and checking the topics",
    "no_partitions": "it has no partitions yet: its group is rebalancing",
    "stopping": "it is finishing its transaction and stops",
}


def _stuck(condition: WorkerCondition, now: float, stuck_after_s: float) -> str:
    silent = now - condition.written_at
    if silent > stuck_after_s:
        return f"the process has not reported anything for {silent:.0f} s: it hangs or is suspended"
    if condition.state in _EXPLAINED:
        return ""
    still = now - condition.moved_at
    if still > stuck_after_s:
        return f"the loop has not completed an iteration for {still:.0f} s"
    owed = 0.0 if condition.owes_since is None else now - condition.owes_since
    if owed > stuck_after_s:
        return f"records have been waiting for {owed:.0f} s, and none was committed"
    return ""


_NOT_RUNNING: Final = Health(live=True, ready=False, code="starting", reasons=("it is starting",))


def health_of_all(workers: Sequence[Health | None]) -> Health:
    """Health of several workers together; None stands for one that does not run at the moment.

    They are live when each of them is: the supervisor ends a stuck one itself.
    """
    each = [health or _NOT_RUNNING for health in workers]
    reasons = [
        f"worker {number}: {reason}" if len(each) > 1 else reason
        for number, health in enumerate(each)
        for reason in health.reasons
    ]
    unready = [health.code for health in each if not health.ready]
    return Health(
        live=all(health.live for health in each),
        ready=not unready,
        code=unready[0] if unready else "running",
        reasons=tuple(reasons),
    )
