"""Readers of values that have others in them: records, arrays, maps, unions."""

from __future__ import annotations

from typing import Final

from pipeline.avro.decoding import (
    FAULTS,
    DecodingFault,
    DepthFault,
    JsonText,
    LengthFault,
    ReadValue,
    block_at,
    located,
    long_at,
)
from pipeline.avro.scalar_readers import as_json, read_string

_MAX_PIECES: Final = 4096
"""Pieces of text after which they are joined, between items of an array or a map."""


def record_reader(fields: list[tuple[str, ReadValue]]) -> ReadValue:
    """Make the reader of a record, which is written as an object of its fields."""
    if not fields:
        return read_empty_record
    readers = [
        ((b"," if index else b"{") + as_json(str(name)) + b":", read, name)
        for index, (name, read) in enumerate(fields)
    ]
    size = sum(len(key) for key, _read, _name in readers) + 1

    def read_record(data: bytes, at: int, text: JsonText) -> int:
        text.left -= size
        if text.left < 0:
            raise LengthFault
        append = text.append
        name = ""
        try:
            for key, read, name in readers:  # noqa: B007  whose name an error has
                append(key)
                at = read(data, at, text)
        except FAULTS as error:
            raise located(error, at, name) from None
        append(b"}")
        return at

    return read_record


def read_empty_record(data: bytes, at: int, text: JsonText) -> int:  # noqa: ARG001  a ReadValue
    """Read a record without fields, which has no bytes."""
    text.spend(len(b"{}"))
    text.append(b"{}")
    return at


def array_reader(read: ReadValue) -> ReadValue:
    """Make the reader of an array; each of its items has at least one byte."""

    def read_array(data: bytes, at: int, text: JsonText) -> int:
        text.append(b"[")
        items = 0
        while True:
            count, at = block_at(data, at)
            if not count:
                break
            for index in range(items, items + count):
                if index:
                    text.append(b",")
                    if len(text) > _MAX_PIECES:
                        text.join()
                try:
                    at = read(data, at, text)
                except FAULTS as error:
                    raise located(error, at, f"[{index}]") from None
            items += count
        text.append(b"]")
        return at

    return read_array


def map_reader(read: ReadValue) -> ReadValue:
    """Make the reader of a map, which is written as an object, also with keys that occur twice."""

    def read_map(data: bytes, at: int, text: JsonText) -> int:
        opening = b"{"
        while True:
            count, at = block_at(data, at)
            if not count:
                break
            for _ in range(count):
                text.append(opening)
                opening = b","
                if len(text) > _MAX_PIECES:
                    text.join()
                try:
                    at = read_string(data, at, text)
                    text.append(b":")
                    at = read(data, at, text)
                except FAULTS as error:
                    raise located(error, at, "{}") from None
        text.append(b"}" if opening == b"," else b"{}")
        return at

    return read_map


def optional_reader(readers: list[ReadValue]) -> ReadValue:
    """Make the reader of a union of two branches, of which one is mostly null."""
    first, second = readers
    slow = union_reader(readers)

    def read_optional(data: bytes, at: int, text: JsonText) -> int:
        index = data[at]
        if not index:
            return first(data, at + 1, text)
        if index == 2:  # noqa: PLR2004  1 in zigzag encoding
            return second(data, at + 1, text)
        return slow(data, at, text)

    return read_optional


def union_reader(readers: list[ReadValue]) -> ReadValue:
    """Make the reader of a union, which is written as the value of its branch."""

    def read_union(data: bytes, at: int, text: JsonText) -> int:
        index, at = long_at(data, at)
        if not 0 <= index < len(readers):
            raise DecodingFault(f"branch {index} of a union of {len(readers)}")
        return readers[index](data, at, text)

    return read_union


def recursive_reader(place: list[ReadValue]) -> ReadValue:
    """Make the reader of a type within itself; the place has its reader once that is made."""

    def read_recursive(data: bytes, at: int, text: JsonText) -> int:
        if not text.recursions:
            raise DepthFault
        text.recursions -= 1
        at = place[0](data, at, text)
        text.recursions += 1
        return at

    return read_recursive
