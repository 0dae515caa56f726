"""Faults of brokers, network, topics and rights."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from pipeline.errors import ExitCode
from pipeline.topics import NO_TIME_LIMIT
from tests.brokers import Sent, Stored, produce, read_topic
from tests.system.chaos.cluster import Node
from tests.system.chaos.cluster_admin import internal_partition
from tests.system.chaos.environment import TIME_LIMIT, TRANSACTION_S, Environment
from tests.system.chaos.failpoints import Action, Failpoint, Point
from tests.system.chaos.faults import Fault, NotFiredError, trigger
from tests.system.chaos.faults_offsets import cut_log, delete_offsets

_DOWN_S: Final = (0.5, 4.0)
_REJECTED_S: Final = 4.0
_FUTURE_RECORDS: Final = 3
_AN_HOUR_MS: Final = "3600000"
_REJECTED_TIME: Final = "INVALID_TIMESTAMP"
_SIZE_LIMIT: Final = "max.message.bytes"
_SMALL: Final = {"enriched": "4000", "dead_letter": "2000"}
"""Largest size of a batch in bytes; most single records are smaller."""


def kill_leader(env: Environment, role: str) -> None:
    """Kill the broker that leads a partition of a topic, and start it again."""
    node = _leader(env, role)
    node.kill()
    time.sleep(env.rng.uniform(*_DOWN_S))
    node.restart()


def _leader(env: Environment, role: str) -> Node:
    internal = {"__consumer_offsets": env.group, "__transaction_state": _transactional(env)}
    topic = role if role in internal else getattr(env.names, role)
    count = env.admin.retry(lambda: env.admin.partitions(topic), f"finding {topic}")
    partition = (
        internal_partition(internal[topic], count)
        if topic in internal
        else env.rng.randrange(count)
    )
    return env.cluster.leader(topic, partition)


def _transactional(env: Environment) -> str:
    return f"track.{env.group}.{env.rng.choice(env.slots).name}"


def pause_broker(env: Environment) -> None:
    """Suspend a broker for a while: its connections stay open, nothing is answered."""
    brokers = env.cluster.brokers
    node = env.rng.choice(brokers)
    node.pause()
    # On a lone node that exceeds its session no partition has a leader: see cluster.py.
    time.sleep(env.rng.uniform(1, 2) if len(brokers) == 1 else env.rng.uniform(2, 5))
    node.resume()


def delay(env: Environment) -> None:
    """Delay every frame between the workers and the brokers."""
    for node in env.cluster.brokers:
        node.proxy.delay(env.rng.uniform(0.05, 0.3))
    time.sleep(env.rng.uniform(3, 6))
    for node in env.cluster.brokers:
        node.proxy.delay(0)


def stall(env: Environment) -> None:
    """Let connections be half-open: nothing arrives, and no error is reported."""
    nodes = _some(env)
    for node in nodes:
        node.proxy.stall()
    time.sleep(env.rng.uniform(3, 7))
    for node in nodes:
        node.proxy.flow()


def cut(env: Environment) -> None:
    """Reset connections several times."""
    before = _dropped(env)
    for _ in range(4):
        for node in _some(env):
            node.proxy.cut()
        time.sleep(env.rng.uniform(0.2, 1))
    if _dropped(env) == before:
        raise NotFiredError("there was no connection to cut")


def _dropped(env: Environment) -> int:
    return sum(node.proxy.dropped for node in env.cluster.brokers)


def _some(env: Environment) -> list[Node]:
    brokers = env.cluster.brokers
    return env.rng.sample(brokers, env.rng.randint(1, len(brokers)))


def hold_end_txn(env: Environment) -> None:
    """Hold back answers to EndTxn only: transactions end without their workers being told."""
    held = _held(env)
    for node in env.cluster.brokers:
        node.proxy.hold_end_txn()
    # Long enough to make a commit slow, or longer than a worker waits for one.
    time.sleep(env.rng.choice([3.0, TRANSACTION_S + 1]))
    for node in env.cluster.brokers:
        node.proxy.release_end_txn()
    if _held(env) == held:
        raise NotFiredError("no transaction ended meanwhile")


def _held(env: Environment) -> int:
    return sum(node.proxy.held for node in env.cluster.brokers)


def delete_dead_letters(env: Environment) -> None:
    """Delete the dead-letter topic while the workers run, and restore what it held.

    All workers must stop with an error. Nothing is written to the topic while it is copied, since
    the load leaves out invalid events until then.
    """
    topic, admin, slots = env.names.dead_letter, env.admin, env.slots
    saved = _copy(env, topic)
    violation = env.event_log.mismatch(topic)
    if violation is not None:
        env.violations.append(violation)
    env.event_log.unfollow(topic)
    with env.workers.suspended(*slots):
        admin.retry(lambda: admin.delete_topic(topic), f"deleting {topic}")
        env.load.only_valid(on=False)
        for slot in slots:
            if not env.workers.await_end(slot, env.scenario.timeout_s):
                env.violations.append(f"{slot.name} does not stop without its dead-letter topic")
        _recreate(env, topic, saved)
    env.event_log.follow(topic, env.scenario.partitions)


def _copy(env: Environment, topic: str) -> list[Stored]:
    """Read the dead-letter topic after all dead letters of the load are committed."""
    env.load.only_valid(on=True)
    goal = env.progress.set_goal("no dead letters to come", env.load.ends())
    env.wait_for(lambda: goal.recovery_s is not None, "committing all dead letters")
    env.progress.goals.remove(goal)
    env.wait_for(
        lambda: (
            not env.admin.retry(
                lambda: env.admin.has_open_transactions(topic), "asking for open transactions"
            )
        ),
        "ending all transactions",
    )
    return read_topic(env.cluster.servers, topic)


def _recreate(env: Environment, topic: str, saved: list[Stored]) -> None:
    env.create_topic(topic, env.topic_configs[topic])
    produce(
        env.cluster.servers,
        topic,
        [
            Sent(each.value, each.key, each.headers, each.timestamp, each.partition)
            for each in saved
        ],
    )


def deny_writing(env: Environment, role: str) -> None:
    """Deny writing to one of the output topics, and allow it again."""
    topic, admin = getattr(env.names, role), env.admin
    before = _denials(env)
    admin.retry(lambda: admin.deny_writing(topic), "denying")
    denied = env.wait_for(lambda: _denials(env) > before, f"being denied to write to {topic}")
    time.sleep(env.rng.uniform(0, _REJECTED_S))
    admin.retry(lambda: admin.allow_writing(topic), "allowing")
    if not denied:
        raise NotFiredError(f"no worker was denied to write to {topic}")


def _denials(env: Environment) -> int:
    return sum(each.code == ExitCode.KAFKA for each in env.workers.exits)


def lower_limit(env: Environment, role: str) -> None:
    """Lower the size limit of an output topic; the broker does not say which record it rejects."""
    with _lowered(env, role) as topic:
        _await_bisection(env, topic)


def kill_while_bisecting(env: Environment) -> None:
    """Kill a worker between two halves of a batch that contains a rejected record."""
    with _lowered(env, "enriched"):
        trigger(env, Failpoint(Point.AFTER_COMMIT, Action.KILL, after=Point.BISECTING))


@contextlib.contextmanager
def _lowered(env: Environment, role: str) -> Iterator[str]:
    """Lower the size limit of an output topic for a while; yields the topic's name."""
    topic, admin = getattr(env.names, role), env.admin
    usual = admin.retry(lambda: admin.setting(topic, _SIZE_LIMIT), "asking for a limit")
    with _limit(env, topic, (_SIZE_LIMIT, _SMALL[role], usual)):
        yield topic


def future_record(env: Environment) -> None:
    """Send records from the future, which an output topic rejects; no worker may stop over them."""
    topic = env.names.enriched
    with _limit(env, topic, (TIME_LIMIT, _AN_HOUR_MS, NO_TIME_LIMIT)):
        env.load.send_future(_FUTURE_RECORDS)
        _await_bisection(env, topic)
    if any(_REJECTED_TIME in each.message for each in env.workers.exits):
        env.violations.append(f"a worker stopped over a record that {topic} rejects")


@contextlib.contextmanager
def _limit(env: Environment, topic: str, change: tuple[str, str, str]) -> Iterator[None]:
    """Change a configuration value of a topic for a while: its name, strict value, usual value."""
    (name, strict, usual), admin = change, env.admin
    admin.retry(lambda: admin.configure(topic, name, strict), "lowering a limit")
    try:
        yield
    finally:
        admin.retry(lambda: admin.configure(topic, name, usual), "lifting a limit")


def _await_bisection(env: Environment, topic: str) -> None:
    """Wait until a worker searches for a rejected record, and a bit longer."""
    before = _bisections(env)
    if not env.wait_for(lambda: _bisections(env) > before, f"a rejection by {topic}"):
        raise NotFiredError(f"{topic} rejected nothing")
    time.sleep(env.rng.uniform(0, _REJECTED_S / 2))


def _bisections(env: Environment) -> int:
    return sum(line["event"] == "bisecting" for slot in env.slots for line in slot.log_lines())


KAFKA_FAULTS: Final[dict[str, Fault]] = {
    **{
        f"kill leader of {role}": partial(kill_leader, role=role)
        for role in ("raw", "enriched", "__transaction_state", "__consumer_offsets")
    },
    "pause broker": pause_broker,
    "network delay": delay,
    "network stall": stall,
    "network cut": cut,
    "EndTxn answers held": hold_end_txn,
    "dead-letter topic deleted": delete_dead_letters,
    "writing enriched denied": partial(deny_writing, role="enriched"),
    "writing dead letters denied": partial(deny_writing, role="dead_letter"),
    "limit of enriched lowered": partial(lower_limit, role="enriched"),
    "limit of dead letters lowered": partial(lower_limit, role="dead_letter"),
    "kill while bisecting": kill_while_bisecting,
    "future record": future_record,
    "offsets deleted": delete_offsets,
    "log cut": cut_log,
}

ONE_NODE_FAULTS: Final = tuple(
    name
    for name in KAFKA_FAULTS
    if not name.startswith("kill leader") or name == "kill leader of raw"
)
"""Faults of a single broker, which leads everything: one kill is like any other."""
SOLO: Final = frozenset(
    {
        "dead-letter topic deleted",
        "offsets deleted",
        "kill while bisecting",
        "future record",
        "log cut",
    }
)
"""Faults without a companion: they control each worker, or no worker can start meanwhile."""
