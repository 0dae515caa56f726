"""`track-pipeline demo`: what a newcomer sees first."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from typing import Final

import pytest
from confluent_kafka.admin import AdminClient

from tests.unit.cli.program import command, environment, run_process

_PATIENCE_S: Final = 120
"""Longer than a busy machine needs to start Kafka."""
_CALL_S: Final = 30


@pytest.mark.kafka
def test_demo_runs_a_real_worker() -> None:
    """The demo has a real Kafka and worker; counts add up, and a pipe gets no terminal codes."""
    ran = run_process("demo", "--records", "300", timeout_s=_PATIENCE_S)
    assert ran.code == 0, ran.err
    out = ran.out.decode()
    assert "\x1b" not in out
    found = re.search(
        r"(\d+) events = (\d+) enriched \+ (\d+) dead letters; 0 missing, 0 duplicated", out
    )
    assert found is not None, out
    events, enriched, dead_letters = map(int, found.groups())
    assert events == enriched + dead_letters
    assert dead_letters
    for title in ("three enriched events", "dead letters by reason", "what to try next"):
        assert title in out


@pytest.mark.kafka
def test_demo_leaves_the_broker_as_an_own_worker_needs_it() -> None:
    """The demo's worker has left the group when the next command is shown; Ctrl-C tells the end."""
    with subprocess.Popen(
        command("demo", "--records", "300", "--keep"),
        stdout=subprocess.PIPE,
        env={**environment(), "PYTHONUNBUFFERED": "1"},
        text=True,
    ) as demo:
        watchdog = threading.Timer(_PATIENCE_S, demo.kill)
        watchdog.start()
        try:
            assert demo.stdout is not None
            lines = iter(demo.stdout)
            address = next(line for line in lines if "export TRACK_KAFKA_BOOTSTRAP" in line)
            _, _, servers = address.strip().partition("=")
            client = AdminClient({"bootstrap.servers": servers})
            (group,) = client.describe_consumer_groups(["track-pipeline"]).values()
            assert not group.result(_CALL_S).members
            next(line for line in lines if "dlq summary" in line)
            demo.send_signal(signal.SIGINT)
            assert list(lines)[-1] == "the broker was stopped and removed\n"
            assert demo.wait() == 0
        finally:
            watchdog.cancel()
            demo.kill()
