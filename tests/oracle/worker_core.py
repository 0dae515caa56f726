"""The core of contract version 1 in the place of today's, for workers of both in one group."""

from __future__ import annotations

from typing import Final

from pipeline.core.contract import ContractSettings
from pipeline.core.reasons import Reason, Stage
from pipeline.core.record import INVALID_HEADERS, ItemOutputs, Output, Record, Role
from pipeline.wiring import APP
from tests.oracle.contract_1 import record as version_1
from tests.oracle.contract_1.contract import ContractSettings as SettingsOfVersion1
from tests.oracle.contract_1.contract import Identity as IdentityOfVersion1
from tests.oracle.contract_1.process import Processor as CoreOfVersion1
from tests.oracle.contract_1.reasons import Reason as ReasonOfVersion1
from tests.oracle.contract_1.reasons import Stage as StageOfVersion1

_IDENTIFY: Final = "identify"


class ProcessorOfVersion1:
    """Has what a worker uses of `Processor`, under the default rules of version 1.

    Of the settings it takes those that make identify messages.
    """

    def __init__(self, settings: ContractSettings, *, group: str = "") -> None:
        sent = settings.model_dump(mode="json", include={_IDENTIFY})
        identity = IdentityOfVersion1(app=APP, group=group)
        self._core = CoreOfVersion1(SettingsOfVersion1.model_validate(sent), identity)
        self.contract = self._core.contract

    def text(self, record: Record) -> bytes | None:
        """See `Processor`: version 1 reads JSON alone."""
        return record.value

    def process(self, record: Record, now: int) -> tuple[Output, ...]:
        """See `Processor`."""
        outputs = self._core.process(_of_version_1(record), now)
        of_today = map(_of_today, outputs)
        is_batch = isinstance(outputs, version_1.ItemOutputs)
        return ItemOutputs(of_today) if is_batch else tuple(of_today)

    def crashed(self, record: Record, now: int) -> Output:
        """See `Processor`."""
        return _of_today(self._core.crashed(_of_version_1(record), now))

    def set_aside(
        self, record: Record, now: int, reason: Reason, stage: Stage, detail: str
    ) -> Output:
        """See `Processor`."""
        known = ReasonOfVersion1(reason.value), StageOfVersion1(stage.value)
        return _of_today(self._core.set_aside(_of_version_1(record), now, *known, detail))


def _of_version_1(record: Record) -> version_1.Record:
    unreadable = record.headers is INVALID_HEADERS
    headers = version_1.INVALID_HEADERS if unreadable else record.headers
    return version_1.Record(*record._replace(headers=headers))


def _of_today(output: version_1.Output) -> Output:
    return Output(Role(output.role.value), *output[1:])
