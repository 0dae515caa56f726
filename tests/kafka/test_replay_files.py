"""Replays of files on a real broker: each line once, however often it is killed."""

from __future__ import annotations

import gzip
import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Producer

from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.errors import ExitCode
from pipeline.kafka.partitioner import PartitionMap
from pipeline.ports import TopicSpec
from tests.brokers import delete_topics, read_topic
from tests.fake_topics import event
from tests.kafka.replay_process import LASTING, SLOW
from tests.kafka.worker_process import PATIENCE_S, Pipeline
from tests.unit.cli.program import run

pytestmark = pytest.mark.kafka

RECEIVED: Final = "2026-11-01T00:00:00.000Z"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """Options that name an archive of three partitions, some of it twice, and plain events."""
    plain, packed, again = (tmp_path / name for name in ("a.ndjson", "b.ndjson.gz", "c.ndjson"))
    plain.write_bytes(run("generate", "--count", "1500").out)
    packed.write_bytes(gzip.compress(b"".join(_archived(n) for n in range(600))))
    again.write_bytes(b"".join(_kcat(n) for n in range(500, 700)))
    names = (str(plain), str(packed), str(again))
    return tuple(option for name in names for option in ("--from-file", name))


def _place(number: int) -> dict[str, Any]:
    return {"topic": "old.raw", "partition": number % 3, "offset": number // 3}


def _archived(number: int) -> bytes:
    line = {**_place(number), "key": f"k{number % 7}", "value": json.loads(event(number))}
    return json.dumps(line).encode() + b"\n"


def _kcat(number: int) -> bytes:
    payload = event(number).decode()
    line = {**_place(number), "tstype": "create", "ts": 1_760_000_000_000, "broker": 0}
    return json.dumps(line | {"key": "k", "payload": payload}).encode() + b"\n"


def _begun(pipeline: Pipeline, *options: str) -> tuple[Any, str]:
    """A replay as a process, and its id, once it has begun."""
    process = pipeline.start_command("replay", "--execute", "--json", *options)
    pipeline.wait_for(lambda: " begins" in pipeline.text("command-1"), "beginning")
    return process, pipeline.text("command-1").split("replay ")[1].split()[0]


def _lines_done(pipeline: Pipeline, id_: str) -> int:
    ran = pipeline.run("replay", "status", id_, "--json")
    assert ran.code == ExitCode.OK, ran.err
    return json.loads(ran.out)["partitions"][0]["position"] or 0


def _wait_for_lines(pipeline: Pipeline, id_: str, least: int) -> None:
    pipeline.wait_for(lambda: _lines_done(pipeline, id_) >= least, f"{least} lines")


def _said(pipeline: Pipeline, name: str) -> dict[str, Any]:
    said = [line for line in pipeline.text(name).splitlines() if line.startswith('{"id"')]
    return dict(json.loads(said[-1]))


def _sources(pipeline: Pipeline, id_: str) -> Counter[str]:
    """How often each source is in the replay's outputs."""
    found: Counter[str] = Counter()
    for topic, name in (
        (pipeline.names.enriched, TrackHeader.SOURCE),
        (pipeline.names.dead_letter, DlqHeader.SOURCE),
    ):
        records = read_topic(pipeline.servers, f"{topic}.replay.{id_}", "read_committed")
        found += Counter((dict(each.headers)[name] or b"").decode() for each in records)
    return found


def _assert_each_once(pipeline: Pipeline, id_: str, said: dict[str, Any]) -> None:
    found = _sources(pipeline, id_)
    assert set(found.values()) == {1}
    archived = {source for source in found if source.startswith("old.raw/")}
    assert archived == {"old.raw/{partition}/{offset}".format(**_place(n)) for n in range(700)}
    assert {int(source.split(":")[1]) for source in found.keys() - archived} == set(range(1, 1501))
    assert len(found) == said["enriched"] + said["dead_letters"]
    # What is archived twice counts once.
    assert (said["records"], said["left_out"], said["verification"]["ok"]) == (2200, 100, True)


def test_replay_of_files_is_resumed_elsewhere(
    pipeline: Pipeline, files: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a SIGKILL in each file every source is there once, with its partition and time."""
    monkeypatch.chdir(tmp_path)
    process, id_ = _begun(pipeline, *files, *SLOW, "--received-at", RECEIVED)
    monkeypatch.chdir("/")
    for least in (300, 1700):
        _wait_for_lines(pipeline, id_, least)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
        process = pipeline.start_command("replay", "--resume", id_, *SLOW, "--json")
    assert process.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-3")
    _assert_each_once(pipeline, id_, _said(pipeline, "command-3"))
    written = read_topic(
        pipeline.servers, f"{pipeline.names.enriched}.replay.{id_}", "read_committed"
    )
    for each in written:
        source = (dict(each.headers)[TrackHeader.SOURCE] or b"").decode()
        if source.startswith("old.raw/"):
            assert each.partition == int(source.split("/")[1])
        assert each.timestamp in {1_793_491_200_000, 1_760_000_000_000}


def test_paused_process_is_fenced(pipeline: Pipeline, files: tuple[str, ...]) -> None:
    """A process that was paused while another took over ends with 3, and duplicates nothing."""
    older, id_ = _begun(pipeline, *files, *LASTING)
    _wait_for_lines(pipeline, id_, 100)
    older.send_signal(signal.SIGSTOP)
    newer = pipeline.start_command("replay", "--resume", id_, "--rate", "2000", "--json")
    pipeline.wait_for(lambda: _lines_done(pipeline, id_) >= 700, "the one that has taken over")
    older.send_signal(signal.SIGCONT)
    assert older.wait(PATIENCE_S) == ExitCode.FENCED
    assert "has resumed this replay" in pipeline.text("command-1")
    assert newer.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-2")
    _assert_each_once(pipeline, id_, _said(pipeline, "command-2"))


def _append(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(event(1))


def _replace(file: Path) -> None:
    text = file.read_bytes()
    file.write_bytes(text.replace(b"Order", b"Ordre", 1))


def test_changed_files_are_not_resumed(pipeline: Pipeline, tmp_path: Path) -> None:
    """A file that has changed is not gone on with; with the planned one back it is."""
    file = tmp_path / "a.ndjson"
    before = b"\n".join(event(n, event="Order") for n in range(40))
    file.write_bytes(before)
    process, id_ = _begun(pipeline, "--from-file", str(file), "--max", "20")
    assert process.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-1")
    for change, sentence in (
        (_append, "is not the file that was planned: it has "),
        (_replace, "is not the file that was planned: its contents"),
        (Path.unlink, "can't be read: No such file"),
    ):
        change(file)
        refused = pipeline.run("replay", "--resume", id_)
        assert (refused.code, sentence in refused.err) == (ExitCode.USAGE, True), refused.err
        file.write_bytes(before)
    again = pipeline.start_command("replay", "--resume", id_)
    assert again.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-2")


def test_plan_of_files_writes_nothing(pipeline: Pipeline, files: tuple[str, ...]) -> None:
    """A plan says what is in the files, and what an operator should know of it."""
    ran = pipeline.run("replay", *files, "--json")
    assert ran.code == ExitCode.OK, ran.err
    plan = json.loads(ran.out)
    assert [file["lines"] for file in plan["files"]] == [1500, 600, 200]
    assert (plan["archive"]["archived"], plan["archive"]["repeated"]) == (800, 100)
    said = " ".join(ran.err.split())
    assert "100 records are archived more than once" in said
    assert "2,100 lines do not say when they were received: give --received-at TIME" in said
    assert not pipeline.admin.topics(plan["outputs"].values())
    assert plan["id"] not in pipeline.run("replay", "list").out.decode()


def test_files_are_replayed_without_live_topics(
    bare_pipeline: Pipeline, files: tuple[str, ...]
) -> None:
    """A replay of files needs no live topics; lines that are not selected are done all the same."""
    process, id_ = _begun(bare_pipeline, *files, "--to", "2025-12-01")
    assert process.wait(PATIENCE_S) == ExitCode.OK, bare_pipeline.text("command-1")
    said = _said(bare_pipeline, "command-1")
    assert (said["records"], said["left_out"], said["finished"]) == (100, 2200, True)
    output = f"{bare_pipeline.names.enriched}.replay.{id_}"
    assert bare_pipeline.admin.topics([output])[output].partitions == 3


def test_fewer_partitions_are_a_warning(pipeline: Pipeline, files: tuple[str, ...]) -> None:
    """Records that can't keep their partitions go where their keys belong, after a warning."""
    small = pipeline.names.enriched + ".small"
    pipeline.admin.create([TopicSpec(small, 2, 1, {})])
    process, _ = _begun(pipeline, *files, "--output", small)
    assert process.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-1")
    assert (
        f"{small} has 2 partitions, but the archived records come from 3 or more"
        in pipeline.text("command-1")
    )
    places = {
        (each.key, each.partition) for each in read_topic(pipeline.servers, small) if each.key
    }
    assert places == {(key, PartitionMap(3, 2).target(0, key)) for key, _ in places}
    assert len(places) == 8
    delete_topics(pipeline.servers, [small])


def test_lost_offsets_of_files_are_rebuilt(pipeline: Pipeline, files: tuple[str, ...]) -> None:
    """Offsets are rebuilt from the sources of the outputs: nothing is written a second time."""
    process, id_ = _begun(pipeline, *files, *SLOW)
    _wait_for_lines(pipeline, id_, 1700)
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_S)
    # The group is deleted once the transaction of the process that was killed is over.
    pipeline.wait_for(lambda: _is_forgotten(pipeline, id_), "forgetting the offsets")
    again = pipeline.start_command("replay", "--resume", id_, "--rate", "1000000", "--json")
    assert again.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-2")
    said = _said(pipeline, "command-2")
    assert set(_sources(pipeline, id_).values()) == {1}
    assert said["verification"]["ok"]
    assert said["enriched"] + said["dead_letters"] == len(_sources(pipeline, id_))


def _is_forgotten(pipeline: Pipeline, id_: str) -> bool:
    (deleted,) = pipeline.admin._client.delete_consumer_groups(  # noqa: SLF001
        [f"track-replay.{id_}"]
    ).values()
    return deleted.exception() is None


def test_duplicated_output_of_files_is_found(pipeline: Pipeline, files: tuple[str, ...]) -> None:
    """A copy of one output makes the verification fail, also where coordinates are in no order."""
    process, id_ = _begun(pipeline, *files)
    assert process.wait(PATIENCE_S) == ExitCode.OK, pipeline.text("command-1")
    topic = f"{pipeline.names.enriched}.replay.{id_}"
    copy = next(
        each
        for each in read_topic(pipeline.servers, topic, "read_committed")
        if (dict(each.headers)[TrackHeader.SOURCE] or b"").startswith(b"old.raw/")
    )
    producer = Producer({"bootstrap.servers": pipeline.servers})
    producer.produce(topic, copy.value, copy.key, 0, headers=list(copy.headers))
    producer.flush(30)
    again = pipeline.start_command("replay", "--resume", id_)
    assert again.wait(PATIENCE_S) == ExitCode.DIFFERENCE
    assert "1 outputs are duplicates, for example of old.raw/" in pipeline.text("command-2")
