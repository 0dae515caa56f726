"""What holds for the outputs of every record, whatever its bytes are."""

from __future__ import annotations

import json

from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.reasons import Reason, Stage
from pipeline.core.reasons import WarningCode as Noticed
from pipeline.core.record import Output, Record, Role
from tests.support import NOW, dead_letter_of, is_ours, read
from tests.unit.core.carried import check_written

REASONS = {reason.value for reason in Reason}
STAGES = {stage.value for stage in Stage}
WARNINGS = {warning.value for warning in Noticed}
WHILE_ENRICHED = {TrackHeader.SOURCE, TrackHeader.CONTRACT}
"""Headers of ours on an enriched event; a replay adds `track.replay`."""
DEAD_LETTER_HEADERS = {
    DlqHeader.VERSION,
    DlqHeader.REASON,
    DlqHeader.REASONS,
    DlqHeader.STAGE,
    DlqHeader.SOURCE,
    DlqHeader.SOURCE_TIMESTAMP,
    DlqHeader.FAILED_AT,
    DlqHeader.FIRST_FAILED_AT,
    DlqHeader.ATTEMPT,
    DlqHeader.REPLAY,
    DlqHeader.GROUP,
    DlqHeader.APP,
    DlqHeader.EVENT,
    DlqHeader.MESSAGE_ID,
    DlqHeader.LIBRARY,
    TrackHeader.CONTRACT,
}


def check_outputs(record: Record, outputs: tuple[Output, ...]) -> None:
    """Check the form of every output, whatever it is."""
    assert outputs
    for output in outputs:
        assert output.timestamp > 0
        assert output.partition == record.partition
        if output.role is Role.DROPPED:
            continue
        assert output.key == record.key
        theirs = [header for header in record.headers if not is_ours(header[0])]
        assert [header for header in output.headers if not is_ours(header[0])] == theirs
        if output.role is Role.DEAD_LETTER:
            check_dead_letter(output)
        else:
            check_enriched(output)


def check_enriched(output: Output) -> None:
    """Headers of ours exactly once; well-formed warnings of known codes, 32 at most; one line."""
    assert output.reason == ""
    check_written(output)
    assert sorted(name for name, _ in output.headers if is_ours(name)) == sorted(WHILE_ENRICHED)
    event = read(output.value)
    if output.role is Role.IDENTIFY:
        assert event["type"] == "identify"
        return
    assert event["type"] == "track"
    assert isinstance(event["properties"], dict)
    assert isinstance(event["context"], dict)
    assert "userId" in event or "anonymousId" in event
    warnings = event["enrichment"].get("warnings", [])
    assert len(warnings) <= 32
    for warning in warnings:
        code, _, pointer = warning.partition(" ")
        assert code in WARNINGS
        assert pointer == "" or pointer.startswith("/")


def check_dead_letter(output: Output) -> None:
    """Every header once and of the right form; all of them small."""
    dead_letter = dead_letter_of(output)
    headers = dead_letter.headers
    assert set(headers) <= DEAD_LETTER_HEADERS
    assert output.timestamp == NOW
    ours = [(n, v or b"") for n, v in output.headers if n.startswith("dlq.")]
    assert sum(len(name.encode()) + len(value) for name, value in ours) < 8_192
    assert len(headers[DlqHeader.REASONS].encode()) < 4_096
    assert 1 <= len(dead_letter.reasons) <= 16
    assert headers[DlqHeader.REASON] == dead_letter.reasons[0]["code"] == output.reason
    assert headers[DlqHeader.STAGE] in STAGES
    for reason in dead_letter.reasons:
        assert list(reason) == ["code", "pointer", "detail"]
        assert reason["code"] in REASONS
        assert reason["pointer"] == "" or reason["pointer"].startswith("/")
        assert len(reason["detail"]) <= 200
        assert not any(
            character < " " or "\x7f" <= character <= "\x9f" for character in reason["detail"]
        )
    for name in (DlqHeader.EVENT, DlqHeader.MESSAGE_ID, DlqHeader.LIBRARY):
        assert len(headers.get(name, "")) <= 200
    assert json.dumps(headers)
