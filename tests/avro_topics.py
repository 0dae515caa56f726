"""Fake topics whose raw records may be framed, and whose outputs are Avro."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from pipeline.avro.encoder import event_writer
from pipeline.avro.framed_records import FramedReader
from pipeline.avro.framing import guid_header, prefix_of_fingerprint, prefix_of_id
from pipeline.avro.output_reader import OutputReader
from pipeline.avro.published import fingerprint, published
from pipeline.avro.schema_source import WriterSchema
from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.formats import Formats, OutputForm
from pipeline.core.process import Processor
from pipeline.core.record import Role
from pipeline.reconcile.audit.forms import Framing
from pipeline.reconcile.audit.rules import AuditRules, audit_rules
from tests.fake_topics import FakeTopics
from tests.unit.avro.schemas_of_records import EVENT, ID, KnownSchemas

OLD_ID: Final = 41
"""Id that the registry had given to the schema of enriched events before."""
GUID: Final = UUID("0a0a0a0a-1111-4222-8333-444444444444")
_IDS: Final = {Role.ENRICHED: 42, Role.IDENTIFY: 43}
_GUIDS: Final = {Role.ENRICHED: GUID, Role.IDENTIFY: UUID(int=43)}


class AvroTopics(FakeTopics):
    """Topics of a worker that writes Avro, and reads framed records where the settings say so."""

    def __init__(self, framing: Framing = "prefix", **settings: Any) -> None:
        super().__init__(**{"output": {"format": "avro"}, **settings})
        self.framing: Framing = framing
        enriched = published(Role.ENRICHED)
        self.schemas = KnownSchemas(
            {
                ID: EVENT,
                OLD_ID: WriterSchema("avro", enriched),
                **{number: WriterSchema("avro", published(role)) for role, number in _IDS.items()},
                **{guid: WriterSchema("avro", published(role)) for role, guid in _GUIDS.items()},
            }
        )

    def processor(self, identity: Identity | None = None, **settings: Any) -> Processor:
        """A processor that writes in the format of these settings."""
        rules = ContractSettings.model_validate(self.settings.model_dump() | settings)
        who = identity or Identity(app="worker", group="live")
        return Processor(rules, who, self.formats(rules))

    def formats(self, rules: ContractSettings) -> Formats:
        """How the worker reads and writes."""
        made = Formats()
        if rules.input.format != "json":
            reader = FramedReader(rules, self.schemas)
            made = Formats(reader, read_any=reader.read_any)
        if rules.output.format == "json":
            return made
        forms = self._form(Role.ENRICHED), self._form(Role.IDENTIFY)
        return made._replace(enriched=forms[0], identify=forms[1])

    def _form(self, role: Role) -> OutputForm:
        text = published(role)
        if self.framing == "header":
            return OutputForm(event_writer(text, b""), (guid_header(_GUIDS[role]),))
        if self.framing == "prefix":
            return OutputForm(event_writer(text, prefix_of_id(_IDS[role])))
        return OutputForm(event_writer(text, prefix_of_fingerprint(fingerprint(text))))

    def audit_rules(self) -> AuditRules:
        """The rules of the current settings, in their formats."""
        is_avro = self.settings.output.format == "avro"
        return audit_rules(
            self.settings,
            "auditor",
            self.formats(self.settings)._replace(enriched=None, identify=None),
            OutputReader(self.schemas),
            self.framing if is_avro else None,
        )
