"""What is done to brokers, network, topics and the group's offsets."""

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
from tests.system.chaos.faults import Fault, NotFiredError, order_somebody
from tests.system.chaos.faults_offsets import cut_log, delete_offsets
from tests.system.chaos.operator import internal_partition
from tests.system.chaos.orders import Act, Order, Point
from tests.system.chaos.world import TIME_LIMIT, TRANSACTION_S, World

_DOWN_S: Final = (0.5, 4.0)
_REFUSED_S: Final = 4.0
_FUTURE_RECORDS: Final = 3
_AN_HOUR_MS: Final = "3600000"
_REFUSED_TIME: Final = "INVALID_TIMESTAMP"
_SIZE_LIMIT: Final = "max.message.bytes"
_SMALL: Final = {"enriched": "4000", "dead_letter": "2000"}
"""Bytes that a batch may have; most single records have less."""


def kill_leader(world: World, role: str) -> None:
    """SIGKILL the broker that leads a partition of some topic, and start it again."""
    node = _leader(world, role)
    node.kill()
    time.sleep(world.dice.uniform(*_DOWN_S))
    node.restart()


def _leader(world: World, role: str) -> Node:
    internal = {"__consumer_offsets": world.group, "__transaction_state": _transactional(world)}
    topic = role if role in internal else getattr(world.names, role)
    count = world.operator.patiently(lambda: world.operator.partitions(topic), f"finding {topic}")
    partition = (
        internal_partition(internal[topic], count)
        if topic in internal
        else world.dice.randrange(count)
    )
    return world.cluster.leader(topic, partition)


def _transactional(world: World) -> str:
    return f"track.{world.group}.{world.dice.choice(world.slots).name}"


def pause_broker(world: World) -> None:
    """SIGSTOP a broker for a while: its connections stay, nothing answers."""
    brokers = world.cluster.brokers
    node = world.dice.choice(brokers)
    node.pause()
    # A lone node that is away for longer than its session is one without leaders: cluster.py.
    time.sleep(world.dice.uniform(1, 2) if len(brokers) == 1 else world.dice.uniform(2, 5))
    node.resume()


def delay(world: World) -> None:
    """Every frame between the workers and the brokers takes longer."""
    for node in world.cluster.brokers:
        node.proxy.delay(world.dice.uniform(0.05, 0.3))
    time.sleep(world.dice.uniform(3, 6))
    for node in world.cluster.brokers:
        node.proxy.delay(0)


def stall(world: World) -> None:
    """Half-open connections: nothing arrives, and nobody says so."""
    nodes = _some(world)
    for node in nodes:
        node.proxy.stall()
    time.sleep(world.dice.uniform(3, 7))
    for node in nodes:
        node.proxy.flow()


def cut(world: World) -> None:
    """Connections are reset, several times."""
    before = _dropped(world)
    for _ in range(4):
        for node in _some(world):
            node.proxy.cut()
        time.sleep(world.dice.uniform(0.2, 1))
    if _dropped(world) == before:
        raise NotFiredError("there was no connection to cut")


def _dropped(world: World) -> int:
    return sum(node.proxy.dropped for node in world.cluster.brokers)


def _some(world: World) -> list[Node]:
    brokers = world.cluster.brokers
    return world.dice.sample(brokers, world.dice.randint(1, len(brokers)))


def hold_end_txn(world: World) -> None:
    """Answers to EndTxn alone are held back: transactions end, and their workers do not hear it."""
    held = _held(world)
    for node in world.cluster.brokers:
        node.proxy.hold_end_txn()
    # Either long enough to make a commit slow, or longer than a worker waits for one.
    time.sleep(world.dice.choice([3.0, TRANSACTION_S + 1]))
    for node in world.cluster.brokers:
        node.proxy.release_end_txn()
    if _held(world) == held:
        raise NotFiredError("no transaction was ended meanwhile")


def _held(world: World) -> int:
    return sum(node.proxy.held for node in world.cluster.brokers)


def delete_dead_letters(world: World) -> None:
    """The dead-letter topic is deleted under the workers; the operator restores what it held.

    All workers must stop with a sentence. Nothing is written to the topic while it is saved: the
    load has no dead letters for so long.
    """
    topic, operator, slots = world.names.dead_letter, world.operator, world.slots
    saved = _quiet_copy(world, topic)
    complaint = world.witness.disagreement(topic)
    if complaint is not None:
        world.complaints.append(complaint)
    world.witness.forget(topic)
    with world.fleet.held(*slots):
        operator.patiently(lambda: operator.delete_topic(topic), f"deleting {topic}")
        world.load.only_valid(on=False)
        for slot in slots:
            if not world.fleet.await_end(slot, world.plan.patience_s):
                world.complaints.append(f"{slot.name} goes on without its dead-letter topic")
        _recreate(world, topic, saved)
    world.witness.follow(topic, world.plan.partitions)


def _quiet_copy(world: World, topic: str) -> list[Stored]:
    """What a topic holds, when nothing can be written to it any more for now."""
    world.load.only_valid(on=True)
    goal = world.progress.set_goal("no dead letters to come", world.load.ends())
    world.wait_for(lambda: goal.took_s is not None, "committing all dead letters")
    world.progress.goals.remove(goal)
    world.wait_for(
        lambda: (
            not world.operator.patiently(
                lambda: world.operator.has_open_transactions(topic), "asking for open transactions"
            )
        ),
        "ending all transactions",
    )
    return read_topic(world.cluster.servers, topic)


def _recreate(world: World, topic: str, saved: list[Stored]) -> None:
    world.create_topic(topic, world.topic_configs[topic])
    produce(
        world.cluster.servers,
        topic,
        [
            Sent(each.value, each.key, each.headers, each.timestamp, each.partition)
            for each in saved
        ],
    )


def deny_writing(world: World, role: str) -> None:
    """The right to write one of the output topics is taken away, and given back."""
    topic, operator = getattr(world.names, role), world.operator
    before = _refusals(world)
    operator.patiently(lambda: operator.deny_writing(topic), "denying")
    refused = world.wait_for(lambda: _refusals(world) > before, f"being refused at {topic}")
    time.sleep(world.dice.uniform(0, _REFUSED_S))
    operator.patiently(lambda: operator.allow_writing(topic), "allowing")
    if not refused:
        raise NotFiredError(f"nobody was refused at {topic}")


def _refusals(world: World) -> int:
    return sum(ended.code == ExitCode.KAFKA for ended in world.fleet.ended)


def lower_limit(world: World, role: str) -> None:
    """An output topic takes less than before: the broker refuses records without naming them."""
    with _lowered(world, role) as topic:
        _await_narrowing(world, topic)


def kill_while_narrowing(world: World) -> None:
    """A worker is killed between two pieces of a batch that holds a refused record."""
    with _lowered(world, "enriched"):
        order_somebody(world, Order(Point.AFTER_COMMIT, Act.KILL, after=Point.NARROWING))


@contextlib.contextmanager
def _lowered(world: World, role: str) -> Iterator[str]:
    """The limit of an output topic, lowered for a while; the topic's name."""
    topic, operator = getattr(world.names, role), world.operator
    usual = operator.patiently(lambda: operator.setting(topic, _SIZE_LIMIT), "asking for a limit")
    with _limit(world, topic, (_SIZE_LIMIT, _SMALL[role], usual)):
        yield topic


def future_record(world: World) -> None:
    """Records two hours ahead, which an output topic refuses; nobody may stop over them."""
    topic = world.names.enriched
    with _limit(world, topic, (TIME_LIMIT, _AN_HOUR_MS, NO_TIME_LIMIT)):
        world.load.send_future(_FUTURE_RECORDS)
        _await_narrowing(world, topic)
    if any(_REFUSED_TIME in ended.words for ended in world.fleet.ended):
        world.complaints.append(f"a worker stopped over a record that {topic} refuses")


@contextlib.contextmanager
def _limit(world: World, topic: str, change: tuple[str, str, str]) -> Iterator[None]:
    """One setting of a topic, changed for a while: its name, strict value, usual value."""
    (name, strict, usual), operator = change, world.operator
    operator.patiently(lambda: operator.configure(topic, name, strict), "lowering a limit")
    try:
        yield
    finally:
        operator.patiently(lambda: operator.configure(topic, name, usual), "lifting a limit")


def _await_narrowing(world: World, topic: str) -> None:
    """Until a worker searches for the record that is refused, and a bit longer."""
    before = _narrowings(world)
    if not world.wait_for(lambda: _narrowings(world) > before, f"a refusal by {topic}"):
        raise NotFiredError(f"{topic} refused nothing")
    time.sleep(world.dice.uniform(0, _REFUSED_S / 2))


def _narrowings(world: World) -> int:
    return sum(line["event"] == "narrowing" for slot in world.slots for line in slot.lines())


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
    "kill while narrowing": kill_while_narrowing,
    "future record": future_record,
    "offsets deleted": delete_offsets,
    "log cut": cut_log,
}

ONE_NODE_FAULTS: Final = tuple(
    name
    for name in KAFKA_FAULTS
    if not name.startswith("kill leader") or name == "kill leader of raw"
)
"""Where one broker leads everything, one kill is like the other."""
SOLO: Final = frozenset(
    {
        "dead-letter topic deleted",
        "offsets deleted",
        "kill while narrowing",
        "future record",
        "log cut",
    }
)
"""Nothing else may happen to workers meanwhile: these tell them one by one what to do, or a worker
that starts meanwhile refuses to."""
