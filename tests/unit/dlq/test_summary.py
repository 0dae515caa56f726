"""Dead letters in groups: patterns of details, counts over time, bounded memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.core.headers import DlqHeader
from pipeline.core.record import Record
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.dimensions import NAMES, dimension
from pipeline.dlq.header_formats import read_dead_letter
from pipeline.dlq.message_pattern import to_pattern
from pipeline.dlq.summary import MOST_PATTERNS, Summary
from pipeline.dlq.timeline import Timeline, bar_chart
from tests.unit.dlq.dead_letters import NOW, crashed, dead_letter_of, event
from tests.unit.dlq.foreign import FOREIGN
from tests.unit.dlq.foreign import dead_letter_of as foreign_dead_letter


def _at(dead_letter: DeadLetter, time: int | None, offset: int = 0) -> DeadLetter:
    """The same dead letter, refused at another time."""
    return read_dead_letter(dead_letter.record._replace(timestamp=time, offset=offset))


def _saying(detail: str, pointer: str = "/a") -> DeadLetter:
    """A dead letter of ours with this detail."""
    reasons = json.dumps([{"code": "r", "pointer": pointer, "detail": detail}]).encode()
    headers = [(DlqHeader.REASON.value, b"r"), (DlqHeader.REASONS.value, reasons)]
    return read_dead_letter(Record(b"{}", None, headers, NOW, "dead", 0, 0))


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("the event name is missing", "the event name is missing"),
        ("not JSON: invalid character (byte 12)", "not JSON: invalid character (byte #)"),
        ('got "a b" and `c`', 'got "…" and "…"'),
        ("can't be read, isn't 'x y' ok", "can't be read, isn't \"…\" ok"),
        ("user ann@example.com failed", "user <email> failed"),
        ("id 550e8400-e29b-41d4-a716-446655440000", "id <id>"),
        ("order ord_12345678 and deadbeef12", "order <id> and <id>"),
        ("at 2026-01-01T10:00:00.123Z, 2026-01-01 10:00:00+0200", "at <time>, <time>"),
        ("10.0.0.1 port 8080: -1.5", "# port #: -#"),
        ("limits.max_event_bytes of org.apache.Reader", None),
        ('an open " quote 5', 'an open " quote #'),
    ],
)
def test_patterns_have_placeholders(text: str, pattern: str | None) -> None:
    """Ids, numbers, times and quoted text become placeholders; plain words stay."""
    assert to_pattern(text) == (text if pattern is None else pattern)


def test_bar_chart_shows_every_count() -> None:
    """The largest count is a full bar, and the smallest above zero is still visible."""
    assert bar_chart([0, 1, 1_000_000, 500_000]) == "·▁█▄"
    assert bar_chart([]) == ""


def test_timeline_gets_wider() -> None:
    """However long the time becomes, buckets are bounded and no moment is lost."""
    timeline = Timeline()
    first, second = timeline.series(), timeline.series()
    for number in range(1000):
        timeline.add(first, NOW + number * 60_000)
    timeline.add(second, NOW)
    timeline.add(second, NOW - 90 * 86_400_000)
    assert (sum(first.values()), sum(second.values())) == (1000, 2)
    assert len(first) + len(second) < 300
    columns = timeline.columns(second, 24)
    assert len(columns) <= 24
    assert (columns[0], sum(columns)) == (1, 2)
    assert columns.index(1, 1) == (NOW - timeline.start()) // timeline.column_width(24)


def test_timeline_of_nothing() -> None:
    """Without any time there is no chart."""
    timeline = Timeline()
    assert timeline.columns(timeline.series(), 24) == []


def test_groups_of_one_dimension() -> None:
    """A group has its count, first and last failure, and the position of its first member."""
    summary = Summary(["reason"])
    no_user, bad = (
        dead_letter_of({"event": "A"}),
        dead_letter_of(event(properties={"revenue": "x"})),
    )
    for number, dead_letter in enumerate((bad, no_user, bad, bad)):
        summary.add(_at(dead_letter, NOW + 1000 * number, number))
    first, second = summary.groups()
    assert (first.key, first.dead_letters, first.sample) == (("revenue_invalid",), 3, "0/0")
    assert (first.first, first.last) == (NOW, NOW + 3000)
    assert (second.key, second.dead_letters, second.sample) == (("no_user_anon_id",), 1, "0/1")
    assert (summary.dead_letters, summary.first, summary.last) == (4, NOW, NOW + 3000)


def test_expiring_ones_are_counted() -> None:
    """Dead letters with a time before the limit are counted; without a limit, none is."""
    summary, without = Summary(["reason"], expires_before=NOW + 1), Summary(["reason"])
    for time in (NOW, NOW + 1, NOW - 1):
        dead_letter = _at(dead_letter_of({"event": "A"}), time, 0)
        summary.add(dead_letter)
        without.add(dead_letter)
    assert (summary.expiring, without.expiring) == (2, 0)


def test_headers_of_the_sender_change_nothing() -> None:
    """Dead letters whose own headers follow the sender's are in the same group as others."""
    summary, value = Summary(["reason", "stage"]), {"event": "A"}
    plain, after = dead_letter_of(value), dead_letter_of(value, headers=(("traceparent", b"x"),))
    assert plain.reason_headers == plain.raws(
        (DlqHeader.REASON, DlqHeader.REASONS, DlqHeader.STAGE)
    )
    assert after.reason_headers is None
    for dead_letter in (plain, after, plain, after):
        summary.add(dead_letter)
    (group,) = summary.groups()
    assert (group.key, group.dead_letters) == (("no_user_anon_id", "validate"), 4)
    assert [pattern.dead_letters for pattern in group.main_patterns()] == [4]


def test_dead_letters_without_a_time() -> None:
    """Dead letters without a time are counted, without a first and a last time."""
    summary = Summary(["reason"])
    summary.add(_at(dead_letter_of({"event": "A"}), None))
    assert (summary.dead_letters, summary.first, summary.last) == (1, 0, 0)


def test_ten_thousand_texts_of_two_patterns() -> None:
    """Details that differ in numbers and quotes have one pattern; equal ones are shown as is."""
    summary = Summary(["reason"])
    for number in range(10_000):
        summary.add(_saying(f'value "{number}" at byte {number}'))
        summary.add(_saying("is no code of ISO 4217"))
    (group,) = summary.groups()
    patterns = {pattern.shown: pattern.dead_letters for pattern in group.main_patterns()}
    assert patterns == {'value "…" at byte #': 10_000, "is no code of ISO 4217": 10_000}


def test_patterns_are_bounded() -> None:
    """Details without a common pattern are counted together."""
    summary = Summary(["reason"])
    for number in range(MOST_PATTERNS + 5):
        summary.add(_saying("x" * (number + 1)))
    (group,) = summary.groups()
    assert (len(group.patterns), group.of_other_patterns) == (MOST_PATTERNS, 5)


def test_groups_are_bounded() -> None:
    """Combinations beyond the maximum are counted as others; none is lost."""
    summary = Summary(["event"], most_groups=10)
    for number in [*range(15), *range(15)]:
        summary.add(_at(dead_letter_of({"event": f"E{number}"}), NOW + number))
    assert [group.dead_letters for group in summary.groups()] == [2] * 10
    assert summary.other.dead_letters == 10
    assert (summary.other.first, summary.dead_letters) == (NOW + 10, 30)


def test_combinations_of_dimensions() -> None:
    """Several dimensions group by the combination of their values."""
    summary = Summary(["reason", "event", "/properties/plan"])
    for plan in ("a", "b", "a"):
        summary.add(dead_letter_of({"event": "E", "properties": {"plan": plan}}))
    assert {group.key: group.dead_letters for group in summary.groups()} == {
        ("no_user_anon_id", "E", '"a"'): 2,
        ("no_user_anon_id", "E", '"b"'): 1,
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reason", "currency_invalid"),
        ("event", "Order"),
        ("library", "lib/1.2"),
        ("stage", "validate"),
        ("source", "raw/2"),
        ("pointer", "/properties/currency"),
        ("hour", "2027-01-15T08:00Z"),
        ("detail", "currency is not a code of ISO # (three letters, such as EUR)"),
        ("/properties/currency", '"euro"'),
        ("/properties/revenue", "5"),
        ("/properties", "(object)"),
        ("/properties/list", "(array)"),
        ("/properties/none", "(absent)"),
    ],
)
def test_dimensions_read_their_values(name: str, expected: str) -> None:
    """Each dimension reads what its name says."""
    properties = {"revenue": 5, "currency": "euro", "list": []}
    context = {"library": {"name": "lib", "version": "1.2"}}
    dead_letter = dead_letter_of(event(properties=properties, context=context))
    assert dimension(name).read(dead_letter) == expected
    summary = Summary([name])
    summary.add(dead_letter)
    assert summary.groups()[0].key == (expected,)


def test_unknown_dimension_is_rejected() -> None:
    """An unknown dimension is rejected with the names of those that exist."""
    with pytest.raises(ValueError, match="none of reason, event"):
        dimension("reasons")


def test_payload_that_is_no_event() -> None:
    """A payload without an event is a group by itself; what killed a process is not decoded."""
    summary = Summary(["/event"])
    summary.add(dead_letter_of(b"{"))
    summary.add(crashed({"event": "A"}))
    assert summary.groups()[0].key == ("(unreadable)",)
    assert summary.dead_letters == 2


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_foreign_dead_letters(foreign: Any) -> None:
    """Dead letters of other systems are grouped by the same dimensions."""
    summary = Summary([*NAMES, "/userId"])
    summary.add(foreign_dead_letter(foreign.added))
    (group,) = summary.groups()
    named = dict(zip((*NAMES, "/userId"), group.key, strict=True))
    assert (named["reason"], named["stage"]) == (foreign.reason, foreign.stage)
    assert (named["event"], named["/userId"]) == ("e", '"u"')


def test_values_are_masked() -> None:
    """Values at personal locations are hidden, others are masked; the program's words stay."""
    assert dimension("/context/traits/plan").masked('"gold"') == "***"
    assert dimension("/context/ip").masked('"10.0.0.1"') == "***"
    assert dimension("/context/ip").masked("(absent)") == "(absent)"
    assert dimension("event").masked("hi ann@example.com") == "hi ***"
    assert dimension("/properties/plan").masked('"gold"') == '"gold"'
