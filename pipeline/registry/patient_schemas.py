"""The schemas of a registry for a command: one request without an answer must not end a long run.

A worker has its own way, which keeps its partitions meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TypeVar
from uuid import UUID

from pipeline.avro.schema_source import SchemaSource, WriterSchema
from pipeline.registry.retry import retry_until_answered

_Answer = TypeVar("_Answer")


class PatientSchemas:
    """A `SchemaSource` that asks again, for up to `limit_s` seconds, and says that it waits.

    After a wait without an answer it asks once each time, until it gets one: who goes on without
    the schemas must not wait for each of them.
    """

    def __init__(
        self, source: SchemaSource, where: str, limit_s: float, on_wait: Callable[[str], None]
    ) -> None:
        """`where` names the registry; `on_wait` is called with sentences about the wait."""
        self._source, self._where = source, where
        self._limit_s, self._on_wait = limit_s, on_wait
        self._has_given_up = False

    def by_id(self, schema_id: int) -> WriterSchema | None:
        """See `SchemaSource`."""
        return self._answer(lambda: self._source.by_id(schema_id))

    def by_guid(self, guid: UUID) -> WriterSchema | None:
        """See `SchemaSource`."""
        return self._answer(lambda: self._source.by_guid(guid))

    def _answer(self, ask: Callable[[], _Answer | None]) -> _Answer | None:
        if self._has_given_up:
            answer = ask()
        else:
            self._has_given_up = True  # unless an answer comes
            answer = retry_until_answered(ask, self._where, self._limit_s, self._on_wait, Event())
        self._has_given_up = False
        return answer
