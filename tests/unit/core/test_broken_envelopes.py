"""Items of envelopes that can't be decoded: found by brackets and quotes, or not at all."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings

from pipeline.core.broken_envelope import find_items
from pipeline.core.decode import decode
from pipeline.core.envelope import Envelope, split, split_unreadable
from pipeline.core.reasons import Invalid
from tests.hostile import EVENT, batch
from tests.unit.core.strategies import envelopes

BAD_ITEMS: Final = {
    "nan": b'{"a":NaN}',
    "infinity": b'{"a":[-Infinity]}',
    "only_nan": b"NaN",
    "not_utf8": b'{"a":"\xff\xc3"}',
    "bad_escape": rb'{"a":"\x41"}',
    "half_pair": rb'{"a":"\ud83d"}',
    "line_break": b'{"a":"x\ny"}',
    "bare_key": b"{a:1}",
    "trailing_comma": b'{"a":1,}',
    "leading_comma": b"[,1]",
    "missing_colon": b'{"a" 1}',
    "single_quotes": b"{'a':1}",
    "too_deep": b"[" * 2_000 + b"]" * 2_000,
    "empty_braces_with_text": b"{x}",
    "other_brackets": b'{"a":[1}]',
    "escaped_quote": rb'{"a":"\"]}","b":NaN}',
    "escaped_backslash": rb'{"a":"]\\","b":NaN}',
    "comment": b"/* x */",
    "word": b"undefined",
}
"""Items that can't be decoded, but have a beginning and an end."""


@pytest.mark.parametrize("bad", BAD_ITEMS.values(), ids=BAD_ITEMS)
@pytest.mark.parametrize("rest", [b"", b',"context":{"a":"]"}', b' , "x" : [ [ ] , "{" ] '])
def test_bad_items_are_found(bad: bytes, rest: bytes) -> None:
    """A bad item at any place is found with exactly its bytes, and so are its neighbours."""
    for items in ([bad], [bad, EVENT], [EVENT, bad, EVENT], [EVENT, b"1", bad]):
        found = find_items(batch(*items, rest=rest))
        assert found is not None
        assert found.items == items
        assert found.before == b'{"batch":['
        assert found.after == b"]" + rest + b"}"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"batch",
        b'"batch"',
        b'{"batch":',
        b'{"batch":[NaN',
        b'{"batch":[NaN]',
        b'{"batch":[NaN]}}',
        b'{"batch":[NaN]}{}',
        b'{"batch":[NaN]} x',
        b'x {"batch":[NaN]}',
        b'[{"batch":[NaN]}]',
        b'{"a":{"batch":[NaN]}}',
        b'{"batch":NaN}',
        b'{"batch":{"a":NaN}}',
        b'{"batch":1,"a":[NaN]}',
        b'{"batch":"[NaN]"}',
        b'{"batch":[NaN],"batch":[1]}',
        rb'{"batch":[NaN],"\u0062atch":[1]}',
        b'{"batch":[NaN],"batch":1}',
        b'{"batch":[]}',
        b'{"batch":[NaN,]}',
        b'{"batch":[,NaN]}',
        b'{"batch":[1,,NaN]}',
        b'{"batch":[{"a":NaN}{"b":1}]}',
        b'{"batch":[{"a":NaN} {"b":1}]}',
        b'{"batch":[{"a":NaN} x]}',
        b'{"batch":[x {"a":NaN}]}',
        b'{"batch":[{"a":[NaN},{"b":1}]}',
        b'{"batch":[{"a":NaN,{"b":1}]}',
        b'{"batch":[{"a":NaN}},{"b":1}]}',
        b'{"batch":[{"a":"x},{"b":1}]}',
        b'{"batch":[{"a":"x\\"}]}',
        b'{"batch" [NaN]}',
        b"{batch:[NaN]}",
        b"{'batch':[NaN]}",
        b'{"Batch":[NaN]}',
        b']{"batch":[NaN]}[',
    ],
)
def test_other_texts_have_no_items(value: bytes) -> None:
    """What is cut off, or broken so that items can't be told apart, stays whole."""
    assert find_items(value) is None


@pytest.mark.parametrize(
    "value",
    [
        rb'{"b\u0061tch":[NaN]}',
        b' { "batch"\n:\t[ NaN ] } ',
        b'{"batch":[NaN],"x":{"batch":[1],"y":[[{}]]}}',
        b'{"x":{"batch":[1]},"batch":[NaN]}',
        rb'{"\ud83d":1,"batch":[NaN]}',
        b'{"a":"\\"batch\\":[","batch":[NaN]}',
        b'{"batch":[NaN],"event":null}',
    ],
)
def test_keys_in_any_spelling(value: bytes) -> None:
    """The key is found wherever it is at the top level, and nowhere else."""
    found = find_items(value)
    assert found is not None
    assert found.items == [b"NaN"]
    assert found.before + b" NaN ".strip() + found.after == value.replace(b" NaN ", b"NaN")


@pytest.mark.parametrize(
    "value",
    [
        b'{"batch":[NaN] x}',
        b'{"batch":[NaN}]',
        b'{"batch":[NaN]:1}',
        b'{"batch":[NaN],}',
        b'{"batch":[NaN],"a":NaN}',
        b'{"batch":[NaN],a:1}',
        b'{"batch":[NaN] "a":1}',
        b'{"a":[1},"batch":[NaN]]',
        b'{"batch":[NaN],"a":"\xff"}',
    ],
)
def test_other_faults_stay_visible(value: bytes) -> None:
    """The envelope around an item has every fault that is outside of its items."""
    found = find_items(value)
    if found is not None:
        assert isinstance(decode(found.before + b"0" + found.after, 512), Invalid)


@settings(max_examples=40)
@given(envelopes())
def test_valid_envelopes_have_the_same_items(
    parts: tuple[bytes, list[bytes], dict[str, bytes]],
) -> None:
    """In a valid envelope, the same items are found as by decoding it."""
    value, _, _ = parts
    whole, found = split(value, 512), split_unreadable(value, 512, repairs=False)
    assert isinstance(whole, Envelope)
    assert found is not None
    assert found.items == whole.items
    assert found.shared == whole.shared
    single = split(found.around(b"0"), 512)
    assert isinstance(single, Envelope)
    assert single.around(b"0") == whole.around(b"0")


@settings(max_examples=40)
@given(envelopes())
def test_one_bad_item_among_any_others(parts: tuple[bytes, list[bytes], dict[str, bytes]]) -> None:
    """A bad item leaves the bytes of the others as they are, whatever these contain."""
    _, items, others = parts
    rest = b"".join(b',"%s":%s' % (name.encode(), text) for name, text in others.items())
    found = find_items(batch(*items, b"{NaN}", *items, rest=rest))
    assert found is not None
    stripped = [item.strip(b" \t\r\n") for item in items]
    assert found.items == [*stripped, b"{NaN}", *stripped]


def test_large_envelopes_are_read_once() -> None:
    """Megabytes of items, brackets, quotes or keys are no obstacle: nothing is read twice."""
    for filler in (b"1,", b"[],", b'"",', b'"\\"",', b'{"a":1},'):
        count = 200_000 // len(filler)
        found = find_items(b'{"batch":[' + filler * count + b"NaN]}")
        assert found is not None
        assert len(found.items) == count + 1
    deep = b"[" * 100_000 + b"NaN" + b"]" * 100_000
    found = find_items(batch(deep, EVENT))
    assert found is not None
    assert found.items == [deep, EVENT]
    keys = b',"a":1' * 60_000
    assert find_items(batch(b"NaN", rest=keys)) is not None
    assert find_items(b'"batch"' + b"[" * 400_000) is None
    assert find_items(b'"batch"' + b'"\\"' * 150_000) is None
