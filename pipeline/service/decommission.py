"""Takes a worker that was stopped for good out of its group (`leave_on_stop`).

Guarantees
    It is called after the worker's session was closed, so nothing is lost whatever happens here. A
    failure is logged in one sentence and changes nothing: the partitions then go to the other
    workers when the member's session ends, as without it. A worker that leaves and comes back all
    the same joins again, at the cost of two rebalances. All of it ends within the grace period.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from pipeline.core.coordinates import format_ranges
from pipeline.errors import BreakerOpenError, TransportError
from pipeline.kafka import MemberRemoval
from pipeline.service.kubernetes import PodFate, StatefulSetPod
from pipeline.settings.model import Settings
from pipeline.wiring import group_consumer_config

_API_SHARE: Final = 1 / 8
_STEP_SHARE: Final = 1 / 4
"""Shares of the grace period: for one question to the API, and for each of the three steps of
leaving. Together 7/8, if all of them take as long as they may; usually they take milliseconds."""
_ASKED: Final = PodFate(returns=False, cause="leave_on_stop is always")


class DecommissionLog(Protocol):
    """A log that says what became of the membership."""

    def info(self, event: str, **fields: object) -> object:
        """Log what was to be expected."""

    def warning(self, event: str, **fields: object) -> object:
        """Log a failure."""


def this_pod() -> StatefulSetPod:
    """Return the pod that this process runs in, whose name is its host name."""
    return StatefulSetPod(socket.gethostname(), os.environ)


def check_leave_on_stop(
    settings: Settings, warn: Callable[[str], None], pod: Callable[[], StatefulSetPod] = this_pod
) -> None:
    """Ask Kubernetes once at the start, so that a missing permission is known before a scale-in.

    SettingsError when `leave_on_stop` can't work here at all.
    """
    if settings.instance_id is None or settings.leave_on_stop != "scaled-in":
        return
    try:
        pod().fate(settings.shutdown_grace_s * _API_SHARE)
    except TransportError as error:
        warn(f"after a scale-in this worker could not leave its group: {error}")


def leave_on_stop(
    settings: Settings, log: DecommissionLog, pod: Callable[[], StatefulSetPod] = this_pod
) -> None:
    """Leave the group if the settings say so, and log it. Never raises a TransportError."""
    if settings.instance_id is None or settings.leave_on_stop == "never":
        return  # members without an instance id have left already
    about = {"instance": settings.instance_id, "group": settings.group}
    try:
        fate = _ASKED
        if settings.leave_on_stop == "scaled-in":
            fate = pod().fate(settings.shutdown_grace_s * _API_SHARE)
        if fate.returns:
            log.info("membership_kept", **about, cause=fate.cause)
            return
        member = MemberRemoval(
            settings.kafka,
            settings.group,
            settings.topics.raw,
            settings.shutdown_grace_s * _STEP_SHARE,
        ).remove(group_consumer_config(settings))
    except TransportError as error:
        log.warning("membership_not_ended", **about, cause=str(error))
        return
    partitions = format_ranges(member.partitions) if member is not None else ""
    log.info("left_group", **about, partitions=partitions, cause=fate.cause)


@contextmanager
def leaving_on_stop(settings: Settings, log: DecommissionLog) -> Iterator[None]:
    """Leave the group after the block, in which the worker's sessions are closed.

    A worker that was stopped while its circuit breaker was open leaves, too. One that failed does
    not: it is restarted, or another process has its instance id.
    """
    try:
        yield
    except BreakerOpenError:
        leave_on_stop(settings, log)
        raise
    leave_on_stop(settings, log)
