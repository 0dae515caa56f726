"""The first `run` in a terminal: sentences, and soon."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import threading
from typing import Final

import pytest

from tests.brokers import Sent, produce
from tests.kafka.worker_process import Pipeline
from tests.unit.cli.program import TIMEOUT_S, command, environment, read_terminal

pytestmark = pytest.mark.kafka

_EVENT: Final = b'{"event":"A","userId":"u"}'
_WATCHED_S: Final = 12.0
"""Less than half of the time between two statistics lines of a log."""


def test_worker_in_a_terminal_says_what_it_does(pipeline: Pipeline) -> None:
    """One sentence about what it reads and writes, then life within seconds: no keys, no repr."""
    names = pipeline.names
    produce(pipeline.servers, names.raw, [Sent(_EVENT), Sent(b"no JSON")])
    ours, theirs = pty.openpty()
    variables = {**environment(), **pipeline.variables, "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        command("run"), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=variables
    ) as process:
        os.close(theirs)
        stop = threading.Timer(_WATCHED_S, process.send_signal, [signal.SIGTERM])
        stop.start()
        lines = read_terminal(ours).splitlines()
        assert process.wait(TIMEOUT_S) == 0
    first = (
        rf"[\d-]+ [\d:]+ track-pipeline \S+ \(core: (?:python|compiled)\): "
        rf"reads {names.raw}, writes {names.enriched} and "
        rf"{names.dead_letter}, exactly-once \(group {names.raw}, Kafka at {pipeline.servers}\)"
    )
    assert re.fullmatch(first, lines[0])
    assert any(re.search(r"reading partitions 0-2 \(3 in all\)", line) for line in lines)
    read = r"2 records \(\d+/s\): 1 enriched, 1 rejected \(invalid_json 1\)"
    assert any(re.search(read, line) for line in lines)
    assert lines[-1].endswith(" stopped")
    assert not [line for line in lines if "{" in line or "=" in line]
