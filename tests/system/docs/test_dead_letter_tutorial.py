"""Each command of docs/how-to/handle-dead-letters.md is run, and prints what the page shows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import pytest

from pipeline.demo.local_kafka.broker import LocalKafka
from tests.brokers import produce
from tests.kafka.worker_process import Pipeline, terminate
from tests.system.docs.dead_letter_tutorial import sent
from tests.system.docs.outputs import settled
from tests.system.docs.shell import bash
from tests.system.docs.snippets import blocks, matches

pytestmark = pytest.mark.kafka

PAGE: Final = "docs/how-to/handle-dead-letters.md"
_RAW: Final = "track.raw"


def test_the_page_shows_what_happens(own_kafka: LocalKafka, tmp_path: Path) -> None:
    """The page goes from the alarm to its end, with the outputs that it shows."""
    servers = own_kafka.bootstrap_servers
    address = {"TRACK_KAFKA_BOOTSTRAP_SERVERS": servers}
    made = bash("track-pipeline topics create --partitions 3 --ledger", tmp_path, address)
    assert made.returncode == 0, made.stdout
    produce(servers, _RAW, sent(int(time.time() * 1000)))
    _run_worker(servers, tmp_path)
    shown = blocks(PAGE, "sh")
    assert len(shown) > 5
    for block in shown:
        ran = bash(block.text, tmp_path, address)
        assert ran.returncode in {0, 1}, ran.stdout
        if block.output is not None:
            assert matches(settled(block.output), settled(ran.stdout)), ran.stdout


def _run_worker(servers: str, folder: Path) -> None:
    pipeline = Pipeline(servers, lambda role: f"track.{role.replace('_', '-')}", folder)
    worker = pipeline.start(group="track-pipeline")
    pipeline.wait_for(lambda: pipeline.progress("track-pipeline").committed == 406, "the worker")
    assert terminate(worker) == 0


def test_outputs_that_differ_are_told_apart() -> None:
    """Only what differs from run to run is left out of an output."""
    assert settled("a 12:00:01 █▁ b  x\n") == settled("a 13:11:59 █ b x\n")
    assert settled("5 dead letters\n") != settled("6 dead letters\n")
