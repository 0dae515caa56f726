"""The schemas of a registry for a command: one request without an answer must not end a long run.

A worker has its own way, which keeps its partitions meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from uuid import UUID

from pipeline.avro.schema_source import SchemaSource, WriterSchema
from pipeline.registry.retry import retry_until_answered


class PatientSchemas:
    """A `SchemaSource` that asks again, for up to `limit_s` seconds, and says that it waits."""

    def __init__(
        self, source: SchemaSource, where: str, limit_s: float, on_wait: Callable[[str], None]
    ) -> None:
        """`where` names the registry; `on_wait` is called with sentences about the wait."""
        self._source, self._where = source, where
        self._limit_s, self._on_wait = limit_s, on_wait

    def by_id(self, schema_id: int) -> WriterSchema | None:
        """See `SchemaSource`."""
        return self._answer(lambda: self._source.by_id(schema_id))

    def by_guid(self, guid: UUID) -> WriterSchema | None:
        """See `SchemaSource`."""
        return self._answer(lambda: self._source.by_guid(guid))

    def _answer(self, ask: Callable[[], WriterSchema | None]) -> WriterSchema | None:
        return retry_until_answered(ask, self._where, self._limit_s, self._on_wait, Event())
