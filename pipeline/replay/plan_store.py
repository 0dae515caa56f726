"""The topic of plans: the newest record of each replay counts, unless it was cancelled."""

from __future__ import annotations

from typing import Final

from pipeline.errors import RefusedError, SettingsError
from pipeline.identity import whoami
from pipeline.kafka import Admin, Publisher
from pipeline.ports import TopicSpec
from pipeline.replay.plan import PlanRecord, ReplayPlan, State, read_plan
from pipeline.settings.model import Settings
from pipeline.topics import PLANS_TOPIC, require_permission
from pipeline.wiring import WallClock, admin, log_wait, range_reader

_CONFIG: Final = {"cleanup.policy": "compact"}
_CANCELLED: Final = ".cancelled"


class PlanStore:
    """The plans of one cluster. Every method raises TransportError with a sentence."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cluster: Admin = admin(settings)

    def create(self, replication: int) -> None:
        """Create the topic, unless there is one."""
        if PLANS_TOPIC not in self._cluster.topics([PLANS_TOPIC]):
            self._cluster.create([TopicSpec(PLANS_TOPIC, 1, replication, _CONFIG)])

    def all(self) -> dict[str, PlanRecord]:
        """Read all plans by id, oldest first; none when there is no topic."""
        facts = self._cluster.topics([PLANS_TOPIC])
        if PLANS_TOPIC not in facts:
            return {}
        require_permission(facts.values(), "READ")
        extents = self._cluster.extents(PLANS_TOPIC, stable=True)
        ranges = {(PLANS_TOPIC, number): ends for number, ends in extents.items()}
        plans: dict[str, PlanRecord] = {}
        for record in range_reader(self._settings).read(ranges):
            if record.value is None:  # deleted, under both of its keys
                plans.pop((record.key or b"").decode(errors="replace"), None)
            read = read_plan(record.value)
            if read is not None:
                known = plans.get(read.plan.id)
                # A process that has read the plan before may note another state afterwards.
                if known is None or known.state is not State.CANCELLED:
                    plans[read.plan.id] = read
        return dict(sorted(plans.items(), key=lambda item: item[1].plan.created_at))

    def one(self, id_: str) -> PlanRecord:
        """Read the plan of this id; SettingsError when there is none."""
        if not id_.strip():
            raise SettingsError(["the id of the replay is empty (track-pipeline replay list)"])
        plans = self.all()
        if id_ not in plans:
            known = f"; there are {', '.join(list(plans)[-3:])}" if plans else "; there are none"
            raise SettingsError([f"no replay has the id {id_} (track-pipeline replay list){known}"])
        return plans[id_]

    def note(self, plan: ReplayPlan, state: State) -> PlanRecord:
        """Write down that a replay is in this state now."""
        record = PlanRecord(plan, state, WallClock().now(), whoami())
        with Publisher(self._settings.kafka, log_wait) as publisher:
            # The topic is compacted: under a key of its own a cancellation is never replaced.
            suffix = _CANCELLED if state is State.CANCELLED else ""
            publisher.send(PLANS_TOPIC, record.encode(), f"{plan.id}{suffix}".encode())
        return record

    def forget(self, plan: ReplayPlan) -> None:
        """Delete what is written down about a replay."""
        with Publisher(self._settings.kafka, log_wait) as publisher:
            for key in (plan.id, plan.id + _CANCELLED):
                publisher.send(PLANS_TOPIC, None, key.encode())


def refuse_cancelled(record: PlanRecord) -> None:
    """Raise RefusedError when nobody can go on with the replay."""
    if record.state is State.CANCELLED:
        raise RefusedError(
            f"replay {record.plan.id} was cancelled by {record.by}: make a new one instead"
        )
