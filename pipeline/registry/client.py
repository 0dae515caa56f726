"""A Schema Registry: finds, registers and compares schemas.

Guarantees: a request ends within `schema_registry.timeout_s` for each URL. What can't be answered
now is a RegistryUnavailableError, what only the operator can change a RefusedError. Schemas that
were found are kept for good, since an id never gets another schema.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Final, TypeVar
from uuid import UUID

from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    ServerConfig,
)

from pipeline.avro.schema_source import WriterSchema
from pipeline.errors import RefusedError, RegistryUnavailableError
from pipeline.registry.connection import connect, level_that_applies, open_session
from pipeline.registry.deadline import call_within
from pipeline.registry.errors import (
    CLIENT_ERRORS,
    is_not_found,
    translated,
    where,
)
from pipeline.registry.registered_schema import (
    MalformedAnswerError,
    RegisteredSchema,
    kind_of,
    registered,
    text_of,
    whole_number,
)
from pipeline.registry.unknown_schemas import UnknownSchemas
from pipeline.settings.groups import RegistrySettings

_Answer = TypeVar("_Answer")
_AVRO: Final = "AVRO"
_NO_LEVEL: Final = "NONE"
_NO_GUID: Final = UUID(int=0)
"""No schema has it."""
_MOST_REFERENCES: Final = 1000
"""References of one schema: a wrong answer may name any number of them, and each is a request."""


class RegistryClient:
    """Asks a Schema Registry. Also a `SchemaSource` for framed records."""

    def __init__(
        self,
        settings: RegistrySettings,
        client: SchemaRegistryClient | None = None,
        unknown: UnknownSchemas | None = None,
    ) -> None:
        self.settings: Final = settings
        self.where: Final = where(settings)
        self._client = client or connect(settings)
        self._unknown = unknown or UnknownSchemas()
        self._found: dict[int | UUID, WriterSchema] = {}
        self._has_guids = False
        urls = (settings.url or "").count(",") + 1
        self._limit_s = settings.timeout_s * urls + 1
        weakref.finalize(self, self._client.close)

    def by_id(self, schema_id: int) -> WriterSchema | None:
        """See `SchemaSource`."""
        return self._found.get(schema_id) or self._find(
            schema_id, f"schema id {schema_id}", lambda: self._client.get_schema(schema_id)
        )

    def by_guid(self, guid: UUID) -> WriterSchema | None:
        """See `SchemaSource`. A registry without GUIDs has no such schema."""
        found = self._found.get(guid)
        if found is not None or not self.knows_guids():
            return found
        return self._find(
            guid, f"schema GUID {guid}", lambda: self._client.get_schema_by_guid(str(guid))
        )

    def _find(self, key: int | UUID, name: str, ask: Callable[[], Schema]) -> WriterSchema | None:
        if key in self._unknown:
            return None
        what = f"read {name}"
        try:
            found = self._ask(what, lambda: self._writer_schema(ask()))
            pauses = self._unknown.pauses()
            while found is None and next(pauses, self) is None:
                found = self._ask(what, lambda: self._writer_schema(ask()))
        except RefusedError:
            # Anyone can put any id into a record: one that we may not read must not stop the rest.
            if not self._reads_others():
                raise
            found = None
        if found is None:
            self._unknown.add(key)
        else:
            self._found[key] = found
        return found

    def _reads_others(self) -> bool:
        """Whether a schema that was found before can still be read; raises if it can't."""
        known = next((key for key in self._found if isinstance(key, int)), None)
        if known is None:
            return False
        return (
            self._ask(f"read schema id {known}", lambda: self._client.get_schema(known)) is not None
        )

    def _writer_schema(self, schema: Schema) -> WriterSchema:
        references: dict[str, str] = {}
        self._resolve(schema.references or [], references, set())
        return WriterSchema(kind_of(schema), text_of(schema), tuple(references.items()))

    def _resolve(
        self, wanted: list[SchemaReference], found: dict[str, str], begun: set[str]
    ) -> None:
        """Find the texts of the references, each behind those that it refers to itself."""
        for reference in wanted:
            name, subject = reference.name, reference.subject
            if not (isinstance(name, str) and isinstance(subject, str)):
                raise MalformedAnswerError("its answer has a reference without a name or a subject")
            if name in begun:
                continue
            if len(begun) >= _MOST_REFERENCES:
                raise MalformedAnswerError(f"a schema has more than {_MOST_REFERENCES} references")
            begun.add(name)
            version = whole_number(reference.version, "version of a reference", 1)
            schema = self._client.get_version(subject, version, deleted=True).schema
            self._resolve(schema.references or [], found, begun)
            found[name] = text_of(schema)

    def look_up(self, subject: str, text: str) -> RegisteredSchema | None:
        """Find the version of a subject that has this Avro schema; None when none has."""
        return self._ask(
            f"look up a schema of subject {subject}",
            lambda: registered(self._client.lookup_schema(subject, Schema(text, _AVRO)), subject),
        )

    def versions(self, subject: str) -> list[int]:
        """Return the versions of a subject, oldest first; none when there is no such subject."""

        def ask() -> list[int]:
            return sorted(
                whole_number(number, "version", 1) for number in self._client.get_versions(subject)
            )

        return self._ask(f"read the versions of subject {subject}", ask) or []

    def version(self, subject: str, version: int) -> RegisteredSchema | None:
        """Find a version of a subject; None when there is none, or none any more."""
        return self._ask(
            f"read version {version} of subject {subject}",
            lambda: registered(self._client.get_version(subject, version), subject),
        )

    def is_compatible(self, subject: str, text: str) -> bool:
        """Whether the registry would take this Avro schema as a new version of the subject."""

        def ask() -> bool:
            answer: object = self._client.test_compatibility_all_versions(
                subject, Schema(text, _AVRO)
            )
            if isinstance(answer, bool):
                return answer
            raise MalformedAnswerError("its answer does not say whether a schema is compatible")

        # An unknown subject is compatible with everything.
        return self._ask(f"compare a schema with subject {subject}", ask) is not False

    def register(self, subject: str, text: str) -> RegisteredSchema:
        """Make this Avro schema the newest version of the subject, unless it is a version already.

        RefusedError when it is not compatible, not allowed or no schema to the registry.
        """
        schema, what = Schema(text, _AVRO), f"register a schema for subject {subject}"
        self._ask(what, lambda: self._client.register_schema(subject, schema))
        found = self.look_up(subject, text)
        if found is not None:
            return found
        # Another node of the registry may answer: whoever asked tries again.
        raise RegistryUnavailableError(
            f"{self.where} does not find the schema that it has just "
            f"registered for subject {subject}"
        )

    def compatibility(self, subject: str) -> str:
        """Return the compatibility level that applies to a subject, such as BACKWARD.

        A registry that does not know the subject yet has only its own level.
        """
        own = self._level(f"subject {subject}", lambda: level_that_applies(self._client, subject))
        return own or self._level("the registry", self._client.get_compatibility) or _NO_LEVEL

    def _level(self, of_what: str, ask: Callable[[], object]) -> str | None:
        def level() -> str:
            answer = ask()
            if isinstance(answer, str):
                return answer
            raise MalformedAnswerError("its answer has no compatibilityLevel")

        return self._ask(f"read the compatibility level of {of_what}", level)

    def set_compatibility(self, subject: str, level: str) -> None:
        """Set the compatibility level of a subject."""
        self._ask(
            f"set the compatibility level of subject {subject}",
            lambda: self._client.set_config(
                subject, ServerConfig(compatibility=ConfigCompatibilityLevel(level))
            ),
        )

    def knows_guids(self) -> bool:
        """Whether the registry finds schemas by GUID. One that does not has no such path."""
        if self._has_guids or _NO_GUID in self._unknown:
            return self._has_guids
        try:
            self._ask("look up a GUID", lambda: self._client.get_schema_by_guid(str(_NO_GUID)))
        except RefusedError:
            self.ping()  # raises if it is not for the path that it refuses
            self._unknown.add(_NO_GUID)
        else:
            self._has_guids = True
        return self._has_guids

    def ping(self) -> None:
        """Raise unless the registry answers."""
        self._ask("list schema types", self._client.get_schema_types)

    def _ask(self, what: str, call: Callable[[], _Answer]) -> _Answer | None:
        """Return the registry's answer; None when it does not have what was asked for."""
        try:
            return call_within(self._limit_s, call)
        except TimeoutError:
            open_session(self._client)  # else an answer without end would fill the memory
            raise RegistryUnavailableError(
                f"{self.where} does not finish its answer within {self._limit_s:g} s ({what})"
            ) from None
        except CLIENT_ERRORS as error:
            if is_not_found(error):
                return None
            self._client.clear_caches()  # type: ignore[no-untyped-call]  # the client keeps answers before they are checked
            raise translated(error, self.settings, what) from error
