"""The rules in a process of their own: a record that kills it must not kill the desk."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import INVALID_HEADERS, Output, Record
from pipeline.deadletters.again import as_raw
from pipeline.deadletters.letter import DeadLetter

_TIMEOUT_S: Final = 60.0


class KilledError(Exception):
    """The process died of a letter, or had to be ended."""


class Isolated:
    """As `again.Again`. The process starts with the first letter; `end` ends it."""

    def __init__(self, settings: ContractSettings, identity: Identity) -> None:
        contract = {name: getattr(settings, name) for name in ContractSettings.model_fields}
        self._made_of = ContractSettings.model_validate(contract), identity
        self._pool: ProcessPoolExecutor | None = None

    def outputs(self, letter: DeadLetter, now: int, value: bytes | None) -> tuple[Output, ...]:
        """What becomes of the letter. Raises KilledError, and what the rules raise."""
        if self._pool is None:
            # Not forked: this process has threads of the Kafka client.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, context, _prepare, self._made_of)
        record = as_raw(letter)._replace(value=value)
        running = self._pool.submit(_process, record, now)
        try:
            return running.result(_TIMEOUT_S)
        except BrokenProcessPool:
            self.end()
            raise KilledError("it kills the process that works on it") from None
        except TimeoutError:
            self.end()
            raise KilledError(f"it was not done after {_TIMEOUT_S:.0f} s") from None

    def probe(self, letter: DeadLetter, now: int) -> None:
        """Raise KilledError when the letter, as it is, kills a process; a mere bug is no matter."""
        try:
            self.outputs(letter, now, letter.value)
        except KilledError:
            raise
        except Exception:  # noqa: BLE001  told when it is tried in earnest
            return

    def end(self) -> None:
        """End the process, if there is one."""
        if self._pool is not None:
            for process in list(self._pool._processes.values()):  # noqa: SLF001  no other way to end one that hangs
                process.kill()
            self._pool.shutdown()
            self._pool = None


_processor: Any = None


def _prepare(settings: ContractSettings, identity: Identity) -> None:
    global _processor  # noqa: PLW0603  the pool's process has nothing else
    _processor = Processor(settings, identity, trust_origin=True)


def _process(record: Record, now: int) -> tuple[Output, ...]:
    if record.headers == INVALID_HEADERS:  # known by identity, which no process hands on
        record = record._replace(headers=INVALID_HEADERS)
    made: tuple[Output, ...] = _processor.process(record, now)
    return made
