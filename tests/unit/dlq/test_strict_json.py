"""What a user's code returns is checked as strictly as what a sender sends."""

from __future__ import annotations

import enum
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.decode import decode
from pipeline.core.encode import encode_json
from pipeline.dlq.strict_json import NotJsonError, json_of


class _Scalar:
    """As numpy's integers are: no number of Python's, but it becomes one when asked."""

    def __float__(self) -> float:
        return 1.5

    __int__ = __index__ = lambda _: 1


@dataclass
class _Amount:
    revenue: int = 5


class _Float(float):
    pass


class _Currency(enum.StrEnum):
    EURO = "EUR"


class _Size(enum.IntEnum):
    LARGE = 3


def _cyclic() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["self"] = made
    return made


def _nested(levels: int) -> Any:
    made: Any = 1
    for _ in range(levels):
        made = [made]
    return made


NO_JSON = {
    "nan": float("nan"),
    "infinity": float("-inf"),
    "nan of a subclass": _Float("nan"),
    "Decimal nan": Decimal("NaN"),
    "Decimal signalling nan": Decimal("sNaN"),
    "Decimal infinity": Decimal("Infinity"),
    "integer of 5,000 digits": 10**5000,
    "bytes": b"text",
    "set": {1},
    "datetime": datetime(2026, 1, 1, tzinfo=UTC),
    "UUID": UUID(int=1),
    "dataclass": _Amount(),
    "object": SimpleNamespace(a=1),
    "scalar of a library": _Scalar(),
    "complex": 1j,
    "iterator": iter([1]),
    "surrogate": "a\ud800",
    "cyclic": _cyclic(),
    "too deep": _nested(600),
    "range": range(3),
}
KEYS = {
    "number": 1,
    "bool": True,
    "none": None,
    "bytes": b"a",
    "surrogate": "\udfff",
    "tuple": (1, 2),
}


@pytest.mark.parametrize("value", NO_JSON.values(), ids=NO_JSON)
def test_value_that_is_no_json(value: Any) -> None:
    """Such a value is rejected with its location; nothing of it becomes null or text."""
    with pytest.raises(NotJsonError, match=r"^/properties/a~1b/0"):
        json_of({"properties": {"a/b": [value]}}, 512)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_key_that_is_no_text(key: Any) -> None:
    """Such a key is rejected, since as text it could be there a second time."""
    with pytest.raises(NotJsonError, match=r"^/properties "):
        json_of({"properties": {key: 1, "1": 2}}, 512)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("1.10"), b"1.10"),
        (0.1, b"0.1"),
        (2**70, b"1180591620717411303424"),
        (_Float(1.5), b"1.5"),
        (_Currency.EURO, b'"EUR"'),
        (_Size.LARGE, b"3"),
        (OrderedDict(b=1, a=2), b'{"b":1,"a":2}'),
        (defaultdict(list, a=[1]), b'{"a":[1]}'),
        ((1, None, True), b"[1,null,true]"),
    ],
)
def test_what_python_has_for_json(value: Any, written: bytes) -> None:
    """Python's own types for JSON values are written with every digit."""
    assert json_of({"a": value}, 512) == b'{"a":' + written + b"}"


def test_deepest_value_is_written() -> None:
    """What can be read can be written, and not one level deeper."""
    assert decode(json_of(_nested(512), 512), 512) == _nested(512)
    with pytest.raises(NotJsonError, match="nested too deep"):
        json_of(_nested(513), 512)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON_VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    """Whatever is accepted is read back unchanged, in bytes that a sender may send."""
    try:
        written = json_of(value, 512)
    except NotJsonError:
        return
    read = decode(written, 512)
    assert read == value
    assert json_of(read, 512) == encode_json(read) == written
