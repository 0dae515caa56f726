"""What an audit processes raw records with, and what it reads existing outputs with."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.avro.output_reader import OutputReader
from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.formats import Formats, with_plain_json
from pipeline.core.process import Processor
from pipeline.core.record import Role
from pipeline.reconcile.audit.forms import ComparedForms, Framing, avro_form
from pipeline.reconcile.revenue_reader import RevenueReader


class AuditRules(NamedTuple):
    """The rules that were in force."""

    processor: Processor
    """Makes of a raw record what must exist."""
    forms: ComparedForms
    revenue_reader: RevenueReader


def audit_rules(
    settings: ContractSettings,
    group: str,
    reads: Formats,
    outputs: OutputReader,
    framing: Framing | None,
) -> AuditRules:
    """Make the rules of these settings; nothing is registered.

    `reads` says how raw records are read, also those in dead letters; `framing` is that of Avro
    outputs, None when they are JSON.
    """
    identity = Identity(app="audit", group=group)
    plain = Processor(settings, identity)
    reader = RevenueReader(plain, with_plain_json(reads).read)
    if framing is None:
        processor = plain if reads.read is None else Processor(settings, identity, reads)
        return AuditRules(processor, ComparedForms(outputs), reader)
    forms = {role: avro_form(role, framing) for role in (Role.ENRICHED, Role.IDENTIFY)}
    written = reads._replace(enriched=forms[Role.ENRICHED].form, identify=forms[Role.IDENTIFY].form)
    processor = Processor(settings, identity, written)
    return AuditRules(processor, ComparedForms(outputs, forms), reader)
