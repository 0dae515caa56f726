"""What somebody reads who watches a worker in a terminal."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.settings.model import load_settings
from pipeline.worker.observe.event_sentences import SENTENCES
from pipeline.worker.observe.sentences import IdleFilter, SentenceRenderer

TIME: Final = "2026-11-26T17:20:01.123456Z"
SETTINGS: Final = load_settings(None, {"kafka.bootstrap.servers": "kafka:9092"}, {}).to_dict()
STATISTICS: Final = {
    "event": "statistics",
    "seconds": 5.0,
    "consumed": 12_340,
    "enriched": 12_000,
    "forwarded": 0,
    "identify": 0,
    "dead_lettered": {"revenue_invalid": 300, "event_blank": 40},
    "dropped": {},
    "lag": 5_678,
    "lost": 0,
    "total_consumed": 12_340,
}
SPAN: Final = {"worker": 1, "topic": "raw", "partition": 3, "first": 7, "last": 7}


def _sentence(level: str = "info", **line: Any) -> str:
    renderer = SentenceRenderer(coloured=False)
    text = renderer(None, level, {"timestamp": TIME, "level": level, **line})
    assert text.startswith("2026-11-26 17:20:01 ")
    return text.removeprefix("2026-11-26 17:20:01 ")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            {
                "event": "starting",
                "version": "0.1.0",
                "core": "python",
                "contract": "x",
                "settings": SETTINGS,
            },
            (
                "track-pipeline 0.1.0 (core: python): reads track.raw, writes track.enriched and "
                "track.dead-letter, exactly-once (group track-pipeline, Kafka at kafka:9092)"
            ),
        ),
        (
            {
                "event": "starting",
                "version": "0.1.0",
                "core": "compiled",
                "settings": {**SETTINGS, "workers": 4},
            },
            (
                "track-pipeline 0.1.0 (core: compiled): 4 workers: reads track.raw, writes "
                "track.enriched and track.dead-letter, exactly-once (group track-pipeline, Kafka "
                "at kafka:9092)"
            ),
        ),
        ({"event": "starting", "version": "0.1.0", "instance": "w-2"}, "starting as w-2"),
        ({"event": "starting", "version": "0.1.0", "instance": None}, "starting"),
        (
            {"event": "compiled_core_unused", "cause": "it is older"},
            "the Python core runs: it is older",
        ),
        (
            {"event": "topics", "partitions": {"a": 4, "b": 1}},
            "Kafka answers; topics and their partitions: a (4), b (1)",
        ),
        (
            {"event": "assigned", "partitions": "0-3", "held": 4},
            "reading partitions 0-3 (4 in all)",
        ),
        ({"event": "assigned", "partitions": "0", "held": 1}, "reading partition 0"),
        ({"event": "assigned", "partitions": "3", "held": 4}, "reading partition 3 (4 in all)"),
        (
            {"event": "revoked", "partitions": "2-3", "held": 2},
            "no longer reading partitions 2-3 (2 left)",
        ),
        (
            STATISTICS,
            (
                "12,340 records (2,468/s): 12,000 enriched, 340 rejected (most: "
                "revenue_invalid 300); 5,678 records behind"
            ),
        ),
        (
            {**STATISTICS, "lag": 0, "dead_lettered": {}, "dropped": {"unsupported_type": 9}},
            (
                "12,340 records (2,468/s): 12,000 enriched, 9 dropped (unsupported_type 9); "
                "up to date"
            ),
        ),
        (
            {**STATISTICS, "lag": 0, "dead_lettered": {}, "forwarded": 5_000},
            "12,340 records (2,468/s): 12,000 enriched, 5,000 forwarded; up to date",
        ),
        ({**STATISTICS, "consumed": 0, "lag": 0}, "no new records; up to date"),
        ({**STATISTICS, "consumed": 0, "lag": None}, "no new records"),
        (
            {"event": "waiting", "cause": "no broker", "seconds": 3.2},
            "waiting: no broker (for 3 s)",
        ),
        ({"event": "recovered", "after_s": 1.5, "cause": "x"}, "working again after 1.5 s"),
        (
            {"event": "worker_ended", "worker": 2, "how": "signal 9", "next": "started again"},
            "worker 2 ended, signal 9; started again",
        ),
        (
            {"event": "worker_started", "worker": 2, "pid": 7},
            "worker 2 started (process 7)",
        ),
        (
            {**STATISTICS, "consumed": 0, "lag": 0, "worker": 3},
            "worker 3: no new records; up to date",
        ),
        (
            {"event": "crash_suspected", **SPAN, "first": 1000, "last": 2233},
            "worker 1 crashed; suspected: one of 1,234 records (raw/3, offsets 1000 to 2233)",
        ),
        (
            {"event": "crash_bisected", **SPAN},
            "worker 1 crashed again; still suspected: record raw/3/7",
        ),
        (
            {"event": "crash_reproduced", **SPAN},
            "record raw/3/7 alone crashed worker 1; it is tried once more",
        ),
        (
            {"event": "crash_confirmed", **SPAN},
            "record raw/3/7 crashed worker 1 again; it becomes a dead letter",
        ),
        (
            {"event": "crash_not_a_record", **SPAN},
            "worker 1 crashed, and no single record is the cause",
        ),
        (
            {"event": "listening", "address": "0.0.0.0:9400"},
            "metrics and health at http://0.0.0.0:9400/",
        ),
        (
            {"event": "stuck", "cause": "the loop stands still", "frames": ""},
            "this worker is stuck: the loop stands still; what it is doing:",
        ),
        (
            {"event": "worker_stuck", "worker": 1, "cause": "it stands still"},
            "worker 1 is stuck and will be ended: it stands still",
        ),
        (
            {"event": "spans_lost", "spans": 1200, "cause": "Connection refused"},
            "1,200 spans were not sent to the collector of traces: Connection refused",
        ),
        ({"event": "something new", "a": 1, "b": "c"}, "something new a=1 b=c"),
        ({"event": "topics", "other": 1}, "topics other=1"),
    ],
)
def test_line_of_the_log_is_a_sentence(line: dict[str, Any], sentence: str) -> None:
    """Every event that a worker logs often has one; what is not known is shown with its keys."""
    assert _sentence(**line) == sentence


def test_every_documented_event_has_a_sentence() -> None:
    """Nobody who watches a terminal has to read keys; events that are sentences need none."""
    page = Path(__file__).parents[3] / "docs/reference/log-events.md"
    rows = re.findall(r"(?m)^\| (`[^|]*) \| (?:info|warning|error)", page.read_text())
    names = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert {name for name in names if " " not in name} == SENTENCES.keys()


def test_warnings_and_errors_are_marked_by_words_and_by_colour() -> None:
    """Nobody has to see colours to tell them apart."""
    line = {"event": "record_isolated", "source": "raw/0/1", "cause": "too large"}
    text = "record raw/0/1 is set aside as a dead letter: too large"
    assert _sentence("error", **line) == f"error: {text}"
    assert _sentence("warning", event="TLS is off") == "warning: TLS is off"
    coloured = SentenceRenderer(coloured=True)
    assert coloured(None, "", {"timestamp": TIME, "level": "error", **line}) == (
        f"\x1b[2m2026-11-26 17:20:01\x1b[0m \x1b[31merror: {text}\x1b[0m"
    )


def test_date_is_shown_when_it_changes() -> None:
    """A line has its time of day; the first one of a day has the date, too."""
    renderer = SentenceRenderer(coloured=False)
    times = ("2026-11-26T23:59:58.1Z", "2026-11-26T23:59:59.1Z", "2026-11-27T00:00:00.1Z")
    lines = [renderer(None, "", {"timestamp": each, "event": "stopped"}) for each in times]
    assert lines == [
        "2026-11-26 23:59:58 stopped",
        "23:59:59 stopped",
        "2026-11-27 00:00:00 stopped",
    ]


def test_traceback_stands_below_its_line() -> None:
    """Frames of a bug, and tracebacks that a library logs."""
    line = {"event": "processing_error", "source": "raw/0/1", "error": "KeyError"}
    text = _sentence("error", **line, frames='  File "a.py"\n')
    assert text.splitlines()[1:] == ['  File "a.py"']


def test_idle_worker_says_so_once_a_minute() -> None:
    """What has happened is always shown; that nothing has happened only now and then."""
    now = 100.0
    idle_filter = IdleFilter(lambda: now)

    def shown(consumed: int, lag: int | None) -> bool:
        line = {"event": "statistics", "consumed": consumed, "lag": lag}
        record = logging.makeLogRecord({"msg": line})
        return idle_filter.filter(record)

    assert not shown(0, None)  # it does not read yet
    assert shown(0, 7)
    assert shown(5, 0)
    assert shown(5, 0)
    assert shown(0, 0)
    assert not shown(0, 0)
    assert shown(0, 3)  # it does not read, though there is something
    assert not shown(0, 3)
    now += 61
    assert shown(0, 3)
    assert not shown(0, None)
    assert idle_filter.filter(logging.makeLogRecord({"msg": "of a library"}))
    assert idle_filter.filter(logging.makeLogRecord({"msg": {"event": "stopped"}}))
