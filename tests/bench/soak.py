"""Measures whether the memory of a worker stays flat.

The worker has default settings and gets events of every kind at a steady rate; its memory is
sampled every ten seconds. Old records are deleted meanwhile, so that the disk does not fill.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipeline.demo.local_kafka.broker import LocalKafka
from pipeline.settings.model import load_settings
from pipeline.topics import CreateOptions, specs
from pipeline.wiring import admin, topic_names
from tests.bench.results import Column, Report, Result
from tests.brokers import set_topic_config

_PARTITIONS: Final = 6
_EVERY_S: Final = 10.0
_TOPIC_BYTES: Final = str(64 * 1024 * 1024)
_PARTS: Final = 5
"""Number of rows in the table, each for an equal part of the run."""


def soak(report: Report, minutes: float, rate: int) -> None:
    """Run a worker, and print its resident memory over time and the slope after the first fifth."""
    with LocalKafka(jit=True, on_progress=report.progress) as kafka:
        servers = kafka.bootstrap_servers
        _make_topics(servers)
        flags = ["--bootstrap-servers", servers]
        with (
            tempfile.TemporaryFile() as log,
            _program("run", *flags, log=log) as worker,
            _program(
                "generate", *flags, "--topic", "track.raw", "--rate", str(rate),
                "--count", "1000000000", "--invalid-share", "0.05", log=log,
            ),
        ):  # fmt: skip
            samples = list(_sample(report, worker, minutes * 60))
            worker.terminate()
            worker.wait()
            log.seek(0)
            consumed = _consumed(log.read())
    report.progress(f"consumed {consumed} records")
    report.add(_result(samples, rate))


def _consumed(log: bytes) -> int:
    """Number of consumed records in the worker's last statistics line."""
    lines = [json.loads(line) for line in log.splitlines() if line[:1] == b"{"]
    return next(int(line["total_consumed"]) for line in lines[::-1] if "total_consumed" in line)


def _make_topics(servers: str) -> None:
    settings = load_settings(None, {"kafka.bootstrap.servers": servers}, {})
    cluster = admin(settings)
    cluster.wait_until_reachable()
    made = specs(topic_names(settings), CreateOptions(_PARTITIONS, 1, None, 1.0), None)
    cluster.create(made)
    for spec in made:
        for name in ("segment.bytes", "retention.bytes"):
            set_topic_config(servers, spec.name, name, _TOPIC_BYTES)


@contextmanager
def _program(*arguments: str, log: object) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "pipeline", *arguments]
    process = subprocess.Popen(command, stdout=log, stderr=log)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _sample(
    report: Report, worker: subprocess.Popen[bytes], seconds: float
) -> Iterator[tuple[float, float]]:
    """Yield seconds since the start and MB, every ten seconds."""
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        time.sleep(_EVERY_S)
        if worker.poll() is not None:
            raise SystemExit(f"the worker ended with {worker.returncode} after {now:.0f} s")
        statm = Path(f"/proc/{worker.pid}/statm").read_text(encoding="ascii")
        megabytes = int(statm.split()[1]) * 4096 / 1e6
        yield now, megabytes
        report.progress(f"{now:5.0f} s  {megabytes:6.1f} MB")


def _result(samples: list[tuple[float, float]], rate: int) -> Result:
    columns = (Column("from"), Column("median MB", ".1f"), Column("highest MB", ".1f"))
    size, rows = max(1, len(samples) // _PARTS), []
    for start in range(0, len(samples), size):
        part = [megabytes for _, megabytes in samples[start : start + size]]
        moment = f"{samples[start][0] / 60:.1f} min"
        rows.append((moment, statistics.median(part), max(part)))
    settled, notes = samples[size:], []
    if len(settled) > 1:
        slope = statistics.linear_regression(*zip(*settled, strict=True)).slope
        notes.append(f"slope after the first fifth: {slope * 3600:+.1f} MB per hour")
    return Result(f"memory of a worker at {rate} records/s", columns, rows, (), notes)
