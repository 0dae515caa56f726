"""Deleting topics and consumer groups, and who still reads a topic."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from pipeline.errors import TransportError
from pipeline.kafka.clients import LibrdkafkaConfig, make_admin, plain_config
from pipeline.kafka.errors import LastClientError, kafka_error, reason, refusal
from pipeline.kafka.group_state import GIVEN_UP_S

_GONE: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND})


class Removal:
    """Deletes for good. Every method raises TransportError with a sentence.

    Guarantees: what does not exist is no error, so that a deletion that was interrupted can be
    done again; what is returned as deleted was there and is gone.
    """

    def __init__(self, kafka: LibrdkafkaConfig, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._causes = LastClientError()
        self._client = make_admin(plain_config(kafka), self._causes)

    def readers(self, topics: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return the groups with members that read one of the topics, by topic.

        Groups that one may not see are not among them, nor are readers without a group.
        """
        what = "asking for consumer groups"
        listed = self._result(self._client.list_consumer_groups(), what).valid
        names = [each.group_id for each in listed]
        if not names:
            return {}
        answers = self._client.describe_consumer_groups(names, request_timeout=GIVEN_UP_S)
        found: dict[str, set[str]] = {}
        for group, future in answers.items():
            described = self._result(future, f"asking for the members of group {group}")
            for member in described.members:
                places = member.assignment.topic_partitions if member.assignment else []
                for topic in {place.topic for place in places} & set(topics):
                    found.setdefault(topic, set()).add(group)
        return {topic: frozenset(groups) for topic, groups in found.items()}

    def delete_topics(self, names: Collection[str]) -> list[str]:
        """Delete topics; those that existed."""
        return self._delete(
            lambda: self._client.delete_topics(list(names), operation_timeout=self._timeout_s),
            names,
            "deleting topic",
        )

    def delete_groups(self, names: Collection[str]) -> list[str]:
        """Delete consumer groups without members, and their offsets; those that existed."""
        return self._delete(
            lambda: self._client.delete_consumer_groups(list(names)), names, "deleting group"
        )

    def _delete(
        self, call: Callable[[], Mapping[str, Any]], names: Collection[str], what: str
    ) -> list[str]:
        if not names:
            return []
        deleted = []
        for name, future in call().items():
            if self._result(future, f"{what} {name}", absent_is_fine=True) is not _ABSENT:
                deleted.append(name)
        return deleted

    def _result(self, future: Any, what: str, *, absent_is_fine: bool = False) -> Any:  # noqa: ANN401  the client's
        try:
            return future.result(self._timeout_s)
        except KafkaException as exception:
            error = kafka_error(exception)
            if absent_is_fine and error.code() in _GONE:
                return _ABSENT
            raise refusal(error, what, group=what.rpartition(" ")[2]) or TransportError(
                f"{what}: {reason(error)}{self._causes.sentence()}"
            ) from exception
        except concurrent.futures.TimeoutError as error:
            raise TransportError(f"{what}: no answer{self._causes.sentence()}") from error


_ABSENT: Final = object()
