"""What the worker's tests share: a clock, a meter that remembers, a stop after enough records."""

from __future__ import annotations

import threading
from typing import Any

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.process import Processor
from pipeline.core.record import Record
from pipeline.ports import Broker, Session, Tally
from pipeline.worker import Worker

NOW = 1_800_000_000_000


class FixedClock:
    """See `ports.Clock`."""

    def now(self) -> int:
        """Always the same moment."""
        return NOW


class Remembering:
    """A meter that remembers what it heard and asks for a stop after `enough` records."""

    def __init__(self, stop: threading.Event, enough: int) -> None:
        self.total = Tally()
        self.recoveries: list[tuple[str, str]] = []
        self.crashes: list[Record] = []
        self.lags: list[int | None] = []
        self._stop = stop
        self._enough = enough
        self._end_if_enough()

    def _end_if_enough(self) -> None:
        if self.total.records >= self._enough:
            self._stop.set()

    def committed(self, tally: Tally) -> None:
        """See `ports.Meter`."""
        self.total.add(tally)
        self._end_if_enough()

    def tick(self, session: Session) -> None:
        """See `ports.Meter`."""
        self.lags.append(session.lag())

    def recovering(self, how: str, error: Exception, attempt: int) -> None:
        """See `ports.Meter`."""
        del attempt
        self.recoveries.append((how, str(error)))

    def crashed(self, record: Record, error: Exception) -> None:
        """See `ports.Meter`."""
        del error
        self.crashes.append(record)


class NoWait(threading.Event):
    """A stop flag whose waits end at once: pauses between resets are not what is tested."""

    def wait(self, timeout: float | None = None) -> bool:
        """Do not wait."""
        del timeout
        return self.is_set()


def processor(**settings: Any) -> Processor:
    """The contract under these settings."""
    return Processor(
        ContractSettings.model_validate(settings), Identity(app="track-pipeline/test", group="g")
    )


def work(
    broker: Broker,
    records: int,
    *,
    contract: Processor | None = None,
    max_resets: int = 3,
    give_up_s: float | None = None,
) -> Remembering:
    """Run a worker until so many records are committed (or `give_up_s`); what it said."""
    stop = NoWait() if give_up_s is None else threading.Event()
    meter = Remembering(stop, records)
    worker = Worker(broker, contract or processor(), FixedClock(), meter, max_resets=max_resets)
    watchdog = threading.Timer(give_up_s or 60.0, stop.set)
    watchdog.start()
    try:
        worker.run(stop)
    finally:
        watchdog.cancel()
    return meter
