"""The rules in a process of their own: a record that kills it must not kill the desk."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record
from pipeline.deadletters.again import as_raw
from pipeline.deadletters.letter import DeadLetter

_TIMEOUT_S: Final = 60.0


class Isolated:
    """As `again.Again`. The process starts with the first letter; `end` ends it."""

    def __init__(self, settings: ContractSettings, identity: Identity) -> None:
        contract = {name: getattr(settings, name) for name in ContractSettings.model_fields}
        self._made_of = ContractSettings.model_validate(contract), identity
        self._pool: ProcessPoolExecutor | None = None

    def outputs(self, letter: DeadLetter, now: int, value: bytes | None) -> tuple[Output, ...]:
        """What becomes of the letter. Raises RuntimeError when the process dies, or takes long."""
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
            raise RuntimeError("it kills the process that works on it") from None
        except TimeoutError:
            self.end()
            raise RuntimeError(f"it was not done after {_TIMEOUT_S:.0f} s") from None

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
    made: tuple[Output, ...] = _processor.process(record, now)
    return made
