"""Watches what the worker depends on, and says why it makes no progress.

It has a client and a thread of its own (`worker.observe.reporter`): the session's clients are
neither slowed down nor asked for anything. It asks Kafka every ten seconds, at once when one of the
session's clients reports an error, and often during a stall. Only an answer shows that a stall is
over, since librdkafka reports errors but never their end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline.core.coordinates import format_ranges
from pipeline.kafka.clients import group_question_config, make_admin
from pipeline.kafka.diagnosis import diagnosis
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal
from pipeline.kafka.group_state import GIVEN_UP_S, group_state, is_at_rest, without_partitions
from pipeline.kafka.session_config import SessionConfig
from pipeline.kafka.topic_offsets import LATEST, READABLE, WRITTEN, ask_offsets
from pipeline.ports import Stall

_INTERVAL_S: Final = 10.0
_STALLED_INTERVAL_S: Final = 2.0
"""Interval of questions during a stall."""
_ANSWER_S: Final = 5.0
"""Time limit of a question."""
_FIRST_ANSWER_S: Final = 1.0
"""Time limit of the first question after a client reported an error."""
_JOINING_S: Final = 5.0
"""After so long without partitions the group is asked why. A new group waits three seconds for more
members (group.initial.rebalance.delay.ms)."""
_LEFT_OUT_S: Final = 30.0
"""How long a group may be stable before a worker that is not a member of it starts again."""
_LONG_OPEN_S: Final = 60.0
"""A transaction open for so long is a stall. Some producers always have one open, and commit it
once a minute."""


class DependencyMonitor:
    """See `ports.StallMonitor`. The session reports to it, which costs next to nothing."""

    def __init__(self, config: SessionConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._clients: tuple[LastClientError, ...] = ()
        self._without_since: float | None = None
        self._held: frozenset[int] = frozenset()
        self._at_rest: float | None = None
        """Since when the group has been stable while this worker has no partitions."""
        self._read = 0
        self._seen = (0, False)
        self._due = clock() + _JOINING_S
        self._found: Stall | None = None
        self._behind: dict[int, tuple[int, float]] = {}
        """First offset of the open transaction in each partition that has one, and since when."""
        self._last_error = LastClientError()
        self._client: AdminClient | None = None
        self._asked: Future[Any] | None = None
        """A question about the group that is not answered yet."""

    # Called by the session.

    def opened(self, *clients: LastClientError) -> None:
        """Note that a session is being opened, with the errors that its clients report."""
        self._clients = clients
        self._without_since, self._held = None, frozenset()

    def turned(self, held: Collection[int], records: int) -> None:
        """Note the assigned partitions, and how many records of them were read."""
        self._read += records
        if held:
            self._without_since = self._at_rest = None
        elif self._without_since is None:
            self._without_since = self._clock()
        self._held = frozenset(held)

    def closed(self) -> None:
        """Note that there is no session."""
        self._clients, self._without_since, self._held = (), None, frozenset()
        self._at_rest = None

    def is_left_out(self) -> bool:
        """Return whether the group has been stable for long while this worker had no partitions."""
        since = self._at_rest
        return since is not None and self._clock() - since >= _LEFT_OUT_S

    def is_spare(self) -> bool:
        """Return whether the worker is idle only because no partition is left for it."""
        return self._found is not None and self._found.harmless

    # Called by the monitoring thread.

    def look(self) -> Stall | None:
        """See `ports.StallMonitor`."""
        news = self._news()
        if self._clock() < self._due and not news:
            return self._found
        try:
            self._found = self._look(_FIRST_ANSWER_S if news else _ANSWER_S)
        except Exception as error:  # noqa: BLE001  a bug must not end the monitor silently
            self._found = Stall(f"asking Kafka what is wrong failed: {_text_of(error)}")
        self._due = self._clock() + (_STALLED_INTERVAL_S if self._is_wrong() else _INTERVAL_S)
        return self._found

    def _news(self) -> bool:
        """Return whether there is a reason to ask Kafka now."""
        before, self._seen = self._seen, (self._errors_reported(), bool(self._held))
        if self._is_wrong():
            return before[1] != self._seen[1]
        unexplained = self._found is None and self._is_without()
        return before != self._seen or bool(self._waits_for()) or unexplained

    def _is_wrong(self) -> bool:
        return self._found is not None and not self._found.harmless

    def _errors_reported(self) -> int:
        return sum(client.count for client in self._clients)

    def _waits_for(self) -> str:
        return next(filter(None, (each.waits_for() for each in self._clients)), "")

    def _is_without(self) -> bool:
        since = self._without_since
        return since is not None and self._clock() - since >= _JOINING_S

    def _look(self, timeout_s: float) -> Stall | None:
        read = self._read
        if self._client is None:
            self._client = make_admin(group_question_config(self._config.shared), self._last_error)
        topic = self._config.raw_topic
        try:
            found = self._client.list_topics(topic, timeout=timeout_s).topics[topic]
        except KafkaException as error:
            self._client.poll(0)  # the error callback runs only inside poll
            self._client = self._asked = None
            # When records still arrive, only this client's question came at a bad moment.
            return self._unreachable(error) if self._read == read else None
        in_the_way = _topic_fault(topic, found) or self._tried_again()
        if in_the_way is not None:
            return in_the_way
        if self._is_without():
            return self._without_partitions(self._client, len(found.partitions))
        try:
            return self._open_transactions(self._client)
        except KafkaException:
            if self._read == read:
                raise
            return None  # records still arrive: as above

    def _tried_again(self) -> Stall | None:
        retrying_because = self._waits_for()
        return Stall(retrying_because) if retrying_because else None

    def _unreachable(self, error: KafkaException) -> Stall:
        why = diagnosis(self._config.shared, self._last_error)
        servers = self._config.shared.get("bootstrap.servers", "")
        return Stall(f"no Kafka broker answers at {servers}{why or f': {_text_of(error)}'}")

    def _without_partitions(self, client: AdminClient, count: int) -> Stall:
        group = self._config.group
        if self._asked is None:
            asked = client.describe_consumer_groups([group], request_timeout=GIVEN_UP_S)
            self._asked = asked[group]
        try:
            described: Any = self._asked.result(_ANSWER_S)
        except TimeoutError:
            return Stall(
                f"this worker has no partitions of group {group} yet: the group's coordinator does "
                "not answer"
            )
        except KafkaException as error:
            # A client that was connected to a restarted broker may never find the coordinator.
            self._asked = self._client = None
            text = str(refusal(kafka_error(error), "asking for the group", group=group) or "")
            text = text or f"the group's coordinator does not answer: {_text_of(error)}"
            return Stall(f"this worker has no partitions of group {group} yet: {text}")
        self._asked = None
        state = group_state(described, self._config.raw_topic)
        if not is_at_rest(state):
            self._at_rest = None
        elif self._at_rest is None:
            self._at_rest = self._clock()
        return without_partitions(group, self._config.raw_topic, count, state)

    def _open_transactions(self, client: AdminClient) -> Stall | None:
        """Look for open transactions: nobody can read the records behind one."""
        places = [TopicPartition(self._config.raw_topic, number) for number in self._held]
        stable = self._ends(client, places, READABLE)
        last = self._ends(client, places, WRITTEN)
        now, before = self._clock(), self._behind
        self._behind = {
            number: before[number] if before.get(number, (-1, 0))[0] == at else (at, now)
            for number, at in stable.items()
            if at < last[number]
        }
        stuck = [
            f"{self._config.raw_topic}/{number} from offset {at} on"
            for number, (at, since) in sorted(self._behind.items())
            if now - since >= _LONG_OPEN_S
        ]
        if not stuck:
            return None
        return Stall(
            "a producer of the raw topic keeps a transaction open, and no record behind its first "
            f"can be read: {', '.join(stuck)}. It ends when that producer ends it, or after its "
            "transaction.timeout.ms. Kafka's kafka-transactions finds hanging ones"
        )

    @staticmethod
    def _ends(
        client: AdminClient, places: list[TopicPartition], level: IsolationLevel
    ) -> dict[int, int]:
        if not places:
            return {}
        answers = ask_offsets(client, places, LATEST, level, _ANSWER_S)
        return {place.partition: future.result().offset for place, future in answers.items()}


def _topic_fault(topic: str, found: Any) -> Stall | None:  # noqa: ANN401  the client's
    """Return what is wrong with the raw topic, according to its metadata."""
    if found.error is not None:
        sentence = refusal(found.error, f"asking for topic {topic}")
        return Stall(str(sentence or f"topic {topic}: {reason(found.error)}"))
    leaderless = [number for number, each in found.partitions.items() if each.leader < 0]
    if not leaderless:
        return None
    return Stall(
        f"partitions {format_ranges(leaderless)} of topic {topic} have no leader: the brokers that "
        "hold their replicas are down"
    )


def _text_of(error: Exception) -> str:
    return reason(kafka_error(error)) if isinstance(error, KafkaException) else repr(error)
