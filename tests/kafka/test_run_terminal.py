"""The first `run` in a terminal: sentences, and soon."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import threading
from typing import Final

import pytest

from tests.brokers import Sent, produce
from tests.kafka.worker_process import PATIENCE_S, Pipeline
from tests.unit.cli.program import TIMEOUT_S, command, environment

pytestmark = pytest.mark.kafka

_EVENT: Final = b'{"event":"A","userId":"u"}'
_SOON_S: Final = 12
"""Less than half of the time between two statistics lines of a log."""
_DAY_S: Final = 86_400
_READING: Final = r"(\d\d):(\d\d):(\d\d) reading partitions 0-2 \(3 in all\)"
_READ: Final = (
    r"(\d\d):(\d\d):(\d\d) 2 records \(\d+/s\): 1 enriched, 1 rejected \(invalid_json 1\)"
)


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
        text = _shown(ours, process)
        assert process.wait(TIMEOUT_S) == 0
    lines = text.splitlines()
    first = (
        rf"[\d-]+ [\d:]+ track-pipeline \S+ \(core: (?:python|compiled)\): "
        rf"reads {names.raw}, writes {names.enriched} and "
        rf"{names.dead_letter}, exactly-once \(group {names.raw}, Kafka at {pipeline.servers}\)"
    )
    assert re.fullmatch(first, lines[0])
    # By the worker's own clock: a slow machine may take long to start it.
    assert (_second(_READ, text) - _second(_READING, text)) % _DAY_S < _SOON_S
    assert lines[-1].endswith(" stopped")
    assert not [line for line in lines if "{" in line or "=" in line]


def _shown(terminal: int, process: subprocess.Popen[bytes]) -> str:
    """Everything that a worker shows; it is stopped when it has told what it has read."""
    pieces: list[bytes] = []
    stop = threading.Timer(PATIENCE_S, process.send_signal, [signal.SIGTERM])
    stop.start()
    is_stopped = False
    with contextlib.suppress(OSError):  # Linux says so when nobody holds the other side any more
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
            if not is_stopped and re.search(_READ.encode(), b"".join(pieces)):
                stop.cancel()
                process.send_signal(signal.SIGTERM)
                is_stopped = True
    stop.cancel()
    os.close(terminal)
    return b"".join(pieces).decode()


def _second(pattern: str, text: str) -> int:
    """When it was shown, as the second of the day."""
    found = re.search(pattern, text)
    assert found is not None, text
    hours, minutes, seconds = map(int, found.groups())
    return 3600 * hours + 60 * minutes + seconds
