"""Fake topics for audit, compare and replay: the outputs of a worker, and ways to corrupt them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pipeline.avro.output_reader import OutputReader
from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.formats import PLAIN_JSON
from pipeline.core.process import Processor
from pipeline.core.record import Headers, Output, Record, Role
from pipeline.ports import Ranges
from pipeline.progress import OnProgress
from pipeline.reconcile.audit import AuditRequest, AuditResult
from pipeline.reconcile.audit.recount import recount
from pipeline.reconcile.audit.rules import AuditRules, audit_rules
from pipeline.reconcile.ranges import AuditRanges, OutputPartition, RawPartition
from pipeline.topics import TopicNames

NAMES: Final = TopicNames("raw", "enriched", "dead-letters", "identify", "other")
TIME: Final = 1_760_000_000_000
"""Kafka timestamp of the first raw record, epoch milliseconds; each next one is 1 s later."""
LATER: Final = TIME + 3_600_000
"""Time at which the outputs are written."""
_TOPICS: Final = {
    Role.ENRICHED: NAMES.enriched,
    Role.DEAD_LETTER: NAMES.dead_letter,
    Role.IDENTIFY: NAMES.identify,
    Role.OTHER: NAMES.other,
}


def event(number: int = 0, user: str = "u", **fields: Any) -> bytes:
    """A good event."""
    plain = {"event": "Order Completed", "userId": user, "messageId": f"m-{number}", **fields}
    return json.dumps(plain).encode()


class FakeTopics:
    """The topics; outputs are appended as a worker of the current settings writes them."""

    def __init__(self, partitions: int = 2, **settings: Any) -> None:
        self.settings = ContractSettings.model_validate(settings)
        self.partitions = partitions
        self.topics: dict[tuple[str, int], list[Record]] = {}
        self.begins: dict[tuple[str, int], int] = {}
        self.committed: dict[int, int] = {}
        self._next: dict[tuple[str, int], int] = {}
        self._sent = 0

    def send(
        self,
        value: bytes | None,
        key: bytes | None = b"k",
        partition: int = 0,
        headers: Headers = (),
        timestamp: int | None = -1,
    ) -> Record:
        """Append a raw record; without a timestamp it is a second later than the one before."""
        time = TIME + 1000 * self._sent if timestamp == -1 else timestamp
        self._sent += 1
        return self._append(Record(value, key, headers, time, NAMES.raw, partition, 0))

    def process(self, record: Record, identity: Identity | None = None, **settings: Any) -> None:
        """Write the outputs of a raw record and commit it; `settings` override the rules."""
        for output in self.outputs(record, identity, **settings):
            if output.role is not Role.DROPPED:
                self.write(output)
        self.committed[record.partition] = record.offset + 1

    def outputs(
        self, record: Record, identity: Identity | None = None, **settings: Any
    ) -> Sequence[Output]:
        """Outputs that a worker would write for a raw record."""
        return self.processor(identity, **settings).process(record, LATER)

    def processor(self, identity: Identity | None = None, **settings: Any) -> Processor:
        """A processor with the rules of the current settings, overridden by `settings`."""
        rules = self.settings.model_dump() | settings
        who = identity or Identity(app="worker", group="live")
        return Processor(ContractSettings.model_validate(rules), who)

    def write(self, output: Output) -> Record:
        """Append any output to its topic."""
        _, value, key, headers, timestamp, partition, _, _ = output
        topic = _TOPICS[output.role]
        return self._append(Record(value, key, headers, timestamp, topic, partition, 0))

    def clean(self, *values: bytes | None, partition: int = 0) -> list[Record]:
        """Append raw records with these values, and process them."""
        records = [self.send(value, partition=partition) for value in values]
        for record in records:
            self.process(record)
        return records

    def of(self, role: Role, partition: int = 0) -> list[Record]:
        """The list of records of an output partition, which a test may corrupt."""
        return self.topics.setdefault((_TOPICS[role], partition), [])

    def of_raw(self, offset: int, partition: int = 0) -> Record:
        """The raw record at an offset."""
        return next(r for r in self.topics[NAMES.raw, partition] if r.offset == offset)

    def gap(self, topic: str, partition: int = 0) -> None:
        """Leave an offset without a record, as a commit marker does."""
        place = topic, partition
        self._next[place] = self._next.get(place, 0) + 1

    def read(self, ranges: Ranges) -> Iterator[Record]:
        """See `ports.Reader`."""
        for place, (first, end) in ranges.items():
            yield from (r for r in self.topics.get(place, ()) if first <= r.offset < end)

    def audit(
        self,
        request: AuditRequest | None = None,
        *,
        output_partitions: int | None = None,
        on_progress: OnProgress | None = None,
        **ranges: Any,
    ) -> AuditResult:
        """Audit the topics as they are now."""
        request = request or AuditRequest()
        width = output_partitions or self.partitions
        roles = NAMES.outputs(self.settings)
        outputs = {}
        for topic in roles.values():
            for number in range(width):
                begin = self.begins.get((topic, number), 0)
                outputs[topic, number] = OutputPartition(begin, begin, self._end(topic, number))
        return recount(
            self,
            AuditRanges(
                group="live",
                raw_topic=NAMES.raw,
                topics=roles,
                raw=self._raw(),
                outputs=outputs,
                window=request.window,
                **ranges,
            ),
            self.audit_rules(),
            lambda _, partition, __: partition % width,
            request,
            accept_origin=self.settings.accept_origin_headers,
            now=LATER + 5,
            on_progress=on_progress,
        )

    def audit_rules(self) -> AuditRules:
        """The rules of the current settings, for plain JSON."""
        return audit_rules(self.settings, "auditor", PLAIN_JSON, OutputReader(), None)

    def _raw(self) -> Mapping[int, RawPartition]:
        raw = {}
        for number in range(self.partitions):
            begin = self.begins.get((NAMES.raw, number), 0)
            end = max(begin, self.committed.get(number, 0))
            raw[number] = RawPartition(begin, begin, end, self._end(NAMES.raw, number))
        return raw

    def _end(self, topic: str, partition: int) -> int:
        return self._next.get((topic, partition), 0)

    def _append(self, record: Record) -> Record:
        """Append a record with the next offset of its partition."""
        place = record.topic, record.partition
        offset = self._next.get(place, 0)
        self._next[place] = offset + 1
        appended = record._replace(offset=offset)
        self.topics.setdefault(place, []).append(appended)
        return appended
