"""Dead letters as the raw records that they were, and what the rules make of them now."""

from __future__ import annotations

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.coordinates import Source
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.process import Processor
from pipeline.core.record import INVALID_HEADERS, Headers, Output, Record
from pipeline.dlq.dead_letter import DeadLetter


class Again:
    """Processes letters under given settings, as the worker would have at their first time."""

    def __init__(self, settings: ContractSettings, identity: Identity) -> None:
        self.settings = settings
        self.identity = identity
        self._processor = Processor(settings, identity, trust_origin=True)

    @property
    def contract(self) -> str:
        """`version;hash` of the rules."""
        return self._processor.contract

    def outputs(self, letter: DeadLetter, now: int, value: bytes | None) -> tuple[Output, ...]:
        """What becomes of the letter with this value (its own, or a repaired one).

        `now` is in epoch milliseconds. An exception is a bug of the rules, as in the worker.
        """
        return self._processor.process(as_raw(letter)._replace(value=value), now)


def as_raw(letter: DeadLetter) -> Record:
    """The raw record that a letter was; headers name what it has been through.

    So `track.source`, generated message ids and times become what they would have been. A letter
    that does not say where it comes from has its own coordinates instead.
    """
    record, source = letter.record, letter.source
    if source is None:
        source = Source(record.topic, record.partition, record.offset)
    timestamp = letter.source_timestamp
    headers: Headers = INVALID_HEADERS
    if record.headers is not INVALID_HEADERS:  # which are refused again
        headers = [*letter.headers, *origin_headers(letter, source, timestamp)]
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
    letter: DeadLetter, source: Source, timestamp: int | None
) -> list[tuple[str, bytes | None]]:
    """The four headers that keep a raw record's identity when it is sent again."""
    said = {
        TrackHeader.ORIGIN: source.text(),
        TrackHeader.ORIGIN_TIMESTAMP: "" if timestamp is None else str(timestamp),
        DlqHeader.ATTEMPT.value: str(letter.attempt),
        DlqHeader.FIRST_FAILED_AT.value: letter.said(DlqHeader.FIRST_FAILED_AT),
    }
    return [(name, text.encode()) for name, text in said.items() if text]
