"""Which events of a window a replay is about: record by record, and item by item in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec

from pipeline.core.batch import merge
from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.coordinates import NO_ITEM, parse_source
from pipeline.core.decode import Envelope, decode, split
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.json_pointer import ABSENT, find, tokens
from pipeline.core.json_value import JsonValue
from pipeline.core.process import Processor
from pipeline.core.record import Output, Record

_DEEPEST: Final = 512
_NAMES_OF_USERS: Final = ("userId", "anonymousId")
_SOURCES: Final = frozenset({TrackHeader.SOURCE, DlqHeader.SOURCE})
_read_value: Final = msgspec.json.Decoder(float_hook=Decimal).decode
WHOLE: Final = None
"""Instead of numbers of items: all of the record."""


@dataclass(frozen=True)
class Filters:
    """Which events are meant. Several values of one filter: any of them; all filters must hold.

    An event that can't be read is not meant as soon as there is any filter.
    """

    events: frozenset[str] = frozenset()
    libraries: frozenset[str] = frozenset()
    """`name`, or `name/version`."""
    users: frozenset[str] = frozenset()
    """userId or anonymousId."""
    message_ids: frozenset[str] = frozenset()
    """As they are sent; one that is generated can't be known before."""
    values: tuple[tuple[str, str], ...] = ()
    """JSON Pointer and what must be there: its text, or any other JSON value as JSON."""

    @property
    def is_empty(self) -> bool:
        """Whether every event is meant."""
        return self == EVERY_EVENT

    def holds(self, event: JsonValue) -> bool:
        """Whether an event, decoded, with its envelope's shared fields, is meant."""
        if self.is_empty:
            return True
        return type(event) is dict and (
            (not self.events or _text(event.get("event"), strip=False) in self.events)
            and (not self.libraries or not self.libraries.isdisjoint(_libraries(event)))
            and (not self.users or any(_text(event.get(n)) in self.users for n in _NAMES_OF_USERS))
            and (not self.message_ids or _text(event.get("messageId")) in self.message_ids)
            and all(_is(find(event, pointer), wanted) for pointer, wanted in self.values)
        )

    def items(self, value: bytes | None) -> frozenset[int] | None:
        """Which items of a record's batch are meant, empty when nothing of the record is.

        `WHOLE` when all of it is, which may be no batch at all.
        """
        if self.is_empty:
            return WHOLE
        decoded = decode(value, _DEEPEST)
        if type(decoded) is dict and "batch" in decoded and decoded.get("event") is None:
            envelope = split(value or b"", decoded["batch"])
            if type(envelope) is Envelope:
                batch = decoded["batch"]
                meant = [n for n, item in enumerate(batch) if self.holds(merge(item, decoded))]
                return WHOLE if len(meant) == len(batch) else frozenset(meant)
            return frozenset()
        return WHOLE if self.holds(decoded) else frozenset()

    def means(self, record: Record) -> bool:
        """Whether anything of a record is meant."""
        return self.is_empty or self.items(record.value) != frozenset()

    def plain(self) -> dict[str, Any]:
        """All of it as JSON values; what is not filtered by is left out."""
        named: dict[str, Any] = {
            "events": sorted(self.events),
            "libraries": sorted(self.libraries),
            "users": sorted(self.users),
            "message_ids": sorted(self.message_ids),
            "values": dict(self.values),
        }
        return {name: value for name, value in named.items() if value}


EVERY_EVENT: Final = Filters()


def read_value_filter(text: str) -> tuple[str, str]:
    """`/properties/plan=pro` as pointer and value; ValueError for anything else."""
    pointer, equals, wanted = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not POINTER=VALUE, such as /properties/plan=pro")
    tokens(pointer)
    return pointer, wanted


class SelectingProcessor(Processor):
    """The contract for those events of a record that are meant; of the others there are no outputs.

    Without filters it is `Processor` itself that is to be used: see `processor_for`.
    """

    def __init__(self, settings: ContractSettings, identity: Identity, filters: Filters) -> None:
        super().__init__(settings, identity)
        self._filters = filters

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        """The outputs of the meant events."""
        items = self._filters.items(record.value)
        outputs = super().process(record, now)
        return outputs if items is WHOLE else tuple(of_items(outputs, items))


class Choice(Protocol):
    """Chooses among a record's outputs."""

    def of(self, record: Record, outputs: Sequence[Output]) -> list[Output]:
        """What is to be written of them."""


class ChoosingProcessor(SelectingProcessor):
    """The contract for the meant events, but only what is chosen comes out of it."""

    def __init__(
        self, settings: ContractSettings, identity: Identity, filters: Filters, chosen: Choice
    ) -> None:
        super().__init__(settings, identity, filters)
        self._chosen = chosen

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        """The chosen outputs."""
        return tuple(self._chosen.of(record, super().process(record, now)))


def processor_for(settings: ContractSettings, identity: Identity, filters: Filters) -> Processor:
    """The contract for the events that the filters mean; what is not filtered costs nothing."""
    if filters.is_empty:
        return Processor(settings, identity)
    return SelectingProcessor(settings, identity, filters)


def of_items(outputs: Sequence[Output], items: frozenset[int]) -> list[Output]:
    """Those outputs of one record that are of these items, or of the record as a whole."""
    if not items:
        return []
    return [output for output in outputs if item_of(output) in {NO_ITEM, *items}]


def item_of(output: Output) -> int:
    """Which item of a batch an output is of; NO_ITEM when it is of a whole record."""
    source = parse_source(source_of(output))
    return NO_ITEM if source is None else source.item


def source_of(output: Output) -> bytes:
    """Where an output comes from, as its header says it; empty when it has none."""
    sent = (value for name, value in reversed(output.headers) if name in _SOURCES)
    return next(sent, None) or b""


def _libraries(event: dict[str, Any]) -> list[str]:
    context = event.get("context")
    library = context.get("library") if type(context) is dict else None
    if type(library) is not dict or type(library.get("name")) is not str:
        return []
    return [library["name"], f"{library['name']}/{_text(library.get('version'))}"]


def _text(value: JsonValue, *, strip: bool = True) -> str | None:
    """An id as it is compared; None for what is none."""
    if type(value) is str:
        return value.strip() if strip else value
    return str(value) if type(value) is int else None


def _is(found: JsonValue, wanted: str) -> bool:
    if found is ABSENT:
        return False
    if type(found) is str:
        return bool(found == wanted)
    try:
        value = _read_value(wanted)
    except (msgspec.MsgspecError, ArithmeticError, ValueError, RecursionError):
        return False
    return (type(found) is bool) == (type(value) is bool) and bool(found == value)
