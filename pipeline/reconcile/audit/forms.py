"""Outputs in the form in which an audit compares them.

JSON is compared as it is. Of Avro only what follows the framing is compared, with the schema that
it names: the registry may give a schema another id, and a topic may get another framing, without
any event being another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from pipeline.avro.framing import prefix_of_fingerprint, prefix_of_id
from pipeline.avro.output_reader import OutputReader
from pipeline.core.formats import OutputForm
from pipeline.core.origin import without_schema_id
from pipeline.core.record import Output, Record, Role
from pipeline.errors import UnreadableOutputError
from pipeline.reconcile.audit.difference import describe_difference
from pipeline.reconcile.outputs import OTHER_RULES, output_digest

if TYPE_CHECKING:
    from pipeline.avro.event_json import RecordSchema

Framing = Literal["prefix", "header", "single-object"]


class AvroForm(NamedTuple):
    """The Avro form of one kind of output."""

    form: OutputForm
    """Writes it as the worker does, but for the schema's id, which a registry would have to tell:
    only its size counts."""
    prefix_size: int
    schema: RecordSchema
    fingerprint: bytes


def avro_form(role: Role, framing: Framing) -> AvroForm:
    """Make the Avro form of a kind of output; no registry is asked."""
    # Here: fastavro is not imported for JSON.
    from pipeline.avro.encoder import event_writer  # noqa: PLC0415
    from pipeline.avro.published import fingerprint, parsed, published  # noqa: PLC0415

    text = published(role)
    schema = cast("RecordSchema", parsed(text))
    identity = fingerprint(text)
    prefix = {
        "prefix": prefix_of_id(0),
        "header": b"",
        "single-object": prefix_of_fingerprint(identity),
    }[framing]
    return AvroForm(OutputForm(event_writer(text, prefix)), len(prefix), schema, identity)


class ComparedForms:
    """Digests and reads outputs, those that must exist and those that do."""

    def __init__(
        self, outputs: OutputReader | None = None, avro: Mapping[Role, AvroForm] | None = None
    ) -> None:
        """`avro` has the kinds of output that are written as Avro; all others are JSON."""
        self._outputs = outputs or OutputReader()
        self._avro = avro or {}

    def digest(self, output: Output) -> bytes:
        """Digest an output that must exist."""
        role, value, key, headers, *_ = output
        form = self._avro.get(role)
        if form is not None:
            value = _compared(form, (value or b"")[form.prefix_size :])
        return output_digest(role, value, key, headers)

    def digest_of(self, record: Record, role: Role, marks: int) -> bytes:
        """Digest an output that exists; equal to that of the one that must, if it is the same."""
        form = self._avro.get(role)
        value, key, headers, *_ = record
        # Of outputs under other rules only the presence is checked.
        if form is not None and not marks & OTHER_RULES:
            try:
                found = self._outputs.avro(value, headers)
            except UnreadableOutputError:
                found = None
            if found is not None and found.fingerprint == form.fingerprint:
                value, headers = _compared(form, found.payload), without_schema_id(headers)
        return output_digest(role, value, key, headers)

    def json(self, output: Output) -> bytes | None:
        """Return the JSON of an output that must exist."""
        form = self._avro.get(output.role)
        if form is None or output.value is None:
            return output.value
        from pipeline.avro.event_json import enriched_json  # noqa: PLC0415  as above

        return enriched_json(output.value[form.prefix_size :], form.schema)

    def json_of(self, record: Record) -> bytes | None:
        """Return the JSON of an enriched event that exists; raises UnreadableOutputError."""
        return self._outputs.as_json(record).value

    def describe(self, output: Output, found: Record) -> str:
        """Name what differs between the output that must exist and the one that does."""
        if output.role not in self._avro:
            return describe_difference(output, found)
        try:
            there = self._outputs.as_json(found)
        except UnreadableOutputError as error:
            return f"can't be read: {error}"
        if there is found:
            return "is JSON, but the settings give Avro"
        expected = output._replace(value=self.json(output))
        if expected.value == there.value and expected.key == there.key:
            return "differs in a typed column of the value (its JSON form is the same)"
        return describe_difference(expected, there)


def _compared(form: AvroForm, payload: bytes) -> bytes:
    """Avro data with the identity of its schema, so that data without a framing is not the same."""
    return form.fingerprint + payload
