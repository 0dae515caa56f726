"""Runs processes of one variant on a raw topic, and measures them between their commits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.children import PYTHON, with_core

_SECONDS: Final = 1800.0
_ENDS_S: Final = 60.0
_POLL_S: Final = 0.1
_JOIN_QUICKLY: Final = {"consumer.heartbeat.interval.ms": 500}


class Sample(NamedTuple):
    """A process right after one of its commits."""

    records: int
    """Records that it has committed so far."""
    cpu_s: float
    """CPU time of all its threads so far."""
    at: float
    rss_mb: float
    """Resident memory."""


class Steady(NamedTuple):
    """Figures of all processes together, without their start."""

    cpu_us: float
    """CPU microseconds per record."""
    per_second: float
    peak_mb: float
    """Largest resident memory of one of the processes."""


class Running(NamedTuple):
    """A process, and the files that it prints to."""

    process: subprocess.Popen[bytes]
    output: Path
    errors: Path

    def samples(self) -> list[Sample]:
        """Return what it has printed so far."""
        lines = self.output.read_text().rpartition("\n")[0].splitlines()
        parsed = [json.loads(line) for line in lines if line.startswith('{"records"')]
        return [Sample(**line) for line in parsed]

    def peak_mb(self) -> float:
        """Return its largest memory, which it prints last."""
        return float(json.loads(self.output.read_text().splitlines()[-1])["peak_mb"])

    def end(self) -> None:
        """Ask it to end, and wait until it has."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def check(self) -> None:
        """SystemExit when it has failed."""
        if self.process.poll():
            raise SystemExit(f"{self.process.args!r}: {self.errors.read_text()[-2000:]}")


def measure(
    variant: str,
    flags: Mapping[str, object],
    records: int,
    *,
    processes: int = 1,
    core: str = PYTHON,
) -> tuple[Steady, list[Sample]]:
    """Run until so many records are committed; returns the figures and the first one's samples."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        running = [
            stack.enter_context(start(variant, flags, Path(folder), core=core, slot=number))
            for number in range(processes)
        ]
        _wait_for(running, records)
        for each in running:
            each.end()
            each.check()
        samples = [each.samples() for each in running]
        return steady(samples, max(each.peak_mb() for each in running)), samples[0]


@contextmanager
def start(
    variant: str,
    flags: Mapping[str, object],
    folder: Path,
    *,
    core: str = PYTHON,
    slot: int = 0,
) -> Iterator[Running]:
    """Start one process of a variant; it is ended with the block, however that ends."""
    given = json.dumps({**_JOIN_QUICKLY, **flags})
    output, errors = folder / f"{slot}.output", folder / f"{slot}.errors"
    with output.open("wb") as to_output, errors.open("wb") as to_errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.kafka_variants", variant, given, str(slot)],
            env=with_core(core),
            stdout=to_output,
            stderr=to_errors,
        )
    running = Running(process, output, errors)
    try:
        yield running
    finally:
        running.end()


def _wait_for(running: Sequence[Running], records: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while sum(each.samples()[-1].records for each in running if each.samples()) < records:
        for each in running:
            each.check()
        if all(each.process.poll() is not None for each in running):
            return  # a dry run ends by itself
        if time.monotonic() > deadline:
            raise TimeoutError(running[0].errors.read_text()[-2000:])
        time.sleep(_POLL_S)


def steady(children: Sequence[Sequence[Sample]], peak_mb: float) -> Steady:
    """Calculate the figures from when all processes have committed to each one's last commit."""
    if not all(children):
        raise SystemExit("one of the processes has committed nothing: take more --events")
    begun = max(samples[0].at for samples in children)
    cpu_s, records, ended = 0.0, 0, begun
    for samples in children:
        first = next((each for each in samples if each.at >= begun), samples[-1])
        last = samples[-1]
        cpu_s += last.cpu_s - first.cpu_s
        records += last.records - first.records
        ended = max(ended, last.at)
    if not records:
        raise SystemExit("all was in the first transaction: take more --events")
    return Steady(cpu_s / records * 1e6, records / (ended - begun), peak_mb)
