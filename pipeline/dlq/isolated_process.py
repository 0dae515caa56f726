"""The rules in a process of their own: a record that kills it must not kill the desk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record
from pipeline.dlq.child_process import Child, ChildEndedError
from pipeline.dlq.dead_letter import DeadLetter, unpickled
from pipeline.dlq.reprocess import as_raw

_TIMEOUT_S: Final = 60.0


class KilledError(Exception):
    """The process died of a letter, or had to be ended."""


class Isolated:
    """As `again.Again`. The process starts with the first letter; `end` ends it."""

    def __init__(self, settings: ContractSettings, identity: Identity) -> None:
        contract = {name: getattr(settings, name) for name in ContractSettings.model_fields}
        self._made_of = ContractSettings.model_validate(contract), identity
        self._child: Child | None = None

    def outputs(self, letter: DeadLetter, now: int, value: bytes | None) -> tuple[Output, ...]:
        """What becomes of the letter. Raises KilledError, and what the rules raise."""
        if self._child is None:
            self._child = Child(_rules, *self._made_of)
        record = as_raw(letter)._replace(value=value)
        try:
            made: tuple[Output, ...] = self._child.call((record, now), _TIMEOUT_S)
        except ChildEndedError as error:
            self.end()
            if error.timed_out:
                raise KilledError(f"it {error}") from None
            raise KilledError("it kills the process that works on it") from None
        return made

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
        if self._child is not None:
            self._child.end()
            self._child = None


def _rules(
    settings: ContractSettings, identity: Identity
) -> Callable[[tuple[Record, int]], tuple[Output, ...]]:
    processor = Processor(settings, identity, trust_origin=True)

    def process(given: tuple[Record, int]) -> tuple[Output, ...]:
        record, now = given
        return processor.process(unpickled(record), now)

    return process
