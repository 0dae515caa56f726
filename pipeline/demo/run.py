"""The demo: sample events into a topic, the real worker on them, and what came out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.compiled.choice import VARIABLE as CORE_VARIABLE
from pipeline.core.record import Role
from pipeline.demo.check import OutcomeCheck, examine, selected_examples
from pipeline.demo.generate import DEFAULT_INTERVAL_MS, Generator
from pipeline.errors import TransportError
from pipeline.files.explain import Explanation, explain
from pipeline.kafka import Publisher, read_committed
from pipeline.progress import OnProgress, Progress
from pipeline.settings.model import Settings
from pipeline.topics import CreateOptions, specs
from pipeline.wiring import WallClock, admin, make_processor, topic_names

TIMEOUT_S: Final = 60.0
_PARTITIONS: Final = 4
_SEED: Final = 2026
_INVALID_SHARE: Final = 0.04
_POLL_S: Final = 0.1
_EXPLAINED: Final = 1000
"""Number of raw records among which the examples are selected."""


class DemoResult(NamedTuple):
    """Result of the demo."""

    findings: OutcomeCheck
    examples: list[Explanation]
    """Enriched events, and what the rules changed in them."""


def run_demo(
    settings: Settings, records: int, on_step: Callable[[str], None], on_progress: OnProgress
) -> DemoResult:
    """Create the topics, write sample events, run the worker until it is done, read the outputs.

    Raises TransportError when the worker fails or does not advance.
    """
    cluster, names = admin(settings), topic_names(settings)
    cluster.wait_until_reachable()
    plan = specs(names, CreateOptions(_PARTITIONS, 1, None, 30.0), None)
    cluster.create(plan)
    on_step(f"created topics {', '.join(topic.name for topic in plan)}")
    events = _generate(settings, records)
    on_step(f"wrote {records:,} raw records with {events:,} events to {names.raw}")
    started = time.monotonic()
    with _worker(settings) as (process, log):
        _wait(settings, process, log, on_progress)
        seconds = time.monotonic() - started
    on_step(f"the worker processed them in {seconds:.1f} s, including its own start")
    enriched = read_committed(settings.kafka, names.enriched, TIMEOUT_S)
    dead_letters = read_committed(settings.kafka, names.dead_letter, TIMEOUT_S)
    return DemoResult(examine(events, enriched, dead_letters), _examples(settings))


def _generate(settings: Settings, records: int) -> int:
    """Write the sample records and return the number of events in them."""
    start = WallClock().now() - int(records * DEFAULT_INTERVAL_MS)
    generator = Generator(_SEED, invalid_share=_INVALID_SHARE, start=start)
    events = 0
    with Publisher(settings.kafka) as publisher:
        for record in islice(generator, records):
            publisher.send(settings.topics.raw, record.value, record.key, record.timestamp)
            events += record.events
    return events


@contextmanager
def _worker(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run the worker as a separate process, as in production; stop it by SIGTERM at the end."""
    # None of the user's own settings: the demo's pipeline is separate.
    environment = {
        name: text
        for name, text in os.environ.items()
        if name[:6] != "TRACK_" or name == CORE_VARIABLE
    }
    environment["TRACK_KAFKA_BOOTSTRAP_SERVERS"] = str(settings.kafka["bootstrap.servers"])
    with tempfile.TemporaryDirectory(prefix="track-pipeline-demo-") as folder:
        log = Path(folder) / "worker.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", "run"],
                env=environment,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the demo, which stops the worker in order
            )
            try:
                yield process, log
                _stop(process, log)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()


def _stop(process: subprocess.Popen[bytes], log: Path) -> None:
    process.send_signal(signal.SIGTERM)
    if process.wait(TIMEOUT_S) != 0:
        raise TransportError(f"the worker failed; its log ends:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-5:])


def _wait(
    settings: Settings, process: subprocess.Popen[bytes], log: Path, on_progress: OnProgress
) -> None:
    """Wait until the worker has committed everything."""
    cluster, raw = admin(settings), settings.topics.raw
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        progress = cluster.progress(settings.group, raw)
        on_progress(Progress("worker", progress.committed, progress.total))
        if progress.committed >= progress.total:
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise TransportError(f"the worker does not advance; its log ends:\n{_end_of(log)}")
        time.sleep(_POLL_S)


def _examples(settings: Settings) -> list[Explanation]:
    processor = make_processor(settings, group=settings.group)
    raw = islice(read_committed(settings.kafka, settings.topics.raw, TIMEOUT_S), _EXPLAINED)
    explained = (
        each for record in raw for each in explain(processor, record, record.timestamp or 1)
    )
    return selected_examples(each for each in explained if each.outcome == Role.ENRICHED)
