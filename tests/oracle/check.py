"""What must hold for each record: outputs of the right form, and those of contract version 1."""

from __future__ import annotations

import traceback

from tests.oracle.compare import compare
from tests.oracle.cores import today
from tests.oracle.corpus import Case
from tests.unit.core.carried import check_carried, is_carried
from tests.unit.core.invariants import check_outputs


def faults(case: Case) -> list[str]:
    """What is wrong with the outputs of a record, a line each; empty when all is well."""
    try:
        return [*_malformed(case), *compare(case)]
    except Exception:  # noqa: BLE001  whatever is raised is what is looked for
        return [traceback.format_exc(limit=-6)]


def _malformed(case: Case) -> list[str]:
    outputs = today(case)
    try:
        check_outputs(case.record, outputs)
        if is_carried(case.record, outputs[0]):
            check_carried(case.record, outputs[0])
    except AssertionError:
        return [traceback.format_exc(limit=-3)]
    return [] if today(case) == outputs else ["a second run gives other outputs"]
