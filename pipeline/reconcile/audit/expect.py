"""Builds the outputs that one raw record must have, in the form in which outputs are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from pipeline.core.coordinates import NO_ITEM
from pipeline.core.dead_letter import pointer_to
from pipeline.core.headers import DlqHeader
from pipeline.core.origin import Origin, read_origin
from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import Output, Record, Role
from pipeline.errors import TransportError
from pipeline.reconcile.audit.rules import AuditRules
from pipeline.reconcile.outputs import SOURCE
from pipeline.reconcile.ranges import OutputPartitioner
from pipeline.reconcile.revenue_reader import RevenueReader

_ENCODE: Final = msgspec.msgpack.Encoder().encode


class ExpectedOutput(msgspec.Struct, array_like=True):
    """One output that must exist, or an event that must have none (role `dropped`)."""

    role: Role
    item: int
    """Index in a batch, or NO_ITEM."""
    digest: bytes = b""
    timestamp: int = 0
    """Kafka timestamp, epoch milliseconds; 0 when it can't be known."""
    out_partition: int = -1
    """Output partition that the worker chooses."""
    revenue: str | None = None
    """Revenue in the output, once `read_revenue` was called."""
    pointer_digest: bytes = b""
    """Digest of the pointer that may replace a dead letter."""
    of_other_type: bool = False
    """Whether it is of another call, which other rules may have dropped or forwarded."""
    number: int = 0
    """Index among the outputs of the record."""


class ExpectedRecord(msgspec.Struct, array_like=True):
    """All outputs that one raw record must have."""

    topic: str
    partition: int
    offset: int
    """Topic, partition and offset are the record's own, or those of its origin if it is an accepted
    copy."""
    item: int
    """Index of the origin in its batch, or NO_ITEM."""
    events: list[ExpectedOutput]
    """One expected output for each event."""
    messages: list[ExpectedOutput]
    """Identify messages that are expected in addition."""
    read_at: str
    """Coordinates at which the record was read."""
    set_aside_digest: bytes = b""
    """Digest of the dead letter of the whole record, in case it was set aside."""
    set_aside_pointer_digest: bytes = b""
    """Digest of the pointer that may replace that dead letter."""
    is_optional: bool = False
    """Whether the outputs may be absent because the record is outside the window."""


decode_expected: Final = msgspec.msgpack.Decoder(ExpectedRecord).decode


def encode_expected(expected: ExpectedRecord) -> bytes:
    """Encode for the store."""
    return _ENCODE(expected)


class ExpectationBuilder:
    """Builds expectations by processing raw records again."""

    def __init__(
        self,
        rules: AuditRules,
        partitioner: OutputPartitioner,
        revenue_reader: RevenueReader | None,
        *,
        accept_origin: bool,
        now: int,
    ) -> None:
        self._processor = rules.processor
        self._partitioner = partitioner
        self._revenue_reader = revenue_reader
        self.forms: Final = rules.forms
        """Compares outputs that must exist with those that do."""
        self._accept_origin = accept_origin
        self._now = now

    def origin(self, record: Record) -> Origin:
        """Return the origin of the record's events; with accepted headers it may be a copy."""
        return read_origin(record, accept_headers=self._accept_origin)

    def outputs(self, record: Record) -> tuple[Output, ...]:
        """Process a record under the rules; raises TransportError when its schema is not found."""
        try:
            return self._processor.process(record, self._now)
        except TransportError:
            raise
        except Exception:  # noqa: BLE001  as in the worker: a bug of ours is a dead letter
            return (self._processor.crashed(record, self._now),)

    def expected(
        self, record: Record, origin: Origin, outputs: tuple[Output, ...], *, special: bool
    ) -> ExpectedRecord:
        """Build what must exist; with `special` also what may replace it (pointers, set aside)."""
        base = origin._replace(item=None).source().encode()
        item = NO_ITEM if origin.item is None else origin.item
        expected = ExpectedRecord(
            origin.topic,
            origin.partition,
            origin.offset,
            item,
            [],
            [],
            f"{record.topic}/{record.partition}/{record.offset}",
        )
        events = expected.events
        for number, output in enumerate(outputs):
            each = self._expected_output(record, output, origin, special=special)
            each.number = number
            if output.role is Role.DROPPED:
                # It carries no coordinates; its index in the batch is that in the sequence.
                each.item = item if len(outputs) == 1 else len(events)
            else:
                each.item = item_of(output, base)
            (expected.messages if output.role is Role.IDENTIFY else events).append(each)
        if special:
            dead_letter = self._processor.set_aside(
                record, self._now, Reason.PROCESSING_ERROR, Stage.CRASH, ""
            )
            expected.set_aside_digest = self.forms.digest(dead_letter)
            expected.set_aside_pointer_digest = self.forms.digest(pointer_to(dead_letter))
        return expected

    def _expected_output(
        self, record: Record, output: Output, origin: Origin, *, special: bool
    ) -> ExpectedOutput:
        role = output.role
        if role is Role.DROPPED:
            return ExpectedOutput(role, NO_ITEM)
        expected = ExpectedOutput(
            role,
            NO_ITEM,
            self.forms.digest(output),
            out_partition=self._partitioner(role, record.partition, output.key),
        )
        expected.of_other_type = role is Role.OTHER or output.reason == Reason.UNSUPPORTED_TYPE
        if role is Role.DEAD_LETTER:
            if special:
                expected.pointer_digest = self.forms.digest(pointer_to(output))
            return expected
        # The output of a record without a timestamp has one that depends on when it was made.
        expected.timestamp = origin.timestamp or 0
        return expected

    def read_revenue(
        self, expected: ExpectedRecord, outputs: Sequence[Output], origin: Origin
    ) -> None:
        """Set `revenue` of each event, which means decoding each value once more."""
        if self._revenue_reader is None:
            return
        for each in expected.events:
            output = outputs[each.number]
            if each.role is Role.ENRICHED:
                each.revenue = self._revenue_reader.of_enriched(self.forms.json(output))
            elif each.role is Role.DEAD_LETTER:
                each.revenue = self._revenue_reader.of_dead_letter(
                    output.value, origin.timestamp, output.headers
                )


def item_of(output: Output, base: bytes) -> int:
    """Return the index in an output's source header; `base` is the source without an index."""
    header = DlqHeader.SOURCE.value if output.role is Role.DEAD_LETTER else SOURCE
    source = next(value for name, value in output.headers if name == header) or b""
    return int(source[len(base) + 1 :]) if len(source) > len(base) else NO_ITEM
