"""Runs an audit on a cluster: check the topics, capture the offsets, process everything again.

Guarantees: an audit only reads. It joins no consumer group and commits nothing, so workers may run
meanwhile; whatever they write during the audit is beyond the captured offsets and is ignored.
"""

from __future__ import annotations

from pipeline.errors import RefusedError
from pipeline.preflight import create_command
from pipeline.progress import OnProgress
from pipeline.reconcile.audit.capture import capture, notes
from pipeline.reconcile.audit.recount import recount
from pipeline.reconcile.audit.request import AuditRequest
from pipeline.reconcile.audit.result import AuditResult
from pipeline.reconcile.audit.rules import AuditRules, audit_rules
from pipeline.reconcile.capture import output_partitioner
from pipeline.settings.model import Settings
from pipeline.topics import missing, require_permission
from pipeline.wiring import (
    WallClock,
    admin,
    formats,
    output_reader,
    range_reader,
    topic_names,
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
    result = recount(
        range_reader(settings),
        ranges,
        _rules(settings),
        output_partitioner(facts[names.raw].partitions, outputs, facts),
        request,
        accept_origin=settings.accept_origin_headers,
        now=WallClock().now(),
        on_progress=on_progress,
    )
    result.notes += notes(ranges)
    return result


def _rules(settings: Settings) -> AuditRules:
    reads, outputs = formats(settings, writes=False), output_reader(settings)
    if settings.output.format == "json":
        return audit_rules(settings, settings.group, reads, outputs, None)
    # Here: JSON needs nothing of Avro.
    from pipeline.registry.output_schemas import framing_of  # noqa: PLC0415

    return audit_rules(settings, settings.group, reads, outputs, framing_of(settings))
