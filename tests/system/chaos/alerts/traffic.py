"""Steady traffic of small track calls, of which any share may be invalid from one moment on."""

from __future__ import annotations

import itertools
import json
import threading
import time
from typing import Final

from confluent_kafka import Producer

from tests.support import good
from tests.system.chaos.client_logging import SILENT

RATE: Final = 100
"""Events per second."""
_TICK_S: Final = 0.05
_INVALID: Final = b'{"type": "track"'
_LAST_S: Final = 5.0


class SteadyTraffic:
    """Writes to a raw topic in a thread, until it is stopped."""

    def __init__(self, servers: str, topic: str) -> None:
        self._topic = topic
        self._numbers = itertools.count()
        self.only_invalid = False
        """Whether all events are invalid from now on."""
        self._stop = threading.Event()
        self._producer = Producer(
            {"bootstrap.servers": servers, "message.timeout.ms": 0, "linger.ms": 5, **SILENT}
        )
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is not delivered by then may be lost."""
        self._stop.set()
        self._thread.join()
        self._producer.flush(_LAST_S)

    def _run(self) -> None:
        began, sent = time.monotonic(), 0
        while not self._stop.wait(_TICK_S):
            due = int((time.monotonic() - began) * RATE)
            while sent < due:
                self._send(next(self._numbers))
                sent += 1
            self._producer.poll(0)

    def _send(self, number: int) -> None:
        event = good(messageId=f"message-{number}")
        value = _INVALID if self.only_invalid else json.dumps(event).encode()
        self._producer.produce(self._topic, value, str(number).encode())
