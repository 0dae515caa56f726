"""What people see of an audit."""

from __future__ import annotations

import io
from typing import Any, Final

import pytest
from rich.console import Console

from pipeline.cli.audit_view import closing_sentence, print_result
from pipeline.cli.progress import shown_progress
from pipeline.core.headers import TrackHeader
from pipeline.progress import Progress
from pipeline.reconcile.audit import AuditOptions, AuditResult
from tests.forged_headers import Forged, event
from tests.unit.reconcile.test_audit import ENRICHED

_HOSTILE: Final[dict[str, Any]] = {"\x1b[31m": 1}


def _sale(revenue: str, time: str = "2015-12-12T19:11:01.266Z") -> bytes:
    return event(properties={"revenue": revenue, "currency": "EUR"}, timestamp=time)


def _shown(result: AuditResult, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_result(result)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_what_does_not_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Counts, the offences with their places, the money, and one sentence at the end."""
    forged = Forged()
    forged.clean(_sale("19.99"), _sale("5"), _sale("x"), event(4))
    forged.of(ENRICHED).pop(0)
    forged.write(forged.outputs(forged.of_raw(3))[0])
    lines = _shown(forged.audit(options=AuditOptions(money=True)), capsys)
    assert "lost                1  an event, or its identify message, has no output" in lines
    assert "lost     raw/0/0                  there must be an enriched event" in lines
    assert "doubled  raw/0/3    enriched/0/3  an enriched event more than the one outcome" in lines
    assert "2015-12-12  EUR       24.99       5.00       0.00       19.99" in lines
    assert "all days    EUR       24.99       5.00       0.00       19.99" in lines
    assert "could not be read: 1 sent, 0 delivered, 1 held back; difference 0" in lines
    assert lines[-1] == (
        "It does not add up: 1 lost, 1 doubled, money that is not accounted for (of 4 events)."
    )


def test_redriven_money(capsys: pytest.CaptureFixture[str]) -> None:
    """Where events were redriven two more columns say what, and what repairs have changed."""
    forged = Forged()
    (record,) = forged.clean(_sale("x"))
    (output,) = forged.outputs(record._replace(value=_sale("2.50")))
    forged.write(output._replace(headers=[*output.headers, (TrackHeader.REDRIVE, b"r")]))
    lines = _shown(forged.audit(options=AuditOptions(money=True)), capsys)
    assert (
        "day (UTC)   currency  sent  delivered  held back  redriven  repaired  difference" in lines
    )
    assert (
        "2015-12-12  EUR       0.00       0.00       0.00      2.50      2.50        0.00" in lines
    )
    assert (
        "could not be read: 1 sent, 0 delivered, 1 in dead letters that were redriven, "
        "0 held back; difference 0"
    ) in lines


def test_what_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    """What was not judged is said, with its meaning; the sentence says what the sums lack."""
    forged = Forged()
    forged.clean(_sale("1"), _sale("x"))
    forged.process(forged.send(event(3)), default_currency="CHF")
    result = forged.audit(options=AuditOptions(money=True))
    result.notes.append("a note")
    lines = _shown(result, capsys)
    assert (
        "not judged in full: 1 outputs under another contract: checked for presence only" in lines
    )
    assert "note: a note" in lines
    assert lines[-1] == (
        "It adds up: each of 3 events has exactly its outcome, and all money is accounted for "
        "(unreadable amounts: 1)."
    )
    assert closing_sentence(forged.audit()).endswith("has exactly its outcome.")


def test_more_than_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """How many offences are not named; many days are not shown but those that do not add up."""
    forged = Forged()
    forged.clean(*(_sale("1", f"2015-{n // 28 + 1:02}-{n % 28 + 1:02}") for n in range(100)))
    del forged.of(ENRICHED)[:3]
    lines = _shown(forged.audit(options=AuditOptions(money=True, show=1)), capsys)
    assert "… and 2 more; --show names more of them" in lines
    assert "97 days without a difference are not shown" in lines
    assert sum(line.startswith("2015-") for line in lines) == 3


def test_hostile_names(capsys: pytest.CaptureFixture[str]) -> None:
    """What an output calls its source can't drive the terminal."""
    forged = Forged()
    (record,) = forged.clean(event(1))
    (output,) = forged.outputs(record)
    forged.write(output._replace(headers=[(TrackHeader.SOURCE, b"raw/9\x1b[2J/1")]))
    value = event(2, **_HOSTILE)
    forged.clean(value)
    last = forged.of(ENRICHED)[-1]
    forged.of(ENRICHED)[-1] = last._replace(value=(last.value or b"").replace(b":1}", b":2}"))
    result = forged.audit()
    assert (result.invented, result.different) == (1, 1)
    text = "\n".join(_shown(result, capsys))
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


def test_progress_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each tenth, once, on standard error."""
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
