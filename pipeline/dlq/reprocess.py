"""Dead letters as the raw records that they were, and what the rules make of them now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.coordinates import Source
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.process import Processor
from pipeline.core.record import INVALID_HEADERS, Headers, Output, Record
from pipeline.dlq.child_process import ChildEndedError, ChildProcess
from pipeline.dlq.dead_letter import DeadLetter, unpickled
from pipeline.settings.model import Settings
from pipeline.wiring import APP

_TIMEOUT_S: Final = 60.0


class Reprocessor:
    """Processes dead letters under given settings, as the worker would have done at first."""

    def __init__(self, settings: ContractSettings, identity: Identity) -> None:
        self.settings = settings
        self.identity = identity
        self._processor = Processor(settings, identity, trust_origin=True)

    @property
    def contract(self) -> str:
        """`version;hash` of the rules."""
        return self._processor.contract

    def outputs(self, dead_letter: DeadLetter, now: int, value: bytes | None) -> tuple[Output, ...]:
        """Outputs of the rules for a dead letter with this value, its own or a repaired one.

        `now` is in epoch milliseconds. An exception is a bug of the rules, as in the worker.
        """
        return self._processor.process(as_raw(dead_letter)._replace(value=value), now)


def make_reprocessor(settings: Settings, *, replay: str = "") -> Reprocessor:
    """Make the rules under these settings; `replay` is the id that they write into headers."""
    return Reprocessor(settings, Identity(app=APP, group=settings.group, replay=replay))


class KilledError(Exception):
    """A dead letter killed the process that worked on it, or that process had to be killed."""


class IsolatedReprocessor:
    """A `Reprocessor` in a child process, for dead letters that may kill the process.

    The child starts with the first dead letter, and again after it was killed; `end` ends it.
    """

    def __init__(self, settings: ContractSettings, identity: Identity) -> None:
        # The contract's settings alone: all others may hold secrets, and need not be picklable.
        contract = {name: getattr(settings, name) for name in ContractSettings.model_fields}
        self._arguments = ContractSettings.model_validate(contract), identity
        self._child: ChildProcess | None = None

    def outputs(self, dead_letter: DeadLetter, now: int, value: bytes | None) -> tuple[Output, ...]:
        """Outputs as of `Reprocessor`; raises KilledError, and what the rules raise."""
        if self._child is None:
            self._child = ChildProcess(_prepare, *self._arguments)
        record = as_raw(dead_letter)._replace(value=value)
        try:
            made: tuple[Output, ...] = self._child.call((record, now), _TIMEOUT_S)
        except ChildEndedError as error:
            self.end()
            if error.timed_out:
                raise KilledError(f"it {error}") from None
            raise KilledError("it kills the process that works on it") from None
        return made

    def probe(self, dead_letter: DeadLetter, now: int) -> None:
        """Raise KilledError when the dead letter as it is kills a process.

        An exception of the rules is ignored: it is reported when the dead letter is rechecked.
        """
        try:
            self.outputs(dead_letter, now, dead_letter.value)
        except KilledError:
            raise
        except Exception:  # noqa: BLE001  of any class
            return

    def end(self) -> None:
        """End the child process, if there is one."""
        if self._child is not None:
            self._child.end()
            self._child = None


def _prepare(
    settings: ContractSettings, identity: Identity
) -> Callable[[tuple[Record, int]], tuple[Output, ...]]:
    """Make the rules, in the child process."""
    processor = Processor(settings, identity, trust_origin=True)

    def process(call: tuple[Record, int]) -> tuple[Output, ...]:
        record, now = call
        return processor.process(unpickled(record), now)

    return process


def as_raw(dead_letter: DeadLetter) -> Record:
    """Restore the raw record of a dead letter; headers carry its origin.

    With these the rules give the same `track.source`, generated message ids and times as at first.
    A dead letter that does not state its source gets its own coordinates instead.
    """
    record, source = dead_letter.record, dead_letter.source
    if source is None:
        source = Source(record.topic, record.partition, record.offset)
    timestamp = dead_letter.source_timestamp
    headers: Headers = INVALID_HEADERS
    if record.headers is not INVALID_HEADERS:  # which the rules reject again
        headers = [*dead_letter.headers, *origin_headers(dead_letter, source, timestamp)]
    return Record(
        record.value,
        record.key,
        headers,
        timestamp,
        source.topic,
        source.partition,
        source.offset,
    )


def origin_headers(
    dead_letter: DeadLetter, source: Source, timestamp: int | None
) -> list[tuple[str, bytes | None]]:
    """Headers that keep the identity of a raw record when it is sent again; at most four."""
    headers = {
        TrackHeader.ORIGIN: source.text(),
        TrackHeader.ORIGIN_TIMESTAMP: "" if timestamp is None else str(timestamp),
        DlqHeader.ATTEMPT.value: str(dead_letter.attempt),
        DlqHeader.FIRST_FAILED_AT.value: dead_letter.header(DlqHeader.FIRST_FAILED_AT),
    }
    return [(name, text.encode()) for name, text in headers.items() if text]
