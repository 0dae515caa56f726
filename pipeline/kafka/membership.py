"""Whether this process is still the group member that has its group.instance.id.

A new session takes the transactional id and the instance id, whoever has them: that is how a
process that starts replaces one that hangs. A process that continues after a failure must not do so
blindly. It may have been paused for so long that another was started in its place, and would fence
the newer one. The failure itself does not tell: a broken client, or a transaction that the broker
has ended, looks the same in both cases. The group does: if the member with our instance id has a
member id that was not given to us, it is another process.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.errors import FencedError, OutcomeUnknownError
from pipeline.kafka import error_codes
from pipeline.kafka.clients import make_admin, plain_config
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal
from pipeline.kafka.group_state import GIVEN_UP_S
from pipeline.kafka.session_config import SessionConfig

_CONFIRMED_S: Final = 5.0
"""How long a confirmation is valid, by the wall clock, which goes on while this process is paused.
Another process may join at any time."""
_ANSWER_S: Final = 5.0
"""Time limit of the question, during which a stop request is not noticed. It is asked again."""
_KEPT: Final = 3
"""Number of unanswered clients that are kept. A client is released after three more questions, when
its own has long timed out."""
_NO_MEMBERS: Final = frozenset(
    {
        KafkaError.GROUP_ID_NOT_FOUND,
        error_codes.UNSUPPORTED_FEATURE,
    }
)


class Membership:
    """The member ids of one process, over all of its sessions.

    Without an instance id, members have no names, and the group is not asked.
    """

    def __init__(self, config: SessionConfig) -> None:
        self._kafka = config.shared
        self._group = config.group
        self._instance = config.consumer.get("group.instance.id")
        self._timeout_s = config.startup_timeout_s
        self._ours: set[str] = set()
        self._unanswered: deque[AdminClient] = deque(maxlen=_KEPT)
        """Clients whose answers may still arrive."""
        self._confirmed_at: float | None = None

    def note(self, consumer: Consumer) -> str:
        """Remember the consumer's member id as ours, and return it; empty without a membership."""
        member = consumer.memberid() or ""
        if member:
            self._ours.add(member)
        return member

    def confirm(self) -> None:
        """Note that the transactional id was proven to be ours, which answers the next question.

        A member with our name may be the older process, whose client has rejoined by itself.
        """
        self._confirmed_at = time.time()

    def check(self) -> None:
        """Raise FencedError when another process has joined with our instance id.

        Raises OutcomeUnknownError when the group does not answer. A process that has not been a
        member yet does not ask: it is the newer one, and takes the name.
        """
        at, self._confirmed_at = self._confirmed_at, None
        is_confirmed = at is not None and abs(time.time() - at) < _CONFIRMED_S
        if self._instance is None or not self._ours or is_confirmed:
            return
        for member in self._members():
            if member.group_instance_id == self._instance and member.member_id not in self._ours:
                raise FencedError(
                    f"group {self._group}: another live process has joined with the same "
                    f"group.instance.id {self._instance}, so this older one stops. Give each "
                    "worker its own instance_id. Don't restart it automatically: the two workers "
                    "would keep fencing each other"
                )

    def _members(self) -> list[Any]:
        # A new client each time: one that was connected to a restarted broker may never find the
        # coordinator again.
        last_error = LastClientError()
        client = make_admin(plain_config(self._kafka), last_error)
        timeout_s = min(_ANSWER_S, self._timeout_s)
        try:
            client.list_topics(timeout=timeout_s)  # is there a broker? See GIVEN_UP_S
            asked = client.describe_consumer_groups([self._group], request_timeout=GIVEN_UP_S)
            return list(asked[self._group].result(timeout_s).members)
        except TimeoutError:
            self._unanswered.append(client)
            raise OutcomeUnknownError(
                f"asking for the members of group {self._group}: its coordinator does not answer"
            ) from None
        except KafkaException as failure:
            error = kafka_error(failure)
            if error.code() in _NO_MEMBERS:
                return []
            what = f"asking for the members of group {self._group}"
            known = refusal(error, what, group=self._group)
            raise known or OutcomeUnknownError(
                f"{what}: {reason(error)}{last_error.sentence()}"
            ) from failure
