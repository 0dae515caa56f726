"""Properties of the Kafka client that pass through the settings, and those that must not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

_FIXED: Final = "exactly-once delivery depends on it, so it is fixed"
OWNED: Final = {
    "group.id": "set `group` instead",
    "group.instance.id": "set `instance_id` instead",
    "transactional.id": "it is made of `transactional_id_prefix`, `group` and `instance_id`",
    "transaction.timeout.ms": "set `transaction_timeout_ms` instead",
    "auto.offset.reset": "`initial_offset` and `on_data_loss` decide where to start",
    "enable.auto.commit": _FIXED,
    "auto.commit.interval.ms": _FIXED,
    "auto.commit.enable": _FIXED,
    "enable.auto.offset.store": _FIXED,
    "enable.partition.eof": _FIXED,
    "isolation.level": _FIXED,
    "enable.idempotence": _FIXED,
    "acks": _FIXED,
    "request.required.acks": _FIXED,
    "delivery.report.only.error": _FIXED,
    "partitioner": "the output partition follows the input's, as the contract says",
}
"""librdkafka properties that the delivery guarantee decides, and what to do instead."""

MASK: Final = "********"
_SECRET = re.compile(
    r"password|passphrase|secret|token|key\.pem|oauthbearer\.config", re.IGNORECASE
)


def _not_owned(name: str) -> str:
    if name in OWNED:
        message = f"can't be set as a client property: {OWNED[name]}"
        raise ValueError(message)
    return name


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    message = "must be text, a number, true or false"
    raise ValueError(message)


Properties = dict[
    Annotated[str, AfterValidator(_not_owned)], Annotated[str, BeforeValidator(_as_text)]
]
"""librdkafka properties by their own dotted names."""


def masked(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties with each secret value replaced."""
    return {name: MASK if _SECRET.search(name) else value for name, value in properties.items()}
