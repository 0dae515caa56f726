"""Runs one reader of dead letters, and prints their number, the time and the memory it took.

`bare` counts the messages of a consumer; `headers` also decodes their values and headers;
`summary` is `dlq summary --json`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

from click.testing import CliRunner
from confluent_kafka import TopicPartition

from pipeline.cli.main import cli
from pipeline.kafka.errors import LastClientError
from pipeline.kafka.reader import CHUNK, make_reader
from pipeline.settings.model import load_settings
from pipeline.wiring import admin
from pipeline.worker.memory_tuning import tune_memory
from tests.bench.children import peak_mb

TOPIC = "track.dead-letter"
_KIB = 1024


def bare(servers: str, *, headers: bool) -> int:
    """Read the topic to its end with the Kafka client only."""
    settings = load_settings(None, {"kafka.bootstrap.servers": servers}, {})
    extents = admin(settings).extents(TOPIC)
    tune_memory()
    consumer: Any = make_reader(settings.kafka, LastClientError())
    consumer.assign(
        [TopicPartition(TOPIC, number, first) for number, (first, _) in extents.items()]
    )
    left, dead_letters = sum(first < end for first, end in extents.values()), 0
    while left:
        for message in consumer.consume(CHUNK, 0.02):
            if message.error() is not None:
                left -= 1
                continue
            dead_letters += 1
            if headers:
                message.value()
                message.headers()
    consumer.close()
    return dead_letters


def summary(servers: str, *flags: str) -> int:
    """Run the command as a user would."""
    command = ["dlq", "summary", "--json", "--bootstrap-servers", servers, *flags]
    ran = CliRunner().invoke(cli, command, prog_name="track-pipeline")
    return int(json.loads(ran.stdout)["dead_letters"])


def main() -> None:
    """Run the reader that the arguments name."""
    name, servers, *flags = sys.argv[1:]
    started = time.perf_counter()
    if name == "summary":
        dead_letters = summary(servers, *flags)
    else:
        dead_letters = bare(servers, headers=name == "headers")
    print(  # noqa: T201  read by dead_letters.py
        json.dumps(
            {
                "dead_letters": dead_letters,
                "seconds": time.perf_counter() - started,
                "peak_mb": _peak_mb(),
            }
        )
    )


def _peak_mb() -> float:
    """Peak memory of this process, or of the largest child process."""
    return max(peak_mb(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _KIB / 1e6)


if __name__ == "__main__":
    main()
