"""Workers of both contract versions, writing JSON and Avro, in one group while events flow."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import count, product
from typing import Final

import pytest

from pipeline.avro.output_json import output_json
from pipeline.core.contract import Identity
from pipeline.core.process import Processor
from pipeline.core.record import Record, Role
from pipeline.errors import ExitCode
from pipeline.reading import NO_ITEM, DeadLetterMessage, read_output
from pipeline.reconcile.event_filters import item_of
from pipeline.settings.model import Settings, load_settings
from tests.brokers import RECENT, Sent, Stored, produce, read_topic
from tests.hostile import batch, with_field, with_property, with_revenue
from tests.kafka import worker_process
from tests.kafka.worker_process import Pipeline, terminate
from tests.oracle.worker_core import ProcessorOfVersion1
from tests.unit.schemas.published import faults

pytestmark = pytest.mark.kafka

VERSION_1: Final = "tests.kafka.contract_1_worker"
JSON: Final[dict[str, str]] = {}
AVRO: Final = {"output__format": "avro"}
SETTINGS: Final = {"stats_interval_s": "1", "identify": '[{"event": "Signed Up"}]'}
NAMES: Final = ("w1", "w2", "w3")
CHUNK: Final = 50
"""Number of raw records that are sent at once."""
PAUSE_S: Final = 0.1

_SIGN_UP: Final = b'{"event":"Signed Up","userId":"u2","context":{"traits":{"email":"a@b.c"}}}'
_GOOD: Final = (
    with_revenue(b'"19.99"'),
    with_revenue(b"1E+2"),
    with_property(b"6.02e23"),
    with_property(b'[1,{"a":1.50}]'),
    with_field(b"custom", b'{"kept":[1,2]}'),
    with_field(b"timestamp", b'"2026-01-02T03:04:05Z"'),
    _SIGN_UP,
    batch(_SIGN_UP, with_revenue(b"5"), rest=b',"sentAt":"2026-01-02T03:04:05Z"'),
)
_OF_BOTH: Final = (
    with_property(rb'"\ud83d"'),
    with_field(b"properties", b'{"value":"high"}'),
    with_field(b"type", b'"Track"'),
    batch(with_revenue(b"7"), b"3"),
)
"""Rejected by version 1, enriched by version 2."""
_BAD: Final = (b"{", with_revenue(b'"many"'), b'{"event":"E"}', None)
VALUES: Final = (*_GOOD * 3, *_OF_BOTH, *_BAD)


_SINGLE_OBJECT: Final = b"\xc3\x01"
_GENERATED_ID: Final = re.compile(rb'"messageId":"[^"]*"')

Program = Callable[[], AbstractContextManager[None]]
AnyProcessor = Processor | ProcessorOfVersion1
_Output = tuple[Role, int, bytes | None]
"""Role, item and value of an output."""


@pytest.fixture
def version_1(monkeypatch: pytest.MonkeyPatch) -> Program:
    """Makes the workers that are started in a block those of version 1."""

    @contextmanager
    def program() -> Iterator[None]:
        with monkeypatch.context() as patch:
            line = [sys.executable, "-m", VERSION_1]
            patch.setattr(worker_process, "command", lambda *words: [*line, *words])
            yield

    return program


class RollingGroup:
    """Workers of one group, which are replaced one by one."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._before: dict[str, int] = {}
        """Lines of statistics of the workers that had a name before."""

    def start(self, settings: dict[str, str], *names: str) -> None:
        """Start workers, and wait until each has committed records."""
        for name in names:
            self._workers[name] = self._pipeline.start(name, **SETTINGS, **settings)
            self._before[name] = len(self._pipeline.lines("statistics", name))
        for name in names:
            self._pipeline.wait_for(partial(self._has_committed, name), f"{name} working")

    def replace(self, name: str, settings: dict[str, str]) -> None:
        """End a worker, and start another one under its name."""
        assert terminate(self._workers[name]) == 0
        self.start(settings, name)

    def _has_committed(self, name: str) -> bool:
        assert self._workers[name].poll() is None, self._pipeline.text(name)
        lines = self._pipeline.lines("statistics", name)[self._before[name] :]
        return any(line["total_consumed"] > 0 for line in lines)

    def stop(self) -> None:
        """End all of them."""
        for worker in self._workers.values():
            assert terminate(worker) == 0


@contextmanager
def _flowing(pipeline: Pipeline) -> Iterator[None]:
    """Send events until the end of the block."""
    over = threading.Event()
    numbers = count()

    def send() -> None:
        while not over.wait(PAUSE_S):
            chunk = [next(numbers) for _ in range(CHUNK)]
            produce(pipeline.servers, pipeline.names.raw, [_sent(number) for number in chunk])

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def _sent(number: int) -> Sent:
    return Sent(VALUES[number // 3 % len(VALUES)], b"u1", (), RECENT, number % 3)


def test_events_are_valid_and_there_once_while_workers_are_replaced(
    pipeline: Pipeline, version_1: Program
) -> None:
    """Two versions, two formats and a way back: readers, breaker and audit see nothing wrong."""
    group = RollingGroup(pipeline)
    with _flowing(pipeline):
        with version_1():
            group.start(JSON, *NAMES)
        group.replace("w1", JSON)
        group.replace("w2", JSON)
        group.replace("w3", AVRO)
        group.replace("w1", AVRO)
        with version_1():
            group.replace("w2", JSON)
    pipeline.wait_until_done()
    group.stop()
    for name in NAMES:
        assert not pipeline.lines("breaker_open", name)
        assert not pipeline.lines("recovering", name)
    _check_outputs(pipeline)
    for settings in (JSON, AVRO):
        ran = pipeline.run("audit", "--revenue", env=_variables(settings))
        assert ran.code == ExitCode.OK, ran.out.decode() + ran.err


def _check_outputs(pipeline: Pipeline) -> None:
    """Each record has what the contract named in its outputs makes of it, and nothing else."""
    found, contracts = _Outputs(pipeline), _contracts()
    seen: set[tuple[str, bytes | None]] = set()
    for each in read_topic(pipeline.servers, pipeline.names.raw):
        record = Record(*each[:4], pipeline.names.raw, each.partition, each.offset)
        source = f"{record.topic}/{record.partition}/{record.offset}"
        (contract,) = found.contracts[source]
        assert sorted(found.outputs.pop(source), key=str) == _made(contracts[contract], record)
        seen.add((contract, each.value))
    assert not found.outputs
    assert seen == set(product(contracts, VALUES))


class _Outputs:
    """All outputs by the record that they were made of, as a consumer reads them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.contracts: defaultdict[str, set[str]] = defaultdict(set)
        self.outputs: defaultdict[str, list[_Output]] = defaultdict(list)
        self._avro = _settings(AVRO).contract()
        self._valid: set[tuple[str, bytes]] = set()
        for role in (Role.ENRICHED, Role.IDENTIFY, Role.DEAD_LETTER):
            for each in read_topic(pipeline.servers, getattr(pipeline.names, role)):
                self._add(role, each)

    def _add(self, role: Role, stored: Stored) -> None:
        value, headers = stored.value, stored.headers
        message = read_output(value, headers)
        contract = f"{message.provenance.contract};{message.provenance.contract_hash}"
        if not isinstance(message, DeadLetterMessage):
            assert value is not None
            assert value.startswith(_SINGLE_OBJECT) is (contract == self._avro)
            value = output_json(value, headers)
            self._check_schema(role, value, str(message.provenance.contract))
        source = message.provenance.source
        assert source is not None
        place = source._replace(item=NO_ITEM).text()
        self.contracts[place].add(contract)
        self.outputs[place].append((role, source.item, value))

    def _check_schema(self, role: Role, value: bytes, version: str) -> None:
        """Check it against the JSON Schema of its version, unless one like it was checked."""
        kind = version, _GENERATED_ID.sub(b"", value)
        if kind not in self._valid:
            self._valid.add(kind)
            assert faults(role, value, version) == []


def _contracts() -> dict[str, AnyProcessor]:
    """Today's rules make the same of an event in each format."""
    version_1 = ProcessorOfVersion1(_settings(JSON))
    today = Processor(_settings(JSON), Identity(app="test"))
    return {
        version_1.contract: version_1,
        **{_settings(form).contract(): today for form in (JSON, AVRO)},
    }


def _made(processor: AnyProcessor, record: Record) -> list[_Output]:
    made = [(output.role, item_of(output), output.value) for output in processor.process(record, 1)]
    return sorted(made, key=str)


def _variables(settings: dict[str, str]) -> dict[str, str]:
    return {f"TRACK_{name.upper()}": value for name, value in {**SETTINGS, **settings}.items()}


def _settings(settings: dict[str, str]) -> Settings:
    return load_settings(
        None, {}, {**_variables(settings), "TRACK_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092"}
    )
