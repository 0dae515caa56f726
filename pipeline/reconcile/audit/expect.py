"""What must be there for one raw record, in the form in which outputs are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from pipeline.core.coordinates import NO_ITEM
from pipeline.core.dead_letter import pointer_to
from pipeline.core.headers import DlqHeader
from pipeline.core.origin import Origin, read_origin
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import Output, Record, Role
from pipeline.reconcile.outputs import SOURCE, print_of
from pipeline.reconcile.ranges import Target
from pipeline.reconcile.revenue import Purse

_ENCODE: Final = msgspec.msgpack.Encoder().encode


class Wanted(msgspec.Struct, array_like=True):
    """One output that must be there; or the event that must have none (role `dropped`)."""

    role: Role
    item: int
    """Index in a batch, or NO_ITEM."""
    print: bytes = b""
    timestamp: int = 0
    """Kafka's, epoch milliseconds; 0 when it is not known."""
    out_partition: int = -1
    """Where the worker puts it."""
    cash: str | None = None
    """Its money, once `read_money` was called."""
    pointer_print: bytes = b""
    """Of the pointer that may stand for a letter."""
    of_other_type: bool = False
    """A letter that other rules would have dropped (`unsupported_type`)."""
    number: int = 0
    """Among the record's outputs."""


class Expected(msgspec.Struct, array_like=True):
    """What must be there for one raw record."""

    topic: str
    partition: int
    offset: int
    """The origin of its events: its own coordinates, unless it is an accepted copy."""
    item: int
    """The origin's own index, or NO_ITEM."""
    events: list[Wanted]
    """One for each event."""
    messages: list[Wanted]
    """Identify messages beside them."""
    read_at: str
    """Coordinates that it was read from."""
    aside_print: bytes = b""
    """Of the letter of the whole record, should it have been set aside."""
    aside_pointer_print: bytes = b""
    """Of the pointer that may stand for that one."""
    is_optional: bool = False
    """It is outside the window: its outputs may be there or not."""


decode_expected: Final = msgspec.msgpack.Decoder(Expected).decode


def encode_expected(expected: Expected) -> bytes:
    """As bytes for the store."""
    return _ENCODE(expected)


class Expecter:
    """Makes expectations; asks the contract, which is pure."""

    def __init__(
        self,
        processor: Processor,
        target: Target,
        purse: Purse | None,
        *,
        accept_origin: bool,
        now: int,
    ) -> None:
        self._processor = processor
        self._target = target
        self._purse = purse
        self._accept_origin = accept_origin
        self._now = now

    def origin(self, record: Record) -> Origin:
        """Where the record's events are from; with accepted headers it may be a copy."""
        return read_origin(record, accept_headers=self._accept_origin)

    def outputs(self, record: Record) -> tuple[Output, ...]:
        """What the rules make of a record."""
        try:
            return self._processor.process(record, self._now)
        except Exception:  # noqa: BLE001  as in the worker: a bug of ours is a dead letter
            return (self._processor.crashed(record, self._now),)

    def expected(
        self, record: Record, origin: Origin, outputs: tuple[Output, ...], *, special: bool
    ) -> Expected:
        """What must be there; with `special` also what may stand for it (pointers, set aside)."""
        base = origin._replace(item=None).source().encode()
        item = NO_ITEM if origin.item is None else origin.item
        expected = Expected(
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
            wanted = self._wanted(record, output, origin, special=special)
            wanted.number = number
            if output.role is Role.DROPPED:
                # It carries no coordinates: its place in the batch is its turn.
                wanted.item = item if len(outputs) == 1 else len(events)
            else:
                wanted.item = item_of(output, base)
            (expected.messages if output.role is Role.IDENTIFY else events).append(wanted)
        if special:
            letter = self._processor.set_aside(
                record, self._now, Reason.PROCESSING_ERROR, Stage.CRASH, ""
            )
            expected.aside_print = _print(letter)
            expected.aside_pointer_print = _print(pointer_to(letter))
        return expected

    def _wanted(self, record: Record, output: Output, origin: Origin, *, special: bool) -> Wanted:
        role = output.role
        if role is Role.DROPPED:
            return Wanted(role, NO_ITEM)
        wanted = Wanted(
            role,
            NO_ITEM,
            _print(output),
            out_partition=self._target(role, record.partition, output.key),
        )
        if role is Role.DEAD_LETTER:
            wanted.of_other_type = output.reason == Reason.UNSUPPORTED_TYPE
            if special:
                wanted.pointer_print = _print(pointer_to(output))
            return wanted
        # Without a time of its own, a record's output has one that depends on when it was made.
        wanted.timestamp = origin.timestamp or 0
        return wanted

    def read_money(self, expected: Expected, outputs: Sequence[Output], origin: Origin) -> None:
        """Set `cash`, which takes a second look at each value."""
        if self._purse is None:
            return
        for wanted in expected.events:
            value = outputs[wanted.number].value
            if wanted.role is Role.ENRICHED:
                wanted.cash = self._purse.of_enriched(value)
            elif wanted.role is Role.DEAD_LETTER:
                wanted.cash = self._purse.of_letter(value, origin.timestamp)


def _print(output: Output) -> bytes:
    return print_of(output.role, output.value, output.key, output.headers)


def item_of(output: Output, base: bytes) -> int:
    """The index in an output's source header; `base` is the source without one."""
    wanted = DlqHeader.SOURCE.value if output.role is Role.DEAD_LETTER else SOURCE
    source = next(value for name, value in output.headers if name == wanted) or b""
    return int(source[len(base) + 1 :]) if len(source) > len(base) else NO_ITEM
