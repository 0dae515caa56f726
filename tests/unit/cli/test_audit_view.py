"""What people and pipes see of an audit."""

from __future__ import annotations

import io
from typing import Any, Final

import pytest
from rich.console import Console

from pipeline.cli.audit_view import closing_sentence, print_result
from pipeline.cli.progress import shown_progress
from pipeline.core.headers import TrackHeader
from pipeline.progress import Progress
from pipeline.reconcile.audit import AuditRequest, AuditResult
from tests.fake_topics import FakeTopics, event
from tests.unit.cli.terminal import as_terminal
from tests.unit.reconcile.test_audit import ENRICHED

_HOSTILE: Final[dict[str, Any]] = {"\x1b[31m": 1}


def _sale(revenue: str, time: str = "2015-12-12T19:11:01.266Z") -> bytes:
    return event(properties={"revenue": revenue, "currency": "EUR"}, timestamp=time)


def _on_terminal(
    result: AuditResult, monkeypatch: pytest.MonkeyPatch, width: int = 120
) -> list[str]:
    """Return the lines that a terminal of this width shows."""
    with monkeypatch.context() as patched:
        terminal = as_terminal(patched, width)
        print_result(result)
    return [line.rstrip() for line in terminal.lines()]


def _piped(result: AuditResult, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines that a pipe gets."""
    print_result(result)
    return capsys.readouterr().out.splitlines()


def _spoilt() -> AuditResult:
    """Audit topics in which one event is missing, with its revenue, and one is duplicated."""
    fake = FakeTopics()
    fake.clean(_sale("17212.9999999999999"), _sale("5"), _sale("x"), event(4))
    fake.of(ENRICHED).pop(0)
    fake.write(fake.outputs(fake.of_raw(3))[0])
    return fake.audit(AuditRequest(revenue=True))


@pytest.mark.parametrize("width", [80, 120])
def test_discrepancies_are_shown_with_their_coordinates(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts, discrepancies, rounded revenue, and one sentence at the end."""
    lines = _on_terminal(_spoilt(), monkeypatch, width)
    assert "missing           1  an event, or its identify message, has no output" in lines
    assert "missing      raw/0/0                  an enriched event is expected" in lines
    assert any(
        line.startswith("duplicated   raw/0/3    enriched/0/3  an enriched event in addition")
        for line in lines
    )
    assert "2015-12-12  EUR       17,218.00       5.00     0.00   17,213.00" in lines
    assert "all days    EUR       17,218.00       5.00     0.00   17,213.00" in lines
    assert "unreadable amounts: 1 sent, 0 delivered, 1 blocked; difference 0" in lines
    assert lines[-1] == (
        "It does not add up: 1 missing, 1 duplicated, revenue that does not balance (of 4 events)."
    )


def test_pipe_gets_exact_values_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    """Below a line of names each row is a line; amounts have all their digits."""
    lines = _piped(_spoilt(), capsys)
    assert "outcome\tcount\tmeaning" in lines
    assert (
        "duplicated\traw/0/3\tenriched/0/3\tan enriched event in addition to the one outcome"
        in (lines)
    )
    assert "2015-12-12\tEUR\t17217.9999999999999\t5.00\t0.00\t17212.9999999999999" in lines


def test_narrow_terminal_leaves_columns_out_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coordinates and amounts are never cut."""
    lines = _on_terminal(_spoilt(), monkeypatch, 40)
    assert "duplicated   raw/0/3    enriched/0/3" in lines
    text = " ".join(lines)
    assert "column left out: detail (a wider terminal shows it)" in text
    assert "2015-12-12  EUR        17,213.00" in lines


def test_redriven_revenue_has_columns_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two more columns say how much was redriven, and what repairs have changed."""
    fake = FakeTopics()
    (record,) = fake.clean(_sale("x"))
    (output,) = fake.outputs(record._replace(value=_sale("2.50")))
    fake.write(output._replace(headers=[*output.headers, (TrackHeader.REDRIVE, b"r")]))
    lines = _on_terminal(fake.audit(AuditRequest(revenue=True)), monkeypatch)
    names = "day (UTC)   currency  sent  delivered  blocked  redriven  repaired  difference"
    assert names in lines
    assert "2015-12-12  EUR       0.00       0.00     0.00      2.50      2.50        0.00" in lines
    assert (
        "unreadable amounts: 1 sent, 0 delivered, 1 in redriven dead letters, 0 blocked; "
        "difference 0"
    ) in lines


def test_conclusion_says_what_the_sums_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not fully checked is named with its meaning."""
    fake = FakeTopics()
    fake.clean(_sale("1"), _sale("x"))
    fake.process(fake.send(event(3)), default_currency="CHF")
    result = fake.audit(AuditRequest(revenue=True))
    result.notes.append("a note")
    lines = _on_terminal(result, monkeypatch)
    assert "not fully checked: 1 outputs under another contract: checked for presence only" in lines
    assert "note: a note" in lines
    assert lines[-1] == (
        "It adds up: each of 3 events has exactly its outcome, and the revenue balances "
        "(unreadable amounts: 1)."
    )
    assert closing_sentence(fake.audit()).endswith("has exactly its outcome.")


def test_what_is_not_shown_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of many discrepancies are named, and the days that do not balance."""
    fake = FakeTopics()
    fake.clean(*(_sale("1", f"2015-{n // 28 + 1:02}-{n % 28 + 1:02}") for n in range(100)))
    del fake.of(ENRICHED)[:3]
    lines = _on_terminal(fake.audit(AuditRequest(revenue=True, show=1)), monkeypatch)
    assert "… and 2 more; --show names more of them" in lines
    assert "97 days without a difference are not shown" in lines
    assert sum(line.startswith("2015-") for line in lines) == 3


def test_hostile_names_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in headers and property names are escaped."""
    fake = FakeTopics()
    (record,) = fake.clean(event(1))
    (output,) = fake.outputs(record)
    fake.write(output._replace(headers=[(TrackHeader.SOURCE, b"raw/9\x1b[2J/1")]))
    value = event(2, **_HOSTILE)
    fake.clean(value)
    last = fake.of(ENRICHED)[-1]
    fake.of(ENRICHED)[-1] = last._replace(value=(last.value or b"").replace(b":1}", b":2}"))
    result = fake.audit()
    assert (result.orphaned, result.mismatched) == (1, 1)
    text = "\n".join(_piped(result, capsys))
    assert "\x1b" not in text
    assert "/\\u001b[31m" in text


def test_progress_on_a_terminal() -> None:
    """A bar for each part of the work, gone at the end."""
    file = io.StringIO()
    with shown_progress(Console(file=file, force_terminal=True)) as on_progress:
        on_progress(Progress("reading", 1, 2))
        on_progress(Progress("reading", 2, 2))
    assert "reading" in file.getvalue()
    assert "100%" in file.getvalue()


def test_progress_in_a_file_has_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error that is no terminal gets one line for each tenth of the work."""
    with shown_progress(Console(file=io.StringIO())) as on_progress:
        for done in (0, 1, 5, 6, 50):
            on_progress(Progress("reading", done, 50))
        on_progress(Progress("nothing", 0, 0))
    assert capsys.readouterr().err.splitlines() == [
        "reading: 0 % of 50 offsets",
        "reading: 10 % of 50 offsets",
        "reading: 100 % of 50 offsets",
        "nothing: 100 % of 0 offsets",
    ]
