"""The least rights: enough for everything, and each that is missing is named."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._resource import ResourceType

from pipeline.core.record import Role
from pipeline.errors import ExitCode
from pipeline.ports import TopicSpec
from pipeline.settings.model import Settings
from pipeline.topics import PLANS_TOPIC
from pipeline.wiring import topic_names
from tests.brokers import RECENT, Sent, delete_topics, produce
from tests.fake_topics import event
from tests.kafka.acls import (
    AUDIT,
    CREATE,
    FIX,
    GROUP,
    STATUS,
    TOPIC,
    WORKER,
    Right,
    grants,
    resource,
    table,
)
from tests.kafka.secure import Grant, SecureKafka, variables
from tests.kafka.worker_process import PATIENCE_S, Pipeline, terminate
from tests.system.docs.shell import commands
from tests.system.docs.snippets import blocks, text
from tests.unit.cli.program import Ran
from tests.unit.cli.program import run as run_program

pytestmark = pytest.mark.kafka

RULES: Final = {"identify": [{"event": "Signed Up"}]}
WITH_RULES: Final = {"identify": '[{"event": "Signed Up"}]'}
FORWARD: Final = {"on_other_type": "forward"}
PAGE: Final = b'{"type":"page","userId":"u1"}'
SIGNED_UP: Final = b'{"event":"Signed Up","userId":"u1","context":{"traits":{"plan":"pro"}}}'


def _fill(pipeline: Pipeline, *others: bytes) -> None:
    """Raw records: 30 track calls, one that is unreadable, and others."""
    events = [Sent(SIGNED_UP, b"u1", (), RECENT + n, n % 3) for n in range(30)]
    rest = [Sent(value, None, (), RECENT, 0) for value in (b"{", *others)]
    produce(pipeline.servers, pipeline.names.raw, [*events, *rest])


def _allow(kafka: SecureKafka, pipeline: Pipeline, rights: Iterable[Right]) -> None:
    kafka.allow_only(grants(rights, pipeline.names, pipeline.names.raw))


def _ends(kafka: SecureKafka, pipeline: Pipeline, **settings: str) -> str:
    """Start a worker that must end by itself; the one sentence that it says."""
    settings = kafka.login() | WITH_RULES | settings
    worker = pipeline.start(**settings)
    assert worker.wait(PATIENCE_S) == ExitCode.KAFKA, pipeline.text()
    return _sentence(pipeline)


def _sentence(pipeline: Pipeline) -> str:
    """The last line, which is the only one that is no log line."""
    *log, said = pipeline.text().splitlines()
    assert all(line.startswith("{") for line in log), pipeline.text()
    return said.removeprefix("track-pipeline: ")


def _run(kafka: SecureKafka, pipeline: Pipeline, *arguments: str, **settings: str) -> Ran:
    """Another command, under the worker's user and settings."""
    topics = {f"topics__{role}": name for role, name in pipeline.names._asdict().items()}
    settings = kafka.login() | WITH_RULES | settings | topics | {"group": pipeline.names.raw}
    return run_program(*arguments, env=variables(settings))


def test_listed_rights_are_enough(secure_kafka: SecureKafka, secure_pipeline: Pipeline) -> None:
    """Over TLS and SCRAM, with the listed rights alone, every outcome is written exactly once."""
    _allow(secure_kafka, secure_pipeline, WORKER)
    _fill(secure_pipeline, PAGE)
    worker = secure_pipeline.start(**secure_kafka.login(), **WITH_RULES, **FORWARD)
    secure_pipeline.wait_until_done()
    assert terminate(worker) == 0
    found = secure_pipeline.found(with_other=True)
    assert found == secure_pipeline.expected(RULES | FORWARD)
    assert {role: len(written) for role, written in found.items()} == {
        Role.ENRICHED: 30,
        Role.IDENTIFY: 30,
        Role.OTHER: 1,
        Role.DEAD_LETTER: 1,
    }
    assert not secure_pipeline.lines("recovering")


@pytest.mark.parametrize(
    ("without", "settings"),
    [
        ("identify", {"identify": "[]"}),
        ("other", WITH_RULES),
        ("transactional id", {**WITH_RULES, "delivery": "at-least-once"}),
    ],
)
def test_rights_that_depend_on_settings(
    secure_kafka: SecureKafka, secure_pipeline: Pipeline, without: str, settings: dict[str, str]
) -> None:
    """Three of the rights are needed only under the settings that are named beside them."""
    rights = [right for right in WORKER if right.of != without]
    _allow(secure_kafka, secure_pipeline, rights)
    _fill(secure_pipeline)
    worker = secure_pipeline.start(**secure_kafka.login(), **settings)
    secure_pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert len(secure_pipeline.found()[Role.ENRICHED]) == 30


@pytest.mark.parametrize("missing", WORKER, ids=str)
def test_each_missing_permission_is_named(
    secure_kafka: SecureKafka, secure_pipeline: Pipeline, missing: Right
) -> None:
    """Each single permission that is missing is named with its resource, and nothing is done."""
    _allow(secure_kafka, secure_pipeline, [right for right in WORKER if right != missing])
    _fill(secure_pipeline, PAGE)
    said = _ends(secure_kafka, secure_pipeline, **FORWARD)
    assert "the broker does not allow" in said
    assert f"grant this user {missing.operation} on the {missing.kind}" in said
    assert resource(missing, secure_pipeline.names, secure_pipeline.names.raw) in said
    assert secure_pipeline.committed() == 0
    assert secure_pipeline.found() == {}


@pytest.mark.parametrize("missing", [right for right in WORKER if right.kind == TOPIC], ids=str)
def test_topic_that_may_only_be_seen(
    secure_kafka: SecureKafka, secure_pipeline: Pipeline, missing: Right
) -> None:
    """DESCRIBE in place of the right is told by `check` already, without a record at hand."""
    seen = missing._replace(operation="DESCRIBE")
    _allow(secure_kafka, secure_pipeline, [seen if each == missing else each for each in WORKER])
    ran = _run(secure_kafka, secure_pipeline, "check", **FORWARD)
    assert ran.code == ExitCode.KAFKA
    name = resource(missing, secure_pipeline.names, "")
    assert f"topic {name}: the broker does not allow this user to" in ran.err
    assert f"grant this user {missing.operation} on the topic" in ran.err


@pytest.mark.parametrize(
    "taken",
    # The other outputs are refused in the same way as the first.
    [right for right in WORKER if right.of not in {"dead_letter", "identify", "other"}],
    ids=str,
)
def test_right_taken_and_given_back(
    secure_kafka: SecureKafka, secure_pipeline: Pipeline, taken: Right
) -> None:
    """A right that is taken while the worker works stops it; given back, nothing is lost."""
    _allow(secure_kafka, secure_pipeline, WORKER)
    _fill(secure_pipeline)
    worker = secure_pipeline.start(**secure_kafka.login(), **WITH_RULES)
    secure_pipeline.wait_until_done()
    _allow(secure_kafka, secure_pipeline, [right for right in WORKER if right != taken])
    _fill(secure_pipeline)
    assert worker.wait(PATIENCE_S) == ExitCode.KAFKA, secure_pipeline.text()
    said = _sentence(secure_pipeline)
    assert f"grant this user {taken.operation} on the {taken.kind}" in said
    assert resource(taken, secure_pipeline.names, secure_pipeline.names.raw) in said
    _allow(secure_kafka, secure_pipeline, WORKER)
    worker = secure_pipeline.start(**secure_kafka.login(), **WITH_RULES)
    secure_pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert secure_pipeline.found() == secure_pipeline.expected(RULES)


def test_look_into_enriched(secure_kafka: SecureKafka, secure_pipeline: Pipeline) -> None:
    """A new group beside events that are there must read them once, or be told where to start."""
    _allow(secure_kafka, secure_pipeline, WORKER)
    _fill(secure_pipeline)
    produce(secure_pipeline.servers, secure_pipeline.names.enriched, [Sent(b"{}")])
    said = _ends(secure_kafka, secure_pipeline)
    assert said.startswith(f"reading topic {secure_pipeline.names.enriched}: ")
    assert "grant this user READ on the topic" in said
    worker = secure_pipeline.start(
        "w2", "--initial-offset", "earliest", **secure_kafka.login(), **WITH_RULES
    )
    secure_pipeline.wait_until_done()
    assert terminate(worker) == 0


def test_topics_create_names_the_missing_permission(
    secure_kafka: SecureKafka, secure_pipeline: Pipeline
) -> None:
    """`topics create` needs CREATE and DESCRIBE; the one that is missing is named."""
    names = secure_pipeline.names
    delete_topics(secure_pipeline.servers, names)
    for operation in ("CREATE", "DESCRIBE"):
        rights = [right for right in CREATE if right.operation != operation]
        _allow(secure_kafka, secure_pipeline, rights)
        ran = _run(secure_kafka, secure_pipeline, "topics", "create")
        assert ran.code == ExitCode.KAFKA
        assert f"topic {names.raw}" in ran.err
        assert f"grant this user {operation} on the topic" in ran.err
        assert secure_pipeline.admin.topics(names) == {}
    _allow(secure_kafka, secure_pipeline, CREATE)
    assert _run(secure_kafka, secure_pipeline, "topics", "create").code == 0
    assert set(secure_pipeline.admin.topics(names)) == {*names} - {names.other}


def test_topics_fix_names_the_missing_permission(
    secure_kafka: SecureKafka, secure_pipeline: Pipeline
) -> None:
    """`topics fix` needs ALTER_CONFIGS for settings, ALTER for partitions; the missing is named."""
    names = secure_pipeline.names
    fix = ("topics", "fix", "--partitions", "5", "--retention-days", "8", "--execute")
    rights = list(FIX)
    for operation in ("ALTER_CONFIGS", "ALTER"):
        _allow(
            secure_kafka,
            secure_pipeline,
            [right for right in rights if right.operation != operation],
        )
        ran = _run(secure_kafka, secure_pipeline, *fix)
        assert ran.code == ExitCode.KAFKA
        assert f"grant this user {operation} on the topic" in ran.err
    _allow(secure_kafka, secure_pipeline, rights)
    assert _run(secure_kafka, secure_pipeline, *fix).code == 0
    facts = secure_pipeline.admin.topics([name for name in names if name != names.other])
    assert {topic.partitions for topic in facts.values()} == {5}


def test_audit_names_the_missing_permission(
    secure_kafka: SecureKafka, secure_pipeline: Pipeline
) -> None:
    """`audit` needs READ on all topics and DESCRIBE on the group; what is missing is named."""
    _allow(secure_kafka, secure_pipeline, WORKER)
    _fill(secure_pipeline)
    worker = secure_pipeline.start(**secure_kafka.login(), **WITH_RULES, **FORWARD)
    secure_pipeline.wait_until_done()
    assert terminate(worker) == 0
    for missing in AUDIT:
        _allow(secure_kafka, secure_pipeline, [right for right in AUDIT if right != missing])
        ran = _run(secure_kafka, secure_pipeline, "audit", **FORWARD)
        assert ran.code == ExitCode.KAFKA
        assert f"grant this user {missing.operation} on the {missing.kind}" in ran.err
        assert resource(missing, secure_pipeline.names, secure_pipeline.names.raw) in ran.err
    _allow(secure_kafka, secure_pipeline, AUDIT)
    assert _run(secure_kafka, secure_pipeline, "audit", **FORWARD).code == 0


def test_status_says_what_is_not_known_without_a_permission(
    secure_kafka: SecureKafka, secure_pipeline: Pipeline
) -> None:
    """`status` shows the lag with DESCRIBE alone; each permission that adds something is named."""
    _fill(secure_pipeline)
    _allow(secure_kafka, secure_pipeline, STATUS)
    ran = _run(secure_kafka, secure_pipeline, "status", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["lag_records"], found["lag_seconds"] > 0) == (31, True)
    (sentence,) = [each for each in found["notices"] if "grant" in each]
    assert "is not known: grant this user DESCRIBE_CONFIGS on the topic" in sentence
    least = [Right(TOPIC, "raw", "DESCRIBE"), Right(GROUP, GROUP, "DESCRIBE")]
    _allow(secure_kafka, secure_pipeline, least)
    ran = _run(secure_kafka, secure_pipeline, "status", "--json", "--fail-above-seconds", "9")
    found = json.loads(ran.out)
    assert ran.code == ExitCode.DIFFERENCE
    assert (found["lag_records"], found["partitions"][0]["lag_seconds"]) == (31, None)
    assert "grant this user READ on the topic" in found["notices"][-1]
    assert "grant this user DESCRIBE on the topic" in found["notices"][-2]
    for missing in least:
        _allow(secure_kafka, secure_pipeline, [right for right in least if right != missing])
        ran = _run(secure_kafka, secure_pipeline, "status")
        assert ran.code == ExitCode.KAFKA
        assert f"grant this user DESCRIBE on the {missing.kind}" in ran.err


@pytest.mark.parametrize("page", ["docs/how-to/own-kafka.md", "docs/how-to/secure-cluster.md"])
def test_texts_list_what_is_granted(page: str) -> None:
    """The table of rights is that of the rights that these tests grant."""
    assert table() in text(page)


def test_commands_grant_what_is_listed() -> None:
    """The commands of the page on security give exactly the listed rights, under usual names."""
    settings = Settings()
    found = []
    for block in blocks("docs/how-to/secure-cluster.md", "sh"):
        for command in commands(block.text):
            if command.words[0] == "kafka-acls":
                options = dict(_options(command.words[1:], {"--add"}))
                found.append(_granted(options))
    assert found == grants(WORKER, topic_names(settings), settings.group)


def _options(words: list[str], flags: set[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value; flags have none."""
    rest = iter(words)
    for word in rest:
        yield word, "" if word in flags else next(rest)


def _granted(options: Mapping[str, str]) -> Grant:
    kinds = {"--topic", "--group", "--transactional-id"}
    (option,) = kinds & set(options)
    return Grant(
        ResourceType[option.removeprefix("--").replace("-", "_").upper()],
        options[option],
        AclOperation[options["--operation"]],
        prefixed=options.get("--resource-pattern-type") == "prefixed",
    )


def test_dlq_tools_need_the_listed_permissions(
    secure_kafka: SecureKafka, secure_pipeline: Pipeline
) -> None:
    """DLQ tools need READ on the dead letters; a redrive needs what its page lists."""
    names, group = secure_pipeline.names, secure_pipeline.names.raw
    ledger = f"{names.dead_letter}.ledger"
    _allow(secure_kafka, secure_pipeline, WORKER)
    _fill(secure_pipeline)
    worker = secure_pipeline.start(**secure_kafka.login(), **WITH_RULES)
    secure_pipeline.wait_until_done()
    assert terminate(worker) == 0
    spec = TopicSpec(ledger, 1, 1, {"cleanup.policy": "compact,delete"})
    secure_pipeline.admin.create([spec])
    topic, operation = ResourceType.TOPIC, AclOperation
    reading = [Grant(topic, names.dead_letter, operation.READ)]
    secure_kafka.allow_only(reading)
    listed = _run(secure_kafka, secure_pipeline, "dlq", "list")
    assert (listed.code, len(listed.out.splitlines())) == (0, 2)
    assert f"READ on topic {ledger} is denied" in listed.err
    writable = (names.enriched, names.identify, names.dead_letter, ledger)
    sending = [
        *reading,
        *(Grant(topic, name, operation.WRITE) for name in writable),
        Grant(topic, ledger, operation.READ),
        Grant(topic, names.raw, operation.DESCRIBE),
        Grant(ResourceType.GROUP, group, operation.DESCRIBE),
        Grant(ResourceType.TRANSACTIONAL_ID, f"track.dlq.{names.dead_letter}", operation.WRITE),
    ]
    flags = ("dlq", "redrive", "--execute", "--reinsert-failing")
    for missing in (*sending[3:5], *sending[-2:]):
        secure_kafka.allow_only([grant for grant in sending if grant != missing])
        ran = _run(secure_kafka, secure_pipeline, *flags)
        assert ran.code == ExitCode.KAFKA, missing
        assert missing.name in ran.err
        assert f"grant this user {missing.operation.name}" in ran.err
    secure_kafka.allow_only(sending)
    ran = _run(secure_kafka, secure_pipeline, *flags)
    assert "1 dead letter done" in ran.out.decode(), ran.err


def test_replay_needs_the_permissions_on_its_page(
    secure_kafka: SecureKafka, secure_pipeline: Pipeline, tmp_path: Path
) -> None:
    """A replay needs what its page lists and names what is missing; from a file, nothing of raw."""
    names = secure_pipeline.names
    _fill(secure_pipeline)
    topic, operation = ResourceType.TOPIC, AclOperation
    outputs = [f"{name}.replay." for name in (names.enriched, names.identify, names.dead_letter)]
    rights = [
        Grant(topic, names.raw, operation.READ),
        Grant(ResourceType.GROUP, "track-replay.", operation.READ, prefixed=True),
        Grant(ResourceType.TRANSACTIONAL_ID, "track.replay.", operation.WRITE, prefixed=True),
        *(
            Grant(topic, name, each, prefixed=True)
            for name in (*outputs, PLANS_TOPIC)
            for each in (operation.READ, operation.WRITE, operation.CREATE)
        ),
    ]
    flags = ("replay", "--execute", "--json")
    for missing in rights[:4]:
        secure_kafka.allow_only([grant for grant in rights if grant != missing])
        ran = _run(secure_kafka, secure_pipeline, *flags)
        assert ran.code == ExitCode.KAFKA, (missing, ran.err)
        assert missing.name in ran.err
    secure_kafka.allow_only(rights)
    ran = _run(secure_kafka, secure_pipeline, *flags)
    assert ran.code == ExitCode.OK, ran.err
    said = json.loads(ran.out)
    assert said["verification"]["ok"]
    assert (said["enriched"], said["dead_letters"]) == (30, 1)
    deleting = ("replay", "delete", said["id"], "--execute")
    ran = _run(secure_kafka, secure_pipeline, *deleting)
    assert (ran.code, "grant this user DELETE" in ran.err) == (ExitCode.KAFKA, True), ran.err
    erasable = ((ResourceType.GROUP, "track-replay."), *((topic, name) for name in outputs))
    deletes = [Grant(kind, name, operation.DELETE, prefixed=True) for kind, name in erasable]
    secure_kafka.allow_only([*rights, *deletes])
    ran = _run(secure_kafka, secure_pipeline, *deleting)
    assert ran.code == ExitCode.OK, ran.err
    secure_kafka.allow_only(rights[1:])
    file = tmp_path / "a.ndjson"
    file.write_bytes(event(1))
    ran = _run(secure_kafka, secure_pipeline, *flags, "--from-file", str(file))
    assert ran.code == ExitCode.OK, ran.err
    assert "give --received-at TIME" in ran.err
    topics = [*said["outputs"].values(), *json.loads(ran.out)["outputs"].values()]
    delete_topics(secure_pipeline.servers, [PLANS_TOPIC, *topics])
