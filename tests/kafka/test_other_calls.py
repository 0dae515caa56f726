"""Page, screen, identify, group and alias calls on a real broker: forwarded, each exactly once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from pipeline.core.headers import TrackHeader
from pipeline.core.record import Role
from pipeline.errors import ExitCode
from tests.brokers import (
    RECENT,
    Sent,
    Stored,
    create_topics,
    delete_topics,
    produce,
    read_topic,
    unique,
)
from tests.fake_topics import event
from tests.kafka.replay_process import begun
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate

pytestmark = pytest.mark.kafka
FORWARD: Final = {"TRACK_ON_OTHER_TYPE": "forward"}
PAGE: Final = b'{ "type": "page", "userId": "u", "n": 1e3, "n": 2, "properties": {"revenue": 5} }'
BATCH: Final = b'{"batch": [{"type": "identify", "userId": "u"}, %s, 3], "context": {}}' % event(7)
VALUES: Final = (PAGE, event(1), BATCH, b'{"action": "Group"}', b'{"type": "trak"}')
"""Values of the raw records, in turn: 7 events, of which 3 are forwarded, 2 enriched, 2 invalid."""
BEFORE: Final = 15
"""Records that are processed before calls are forwarded."""
RECORDS: Final = 1000


@pytest.fixture(scope="module")
def worked(bootstrap_servers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A worker without the setting has done some records; one with it the rest, killed once."""
    made = Pipeline(bootstrap_servers, unique, tmp_path_factory.mktemp("other"))
    try:
        made.create_topics()
        _work(made, range(BEFORE))
        assert made.run("topics", "create", "--ledger", env=FORWARD).code == ExitCode.OK
        _work(made, range(BEFORE, RECORDS), on_other_type="forward")
        yield made
    finally:
        made.end_all()
        delete_topics(bootstrap_servers, made.names)


def _work(pipeline: Pipeline, numbers: range, **settings: str) -> None:
    sent = [
        Sent(VALUES[n % len(VALUES)], b"k%d" % (n % 7), (("own", b"%d" % n),), RECENT + n, n % 3)
        for n in numbers
    ]
    produce(pipeline.servers, pipeline.names.raw, sent)
    if settings:
        settings |= {"batch__max_records": "50", "batch__linger_ms": "5"}
        worker = pipeline.start(**settings)
        pipeline.wait_for(lambda: pipeline.committed() > RECORDS // 3, "a third")
        worker.kill()
        worker.wait(PATIENCE_S)
    worker = pipeline.start(**settings)
    pipeline.wait_until_done()
    assert terminate(worker) == 0


def _document(pipeline: Pipeline, *arguments: str, code: int = 0, **env: str) -> dict[str, Any]:
    ran = pipeline.run(*arguments, "--json", env=FORWARD | env)
    assert ran.code == code, ran.err
    return dict(json.loads(ran.out.splitlines()[0]))


def test_topic_is_missing_until_it_is_created(bare_pipeline: Pipeline) -> None:
    """The worker says which topic is missing, and how to create it."""
    bare_pipeline.create_topics()
    ran = bare_pipeline.run("check", env=FORWARD)
    assert ran.code == ExitCode.KAFKA
    assert f"topics do not exist: {bare_pipeline.names.other}; create them" in ran.err
    assert bare_pipeline.run("topics", "create", env=FORWARD).code == ExitCode.OK
    assert bare_pipeline.run("check", env=FORWARD).code == ExitCode.OK


def _forwarded(pipeline: Pipeline, *, redriven: bool = False) -> dict[str, Stored]:
    """Forwarded calls by source: those of the workers, or those of redrives."""
    found = {}
    for each in read_topic(pipeline.servers, pipeline.names.other, "read_committed"):
        headers = dict(each.headers)
        if (TrackHeader.REDRIVE in headers) != redriven:
            continue
        source = (headers[TrackHeader.SOURCE] or b"").decode()
        assert source not in found
        found[source] = each
    return found


def test_each_call_is_forwarded_once_as_it_was(worked: Pipeline) -> None:
    """After a kill each call from then on is there once: bytes, key, headers and time."""
    made = worked.expected({"on_other_type": "forward"})[Role.OTHER]
    found = _forwarded(worked)
    before = {source for source, _, _ in made} - found.keys()
    assert len(before) == BEFORE // len(VALUES) * 3
    rest = {source: (part, value) for source, part, value in made if source not in before}
    assert {source: (each.partition, each.value) for source, each in found.items()} == rest
    for each in found.values():
        own, source, contract = each.headers
        number = int(own[1] or b"")
        assert (each.key, each.timestamp) == (b"k%d" % (number % 7), RECENT + number)
        assert (source[0], contract[0]) == (TrackHeader.SOURCE, TrackHeader.CONTRACT)


def test_audit_counts_forwarded_calls(worked: Pipeline) -> None:
    """Outcomes under both settings add up, also their revenue; a second copy is found."""
    document = _document(worked, "audit", "--revenue")
    assert document["ok"]
    assert document["outcomes"]["forwarded"] == RECORDS // len(VALUES) * 3
    stored = list(_forwarded(worked).values())
    name = unique("copied")
    create_topics(worked.servers, name, partitions=3)
    copies = [*stored, stored[0]]
    produce(worked.servers, name, [Sent(*each[:5]) for each in copies])
    again = _document(worked, "audit", code=ExitCode.DIFFERENCE, TRACK_TOPICS__OTHER=name)
    delete_topics(worked.servers, [name])
    assert (again["duplicated"], again["missing"], again["mismatched"]) == (1, 0, 0)
    detail = "a forwarded call in addition to the one outcome"
    assert again["discrepancies"][0]["detail"] == detail


def test_dry_run_compares_forwarded_calls(worked: Pipeline) -> None:
    """Calls from before the setting are newly forwarded; all others are as they are."""
    document = _document(
        worked, "replay", "--dry-run", "--compare", worked.names.enriched, code=ExitCode.DIFFERENCE
    )
    assert document["forwarded"] == RECORDS // len(VALUES) * 3
    kinds = {kind: n for kind, n in document["comparison"]["events"].items() if n}
    assert kinds.pop("newly-forwarded") == BEFORE // len(VALUES) * 3
    assert kinds.keys() == {"identical"}


def test_replay_forwards_to_a_topic_of_its_own(worked: Pipeline) -> None:
    """A replay has written each call once when it ends, and says so."""
    process, _ = begun(worked, env=FORWARD)
    assert process.wait(PATIENCE_S) == ExitCode.OK
    lines = [line for line in worked.text("command-1").splitlines() if line[:5] == '{"id"']
    said = json.loads(lines[-1])
    calls = RECORDS // len(VALUES) * 3
    assert (said["forwarded"], said["verification"]["forwarded"]) == (calls, calls)
    assert said["verification"]["ok"]
    assert said["outputs"]["other"] == f"{worked.names.other}.replay.{said['id']}"
    delete_topics(worked.servers, said["outputs"].values())


def test_redrive_forwards_the_dead_letters_of_before(worked: Pipeline) -> None:
    """Dead letters of other calls go to their topic, each once; an unknown type fails again."""
    arguments = ("dlq", "redrive", "--reason", "unsupported_type", "--execute")
    ran = worked.run(*arguments, env=FORWARD)
    assert ran.code == ExitCode.DIFFERENCE, ran.err
    redriven = _forwarded(worked, redriven=True)
    assert len(redriven) == BEFORE // len(VALUES) * 3
    assert PAGE in {each.value for each in redriven.values()}
    document = _document(worked, "audit")
    assert (document["ok"], document["excluded"]["redriven"]) == (True, len(redriven))
