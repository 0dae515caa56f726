"""Dead letters as the raw records that they were, and what the rules make of them now."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.coordinates import Source
from pipeline.core.formats import PLAIN_JSON, Formats
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.origin import without_schema_id
from pipeline.core.process import Processor
from pipeline.core.record import INVALID_HEADERS, Headers, Output, Record
from pipeline.dlq.child_process import ChildEndedError, ChildProcess
from pipeline.dlq.dead_letter import DeadLetter, unpickled
from pipeline.settings.model import Settings
from pipeline.wiring import APP, formats

_TIMEOUT_S: Final = 60.0
_NO_REDRIVE: Final = "-"
"""Stands for the id of a redrive where the rules are only tried."""

MakeFormats = Callable[[], Formats]
"""Makes the formats of a processor; picklable, since a child process makes its own."""


def plain_json() -> Formats:
    """Formats for raw records and outputs that are plain JSON."""
    return PLAIN_JSON


class Reprocessor:
    """Processes dead letters under given settings, as the worker would have done at first."""

    def __init__(
        self,
        settings: ContractSettings,
        identity: Identity,
        make_formats: MakeFormats = plain_json,
    ) -> None:
        self.settings = settings
        self.identity = identity
        self.make_formats = make_formats
        self._processor = Processor(settings, identity, make_formats(), trust_origin=True)

    @property
    def contract(self) -> str:
        """`version;hash` of the rules."""
        return self._processor.contract

    def outputs(self, dead_letter: DeadLetter, now: int, value: bytes | None) -> tuple[Output, ...]:
        """Outputs of the rules for a dead letter with this value, its own or a repaired one.

        `now` is in epoch milliseconds. An exception is a bug of the rules, as in the worker.
        """
        return self._processor.process(as_raw(dead_letter, value), now)


def make_reprocessor(
    settings: Settings, *, replay: str = "", writes: bool = False, is_patient: bool = True
) -> Reprocessor:
    """Make the rules under these settings; `replay` is the id that they write into headers.

    With `writes` the outputs have the form of the output topics; otherwise they are JSON, and a
    registry that does not answer is waited for if `is_patient`. Raises TransportError when the form
    needs a registry that can't be reached.
    """
    identity = Identity(app=APP, group=settings.group, replay=replay)
    # A child process may get them, and has no use for the secrets of Kafka clients.
    allowed = settings.model_copy(update={"kafka": {}, "consumer": {}, "producer": {}})
    makes = partial(formats, allowed, writes=writes, is_patient=is_patient)
    return Reprocessor(settings, identity, makes)


class KilledError(Exception):
    """A dead letter killed the process that worked on it, or that process had to be killed."""


class IsolatedReprocessor:
    """A `Reprocessor` in a child process, for dead letters that may kill the process.

    The child starts with the first dead letter, and again after it was killed; `end` ends it.
    """

    def __init__(self, rules: Reprocessor) -> None:
        """`rules` are what the child process works with."""
        # The contract's settings alone: all others may hold secrets, and need not be picklable.
        settings = rules.settings
        contract = {name: getattr(settings, name) for name in ContractSettings.model_fields}
        allowed = ContractSettings.model_validate(contract)
        self._arguments = allowed, rules.identity, rules.make_formats
        self._child: ChildProcess | None = None

    def outputs(self, dead_letter: DeadLetter, now: int, value: bytes | None) -> tuple[Output, ...]:
        """Outputs as of `Reprocessor`; raises KilledError, and what the rules raise."""
        if self._child is None:
            self._child = ChildProcess(_prepare, *self._arguments)
        record = as_raw(dead_letter, value)
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
    settings: ContractSettings, identity: Identity, make_formats: MakeFormats
) -> Callable[[tuple[Record, int]], tuple[Output, ...]]:
    """Make the rules, in the child process."""
    processor = Processor(settings, identity, make_formats(), trust_origin=True)

    def process(call: tuple[Record, int]) -> tuple[Output, ...]:
        record, now = call
        return processor.process(unpickled(record), now)

    return process


def as_raw(dead_letter: DeadLetter, value: bytes | None, redrive: str = _NO_REDRIVE) -> Record:
    """Restore the raw record of a dead letter with its own value, or a repaired one.

    Headers carry its origin, with which the rules give the same `track.source`, generated message
    ids and times as at first. A dead letter that does not state its source gets its own coordinates
    instead. The header with the id of the redrive also says that the value may be plain JSON where
    raw records are framed.
    """
    record, source = dead_letter.record, dead_letter.source
    if source is None:
        source = Source(record.topic, record.partition, record.offset)
    timestamp = dead_letter.source_timestamp
    headers: Headers = INVALID_HEADERS
    if record.headers is not INVALID_HEADERS:  # which the rules reject again
        headers = [
            *sent_headers(dead_letter, value),
            *origin_headers(dead_letter, source, timestamp),
            (TrackHeader.REDRIVE.value, redrive.encode()),
        ]
    return Record(
        value,
        record.key,
        headers,
        timestamp,
        source.topic,
        source.partition,
        source.offset,
    )


def sent_headers(dead_letter: DeadLetter, value: bytes | None) -> Headers:
    """The sender's headers for a value: a repaired one is plain JSON, and has no schema."""
    headers = dead_letter.headers
    is_repaired = value != dead_letter.value and is_plain_json(value)
    return without_schema_id(headers) if is_repaired else headers


def is_plain_json(value: bytes | None) -> bool:
    """Whether a repaired value is a JSON object, not bytes that a header describes."""
    return value is not None and value.lstrip().startswith(b"{")


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
