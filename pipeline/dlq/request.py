"""The request of every operation: which dead letters, of which topic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.dlq.filters import EVERYTHING, Selection
from pipeline.settings.model import Settings

OnNotice = Callable[[str], None]
"""Receives a sentence for the operator while an operation runs."""


def ignore_notice(_: str) -> None:
    """Drop a notice: for callers that do not show any."""


@dataclass(frozen=True)
class DlqRequest:
    """Dead letters that an operation is about."""

    settings: Settings
    topic: str | None = None
    """Dead-letter topic, such as that of a replay or of Kafka Connect; None is the topic that the
    settings name."""
    selection: Selection = EVERYTHING
    include_done: bool = False
    """Whether dead letters that were redriven or discarded are included."""

    @property
    def dead_letter_topic(self) -> str:
        """Name of the dead-letter topic."""
        return self.topic or self.settings.topics.dead_letter
