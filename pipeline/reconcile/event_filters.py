"""Selects events of a window, record by record and item by item in a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import msgspec

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.coordinates import NO_ITEM, parse_source
from pipeline.core.decoded_events import merged_events
from pipeline.core.formats import PLAIN_JSON, Formats
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.json_pointer import ABSENT, find, tokens
from pipeline.core.json_value import JsonValue
from pipeline.core.members import Members, is_object, read_any_value, read_members
from pipeline.core.process import Processor
from pipeline.core.reasons import Invalid
from pipeline.core.record import Output, Record
from pipeline.core.time_window import Window

_NAMES_OF_USERS: Final = ("userId", "anonymousId")
_SOURCES: Final = frozenset({TrackHeader.SOURCE, DlqHeader.SOURCE})
WHOLE: Final = None
"""Stands for all items of a record, or for a record that is no batch."""


@dataclass(frozen=True)
class Filters:
    """Filters of events, all of which must match, each with any of its values.

    An event that can't be read is selected only when there is no filter at all.
    """

    events: frozenset[str] = frozenset()
    libraries: frozenset[str] = frozenset()
    """Libraries of the senders, as `name` or `name/version`."""
    users: frozenset[str] = frozenset()
    """Values of userId or anonymousId."""
    message_ids: frozenset[str] = frozenset()
    """Values of messageId as they are sent; generated ones can't be known in advance."""
    values: tuple[tuple[str, str], ...] = ()
    """JSON Pointer and expected value: a text as it is, any other value as JSON."""

    @property
    def is_empty(self) -> bool:
        """Whether every event is selected."""
        return self == EVERY_EVENT

    @cached_property
    def _members(self) -> frozenset[str]:
        """Names of the members that are looked at, and that an envelope may share."""
        named = {tokens(pointer)[0] for pointer, _ in self.values}
        return frozenset(named | ({"context"} if self.libraries else set()))

    def match(self, event: Members | Invalid) -> bool:
        """Whether an event, merged with the shared fields of its envelope, is selected."""
        if self.is_empty:
            return True
        return type(event) is not Invalid and (
            (not self.events or _text(event, "event", strip=False) in self.events)
            and (not self.libraries or not self.libraries.isdisjoint(_libraries(event)))
            and (not self.users or any(_text(event, n) in self.users for n in _NAMES_OF_USERS))
            and (not self.message_ids or _text(event, "messageId") in self.message_ids)
            and all(_is(_find(event, pointer), value) for pointer, value in self.values)
        )

    def items(self, text: bytes | None) -> frozenset[int] | None:
        """Return the indexes of a batch's selected items; empty when the record is not selected.

        `text` is the JSON text of the record. `WHOLE` stands for all of it, which need not be a
        batch.
        """
        if self.is_empty:
            return WHOLE
        events = merged_events(text, self._members)
        selected = [n for n, event in enumerate(events) if self.match(event)]
        if len(selected) == len(events):
            return WHOLE
        return frozenset(selected)

    def selects(self, text: bytes | None) -> bool:
        """Whether anything in a record with this JSON text is selected."""
        return self.is_empty or self.items(text) != frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Return the filters as JSON values; unused ones are left out."""
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
    """Split `/properties/plan=pro` into pointer and value; raise ValueError for anything else."""
    pointer, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not POINTER=VALUE, such as /properties/plan=pro")
    tokens(pointer)
    return pointer, value


class FilteredProcessor(Processor):
    """Applies the contract to the selected events of a record; the others get no outputs.

    Without filters `Processor` itself is used: see `processor_for`.
    """

    def __init__(
        self,
        settings: ContractSettings,
        identity: Identity,
        filters: Filters,
        formats: Formats = PLAIN_JSON,
    ) -> None:
        super().__init__(settings, identity, formats)
        self._filters = filters

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        """Return the outputs of the selected events."""
        filters = self._filters
        items = WHOLE if filters.is_empty else filters.items(self.text(record))
        outputs = super().process(record, now)
        return outputs if items is WHOLE else tuple(outputs_of_items(outputs, items))


class OutputSelector(Protocol):
    """Selects among the outputs of a record."""

    def select(self, record: Record, outputs: Sequence[Output]) -> list[Output]:
        """Return the outputs to write."""


class OutputSelectingProcessor(FilteredProcessor):
    """Applies the contract to the selected events, and selects among their outputs."""

    def __init__(
        self,
        settings: ContractSettings,
        identity: Identity,
        filters: Filters,
        selector: OutputSelector,
        formats: Formats = PLAIN_JSON,
    ) -> None:
        super().__init__(settings, identity, filters, formats)
        self._selector = selector

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        """Return the selected outputs."""
        return tuple(self._selector.select(record, super().process(record, now)))


def processor_for(
    settings: ContractSettings,
    identity: Identity,
    filters: Filters,
    formats: Formats = PLAIN_JSON,
) -> Processor:
    """Make a processor for the selected events; without filters it costs nothing extra."""
    if filters.is_empty:
        return Processor(settings, identity, formats)
    return FilteredProcessor(settings, identity, filters, formats)


def selection(
    window: Window, filters: Filters, text: Callable[[Record], bytes | None]
) -> Callable[[Record], bool] | None:
    """Return a test for the selected records; None when all are, which costs nothing.

    `text` gives the JSON text of a record, see `Processor.text`.
    """
    if filters.is_empty:
        return (lambda record: window.holds(record.timestamp)) if window.is_bounded else None
    if not window.is_bounded:
        return lambda record: filters.selects(text(record))
    return lambda record: window.holds(record.timestamp) and filters.selects(text(record))


def outputs_of_items(outputs: Sequence[Output], items: frozenset[int]) -> list[Output]:
    """Return the outputs of these items, and those of the record as a whole."""
    if not items:
        return []
    return [output for output in outputs if item_of(output) in {NO_ITEM, *items}]


def item_of(output: Output) -> int:
    """Return the index of an output's event in its batch; NO_ITEM for a whole record."""
    source = parse_source(source_of(output))
    return NO_ITEM if source is None else source.item


def source_of(output: Output) -> bytes:
    """Return the source that an output's header names; empty when it has none."""
    sent = (value for name, value in reversed(output.headers) if name in _SOURCES)
    return next(sent, None) or b""


def _libraries(event: Members) -> list[str]:
    library = _object(_object(event, "context"), "library")
    name = _value(library, "name")
    return [name, f"{name}/{_text(library, 'version')}"] if type(name) is str else []


def _object(event: Members, name: str) -> Members:
    value = event.get(name)
    return {} if value is None or not is_object(value) else read_members(value)


def _value(event: Members, name: str) -> JsonValue:
    value = event.get(name)
    return None if value is None else read_any_value(value)


def _find(event: Members, pointer: str) -> JsonValue:
    """Return the value at a pointer, or ABSENT. Only the member that it is in is decoded."""
    name, *_ = tokens(pointer)
    return find({name: read_any_value(event[name])}, pointer) if name in event else ABSENT


def _text(event: Members, name: str, *, strip: bool = True) -> str | None:
    """Return an id in the form in which it is compared; None when the member is no id."""
    value = _value(event, name)
    if type(value) is str:
        return value.strip() if strip else value
    return str(value) if type(value) is int else None


def _is(found: JsonValue, expected: str) -> bool:
    if found is ABSENT:
        return False
    if type(found) is str:
        return bool(found == expected)
    try:
        value = read_any_value(expected.encode())
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return (type(found) is bool) == (type(value) is bool) and bool(found == value)
