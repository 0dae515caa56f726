"""Plans of replays, for tests of what follows from them."""

from __future__ import annotations

from typing import Any

from pipeline.replay.plan import Part, ReplayPlan


def plan_of(*parts: Part, **fields: Any) -> ReplayPlan:
    """A plan of these parts of the topic `raw`."""
    usual: dict[str, Any] = {
        "id": "r1",
        "raw_topic": "raw",
        "raw_topic_id": "id",
        "raw_partitions": 3,
        "outputs": {},
        "contract": "1;a",
        "settings": "b",
        "version": "1",
        "created_at": 1,
        "created_by": "me@here",
        "transactional_id_prefix": "track",
    }
    return ReplayPlan(parts=parts, **(usual | fields))
