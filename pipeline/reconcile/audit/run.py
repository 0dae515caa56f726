"""Runs an audit on a cluster: check the topics, capture the offsets, process everything again.

Guarantees: an audit only reads. It joins no consumer group and commits nothing, so workers may run
meanwhile; whatever they write during the audit is beyond the captured offsets and is ignored.
"""

from __future__ import annotations

from pipeline.core.contract import Identity
from pipeline.core.formats import PLAIN_JSON, Formats
from pipeline.core.process import Processor
from pipeline.core.record import Role
from pipeline.errors import RefusedError
from pipeline.preflight import create_command
from pipeline.progress import OnProgress
from pipeline.reconcile.audit.capture import capture, notes
from pipeline.reconcile.audit.forms import AvroForm, ComparedForms, avro_form
from pipeline.reconcile.audit.recount import recount
from pipeline.reconcile.audit.request import AuditRequest
from pipeline.reconcile.audit.result import AuditResult
from pipeline.reconcile.capture import output_partitioner
from pipeline.reconcile.revenue import RevenueReader
from pipeline.settings.model import Settings
from pipeline.topics import missing, require_permission
from pipeline.wiring import (
    APP,
    WallClock,
    admin,
    formats,
    output_reader,
    range_reader,
    topic_names,
    with_plain_json,
)


def audit(
    settings: Settings,
    request: AuditRequest,
    on_progress: OnProgress | None = None,
) -> AuditResult:
    """Audit the topics that the settings name, up to the offsets that the group has committed.

    Raises SettingsError when the group has committed nothing, RefusedError when a topic is
    missing, DataLossError when the committed offsets do not fit the raw topic, TransportError when
    Kafka does not answer, and OSError when the temporary file can't be written.
    """
    cluster, names = admin(settings), topic_names(settings)
    cluster.wait_until_reachable()
    facts = cluster.topics(names)
    absent = missing(names, settings, facts)
    if absent:
        raise RefusedError(
            f"topics do not exist: {', '.join(absent)}; are the names right? "
            f"Otherwise create them: {create_command(settings)}"
        )
    outputs = names.outputs(settings)
    require_permission([facts[name] for name in (names.raw, *outputs.values())], "READ")
    ranges = capture(settings, cluster, names, facts, request.window)
    forms = _avro_forms(settings)
    reads = formats(settings, writes=False)
    result = recount(
        range_reader(settings),
        ranges,
        _processor(settings, reads, forms),
        output_partitioner(facts[names.raw].partitions, outputs, facts),
        request,
        accept_origin=settings.accept_origin_headers,
        now=WallClock().now(),
        on_progress=on_progress,
        revenue_reader=RevenueReader(
            _processor(settings, PLAIN_JSON, {}), with_plain_json(reads).read
        ),
        forms=ComparedForms(output_reader(settings), forms),
    )
    result.notes += notes(ranges)
    return result


def _avro_forms(settings: Settings) -> dict[Role, AvroForm]:
    """Forms of the outputs that are written as Avro. An audit registers nothing."""
    if settings.output.format == "json":
        return {}
    # Here: JSON needs nothing of Avro.
    from pipeline.registry.output_schemas import framing_of  # noqa: PLC0415

    framing = framing_of(settings)
    return {role: avro_form(role, framing) for role in (Role.ENRICHED, Role.IDENTIFY)}


def _processor(settings: Settings, formats: Formats, forms: dict[Role, AvroForm]) -> Processor:
    if forms:
        formats = formats._replace(
            enriched=forms[Role.ENRICHED].form, identify=forms[Role.IDENTIFY].form
        )
    return Processor(settings, Identity(app=APP, group=settings.group), formats)
