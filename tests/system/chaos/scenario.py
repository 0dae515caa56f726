"""What one chaos run does: which faults, for how long, under which load and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Scenario:
    """The parameters of one run."""

    seed: int
    faults: tuple[str, ...]
    """Faults to inject, each at least once; repeated in random order until the time is up."""
    duration_s: float = 0.0
    """Least time during which faults are injected."""
    pause_s: tuple[float, float] = (2.0, 8.0)
    """Shortest and longest pause between two faults."""
    rate: int = 1500
    """Events per second."""
    partitions: int = 6
    timeout_s: float = 90.0
    """Longest time that the group may take to catch up or to react."""
    seeded_bug: str | None = None
    """Name of the bug that is built into the workers; None runs the real program."""
    static: bool = False
    """Whether the workers are static members; if not, they have transactional ids only."""
    needs_full_coverage: bool = True
    """Whether everything in `Coverage` must have happened.

    A few chosen faults need not cause each kind of recovery: for them it is enough that they
    took effect.
    """
    settings: Mapping[str, str] = field(default_factory=dict)
    """Additional TRACK_ variables for the workers."""
