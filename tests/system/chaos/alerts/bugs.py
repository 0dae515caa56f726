"""Bugs built into the worker on purpose, each of which makes an alert fire.

Unlike those of `seeded_bugs.py`, which break the promise of exactly-once in silence, these show in
what the worker reports about itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

from pipeline.core.process import Processor
from pipeline.core.record import Output, Record
from pipeline.errors import AbortableError
from pipeline.kafka.session import KafkaSession

_EVERY_RECORD: Final = 20
_EVERY_COMMIT: Final = 3


def output_dropped() -> None:
    """Forget the outputs of one record in twenty."""
    process, numbers = Processor.process, itertools.count(1)

    def forgetful(self: Processor, record: Record, now: int) -> tuple[Output, ...]:
        outputs = process(self, record, now)
        return outputs if next(numbers) % _EVERY_RECORD else ()

    _replace(Processor, process=forgetful)


def processing_raises() -> None:
    """Raise an exception on one record in twenty."""
    process, numbers = Processor.process, itertools.count(1)

    def raising(self: Processor, record: Record, now: int) -> tuple[Output, ...]:
        if next(numbers) % _EVERY_RECORD == 0:
            raise RuntimeError("a bug in processing")
        return process(self, record, now)

    _replace(Processor, process=raising)


def commits_fail() -> None:
    """Let one commit in three fail, so that its transaction is aborted."""
    commit, numbers = KafkaSession.commit, itertools.count(1)

    def failing(self: KafkaSession, *arguments: Any) -> None:
        if next(numbers) % _EVERY_COMMIT == 0:
            raise AbortableError("a bug in committing")
        commit(self, *arguments)

    _replace(KafkaSession, commit=failing)


def _replace(owner: type, **methods: Callable[..., Any]) -> None:
    for name, method in methods.items():
        setattr(owner, name, method)


ALERTING_BUGS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each for each in (output_dropped, processing_raises, commits_fail)
}
