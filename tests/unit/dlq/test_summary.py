"""Letters in groups: kinds of details, counts over time, bounded memory."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from pipeline.core.headers import DlqHeader
from pipeline.core.record import Record
from pipeline.dlq.dead_letter import DeadLetter
from pipeline.dlq.dimensions import NAMES, dimension
from pipeline.dlq.header_formats import read_letter
from pipeline.dlq.message_pattern import fold
from pipeline.dlq.summary import MOST_KINDS, Summary
from pipeline.dlq.timeline import Timeline, sparkline
from tests.unit.dlq.foreign import FOREIGN
from tests.unit.dlq.foreign import letter_of as foreign_letter
from tests.unit.dlq.letters import NOW, crashed, event, letter_of


def _at(letter: DeadLetter, time: int | None, offset: int = 0) -> DeadLetter:
    """The same letter, refused at another time."""
    return read_letter(letter.record._replace(timestamp=time, offset=offset))


def _saying(detail: str, pointer: str = "/a") -> DeadLetter:
    """A letter of ours with this detail."""
    reasons = json.dumps([{"code": "r", "pointer": pointer, "detail": detail}]).encode()
    headers = [(DlqHeader.REASON.value, b"r"), (DlqHeader.REASONS.value, reasons)]
    return read_letter(Record(b"{}", None, headers, NOW, "dead", 0, 0))


@pytest.mark.parametrize(
    ("text", "kind"),
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
def test_folding(text: str, kind: str | None) -> None:
    """Ids, numbers, times and quoted text are folded out; plain words are not."""
    assert fold(text) == (text if kind is None else kind)


def test_sparkline() -> None:
    """The largest is a full bar, the least that is there still a small one."""
    assert sparkline([0, 1, 1_000_000, 500_000]) == "·▁█▄"
    assert sparkline([]) == ""


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


def test_groups() -> None:
    """Count, first and last failure, and the place of the first that was read."""
    summary = Summary(["reason"])
    no_user, bad = letter_of({"event": "A"}), letter_of(event(properties={"revenue": "x"}))
    for number, letter in enumerate((bad, no_user, bad, bad)):
        summary.add(_at(letter, NOW + 1000 * number, number))
    first, second = summary.groups()
    assert (first.key, first.letters, first.sample) == (("revenue_invalid",), 3, "0/0")
    assert (first.first, first.last) == (NOW, NOW + 3000)
    assert (second.key, second.letters, second.sample) == (("no_user_anon_id",), 1, "0/1")
    assert (summary.letters, summary.first, summary.last) == (4, NOW, NOW + 3000)


def test_headers_of_the_sender_change_nothing() -> None:
    """Letters whose own headers stand behind the sender's are in the same group as others."""
    summary, value = Summary(["reason", "stage"]), {"event": "A"}
    plain, after = letter_of(value), letter_of(value, headers=(("traceparent", b"x"),))
    assert plain.why == plain.raws((DlqHeader.REASON, DlqHeader.REASONS, DlqHeader.STAGE))
    assert after.why is None
    for letter in (plain, after, plain, after):
        summary.add(letter)
    (group,) = summary.groups()
    assert (group.key, group.letters) == (("no_user_anon_id", "validate"), 4)
    assert [kind.letters for kind in group.main_kinds()] == [4]


def test_letters_without_a_time() -> None:
    """They count, and have no first and last."""
    summary = Summary(["reason"])
    summary.add(_at(letter_of({"event": "A"}), None))
    assert (summary.letters, summary.first, summary.last) == (1, 0, 0)


def test_ten_thousand_texts_of_two_kinds() -> None:
    """Details that differ in numbers and quotes are one kind; equal ones are shown as they are."""
    summary = Summary(["reason"])
    for number in range(10_000):
        summary.add(_saying(f'value "{number}" at byte {number}'))
        summary.add(_saying("is no code of ISO 4217"))
    (group,) = summary.groups()
    kinds = {kind.shown: kind.letters for kind in group.main_kinds()}
    assert kinds == {'value "…" at byte #': 10_000, "is no code of ISO 4217": 10_000}


def test_kinds_are_bounded() -> None:
    """What has no kind in common is counted apart."""
    summary = Summary(["reason"])
    for number in range(MOST_KINDS + 5):
        summary.add(_saying("x" * (number + 1)))
    (group,) = summary.groups()
    assert (len(group.kinds), group.of_other_kinds) == (MOST_KINDS, 5)


def test_groups_are_bounded() -> None:
    """More combinations than there is room for are counted as others; none is lost."""
    summary = Summary(["event"], most_groups=10)
    for number in [*range(15), *range(15)]:
        summary.add(_at(letter_of({"event": f"E{number}"}), NOW + number))
    assert [group.letters for group in summary.groups()] == [2] * 10
    assert summary.other.letters == 10
    assert (summary.other.first, summary.letters) == (NOW + 10, 30)


def test_combinations() -> None:
    """Several dimensions group by the combination of their values."""
    summary = Summary(["reason", "event", "/properties/plan"])
    for plan in ("a", "b", "a"):
        summary.add(letter_of({"event": "E", "properties": {"plan": plan}}))
    assert {group.key: group.letters for group in summary.groups()} == {
        ("no_user_anon_id", "E", '"a"'): 2,
        ("no_user_anon_id", "E", '"b"'): 1,
    }


def _plain(summary: Summary) -> list[tuple[Any, ...]]:
    groups = [*summary.groups(), summary.other]
    return [
        (
            *(group.key, group.letters, group.sample, group.first, group.last),
            [(kind.shown, kind.letters) for kind in group.main_kinds()],
            group.of_other_kinds,
            summary.timeline.columns(group.over_time, 24),
        )
        for group in groups
    ]


def test_summaries_of_parts_are_that_of_the_whole() -> None:
    """Parts that other processes have counted give together what one would have counted."""
    letters = [
        _at(_saying(f"byte {number}" if number % 3 else "x" * (number % 40)), NOW + number * 7000)
        for number in range(2000)
    ]
    whole, taken = Summary(["detail", "source"]), Summary(["detail", "source"])
    for letter in letters:
        whole.add(letter)
    for part in (letters[:100], letters[100:1200], letters[1200:]):
        found = Summary(["detail", "source"])
        for letter in part:
            found.add(letter)
        taken.take(pickle.loads(pickle.dumps(found)))  # noqa: S301  made right here
    assert _plain(taken) == _plain(whole)
    assert (taken.letters, taken.timeline.width) == (2000, whole.timeline.width)


def test_kinds_of_parts() -> None:
    """Details that are the same within each part, but not in all, are told by their kind."""
    taken = Summary(["reason"])
    for number in (1, 2):
        part = Summary(["reason"])
        part.add(_saying(f"byte {number}"))
        part.add(_saying("is missing"))
        taken.take(part)
    (group,) = taken.groups()
    assert {kind.shown: kind.letters for kind in group.main_kinds()} == {
        "byte #": 2,
        "is missing": 2,
    }


def test_parts_have_together_no_more_groups() -> None:
    """What is too much for one summary is counted as others, whichever part it comes from."""
    taken = Summary(["event"], most_groups=10)
    for start in (0, 8):
        part = Summary(["event"], most_groups=10)
        for number in range(start, start + 12):
            part.add(letter_of({"event": f"E{number}"}))
        taken.take(part)
    assert len(taken.groups()) == 10
    assert (taken.letters, taken.other.letters) == (24, 2 + 2 + 8)


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
def test_dimensions(name: str, expected: str) -> None:
    """Each dimension reads what its name says."""
    properties = {"revenue": 5, "currency": "euro", "list": []}
    context = {"library": {"name": "lib", "version": "1.2"}}
    letter = letter_of(event(properties=properties, context=context))
    assert dimension(name).read(letter) == expected
    summary = Summary([name])
    summary.add(letter)
    assert summary.groups()[0].key == (expected,)


def test_no_dimension() -> None:
    """What is no dimension is refused with those that there are."""
    with pytest.raises(ValueError, match="none of reason, event"):
        dimension("reasons")


def test_payload_that_is_no_event() -> None:
    """It is its own group; what has killed a process is not even decoded."""
    summary = Summary(["/event"])
    summary.add(letter_of(b"{"))
    summary.add(crashed({"event": "A"}))
    assert summary.groups()[0].key == ("(unreadable)",)
    assert summary.letters == 2


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_foreign_letters(foreign: Any) -> None:
    """Letters of other systems are grouped by the same dimensions."""
    summary = Summary([*NAMES, "/userId"])
    summary.add(foreign_letter(foreign.added))
    (group,) = summary.groups()
    named = dict(zip((*NAMES, "/userId"), group.key, strict=True))
    assert (named["reason"], named["stage"]) == (foreign.reason, foreign.stage)
    assert (named["event"], named["/userId"]) == ("e", '"u"')


def test_masking() -> None:
    """Values of personal places are hidden, those of others masked; our own words are not."""
    assert dimension("/context/traits/plan").masked('"gold"') == "***"
    assert dimension("/context/ip").masked('"10.0.0.1"') == "***"
    assert dimension("/context/ip").masked("(absent)") == "(absent)"
    assert dimension("event").masked("hi ann@example.com") == "hi ***"
    assert dimension("/properties/plan").masked('"gold"') == '"gold"'
