"""What `watch` looks at."""

from __future__ import annotations

from pipeline.monitor.collectors import ClusterCollector, Collector, ReplayCollector
from pipeline.monitor.dead_letters import DeadLetterCollector
from pipeline.settings.model import Settings


def collectors_of(settings: Settings) -> list[Collector]:
    """Return the parts of each look, the cluster first."""
    return [
        ClusterCollector(settings),
        DeadLetterCollector.from_settings(settings),
        ReplayCollector(settings),
    ]
