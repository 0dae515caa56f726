"""`track-pipeline schemas check`, `register` and `show`, on a small registry on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pipeline.avro.published import published
from pipeline.cli.schemas.check import check
from pipeline.core.record import Role
from pipeline.errors import ExitCode
from tests.fake_registry import Answer, FakeRegistry, fake_registry
from tests.unit.cli.program import Ran, run
from tests.unit.cli.terminal import as_terminal

ENRICHED = published(Role.ENRICHED)
SUBJECT = "track.enriched-value"
AVRO = {"TRACK_OUTPUT__FORMAT": "avro", "TRACK_IDENTIFY": '[{"event": "*"}]'}


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    """A registry that knows GUIDs."""
    with fake_registry() as started:
        yield started


def _schemas(server: FakeRegistry, *arguments: str, **variables: str) -> Ran:
    url = ("--schema-registry-url", server.url)
    return run("schemas", *arguments, *url, env={**AVRO, **variables})


def test_check_names_what_is_missing(server: FakeRegistry) -> None:
    """A row for each schema, a sentence with the command for each that is missing, exit code 1."""
    ran = _schemas(server, "check")
    assert ran.code == ExitCode.DIFFERENCE
    names, *rows = [line.split("\t") for line in ran.out.decode().splitlines()]
    assert [dict(zip(names, row, strict=True))["schema"] for row in rows] == ["missing"] * 2
    assert ran.err.count("track-pipeline schemas register --schema-registry-url") == 2
    assert not any(line.startswith("PUT") for line in server.asked)


def test_register_is_done_once_and_then_checked(server: FakeRegistry) -> None:
    """A dry run changes nothing; the second registration neither; check is content then."""
    dry = _schemas(server, "register", "--dry-run", "--compatibility", "full")
    assert (dry.code, dry.err) == (ExitCode.OK, "would register 2 schemas\n")
    assert server.schemas == []
    assert server.levels == {}
    done = _schemas(server, "register", "--compatibility", "full", "--json")
    assert done.err == "registered 2 schemas\n"
    assert [each["id"] for each in json.loads(done.out)] == [1, 2]
    assert server.levels == {SUBJECT: "FULL", "track.identify-value": "FULL"}
    again = _schemas(server, "register", "--json")
    assert again.err == "nothing to do; 2 schemas registered already\n"
    assert json.loads(again.out)[0] == {
        "action": "keep",
        "subject": SUBJECT,
        "version": 1,
        "id": 1,
        "compatibility": "FULL",
    }
    checked = _schemas(server, "check", "--json")
    assert (checked.code, checked.err) == (ExitCode.OK, "")
    report = json.loads(checked.out)
    assert report["framing"] == "prefix"
    assert report["knows_guids"] is report["needed"] is True
    assert report["schemas"][0]["guid"] == server.described(1)["guid"]


def test_nothing_is_registered_when_one_schema_can_not_be(server: FakeRegistry) -> None:
    """What hinders a schema is told in words, and the other one is not registered either."""
    server.register(SUBJECT, {"schema": ENRICHED.replace('"event"', '"eventName"')})
    server.incompatible = True
    ran = _schemas(server, "register")
    assert ran.code == ExitCode.KAFKA
    assert "version 1: with the new schema, event: " in ran.err
    assert len(server.schemas) == 1


def test_terminal_shows_every_obstacle(
    server: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People see all that hinders a schema below the table, and how outputs name their schema."""
    server.register(SUBJECT, {"schema": '{"type": "record", "name": "R", "fields": []}'})
    server.incompatible = True
    terminal = as_terminal(monkeypatch, 100)
    monkeypatch.setattr("pipeline.cli.schemas.view.is_terminal", lambda: True)
    with pytest.raises(SystemExit):
        check.main(["--schema-registry-url", server.url], prog_name="check")
    shown = "\n".join(terminal.lines())
    assert "why the schema of track.enriched is not compatible:" in shown
    assert (
        "framing: prefix (00 and the id in front of each value)\nthe registry knows GUIDs" in shown
    )


def test_header_framing_without_guids_is_a_difference() -> None:
    """The registered schemas are of no use with this framing, and check says so."""
    with fake_registry(guids=False) as server:
        _schemas(server, "register")
        ran = _schemas(server, "check", TRACK_OUTPUT__FRAMING="header")
    assert ran.code == ExitCode.DIFFERENCE
    assert "output.framing: header needs the schemas' GUIDs" in ran.err


def test_single_object_framing_needs_nothing_registered(server: FakeRegistry) -> None:
    """With Avro's own framing a missing schema is no difference."""
    ran = _schemas(server, "check", TRACK_OUTPUT__FRAMING="single-object")
    assert (ran.code, ran.err) == (ExitCode.OK, "")


def test_show_prints_published_schemas_and_those_of_the_registry(server: FakeRegistry) -> None:
    """One schema is found by output, by id, and by subject and version."""
    expected = json.loads(ENRICHED)
    server.register(SUBJECT, {"schema": ENRICHED})
    server.register(SUBJECT, {"schema": '"int"'})
    for arguments in (
        ["enriched"],
        ["--id", "1"],
        ["--subject", SUBJECT, "--subject-version", "1"],
    ):
        ran = _schemas(server, "show", *arguments)
        assert (ran.code, json.loads(ran.out)) == (ExitCode.OK, expected)
    assert json.loads(_schemas(server, "show", "--subject", SUBJECT).out) == "int"
    assert json.loads(run("schemas", "show", "identify").out) == json.loads(
        published(Role.IDENTIFY)
    )


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--id", "99"], ExitCode.KAFKA, "has no schema with the id 99"),
        (["--subject", "nope"], ExitCode.KAFKA, "has no subject nope"),
        (
            ["--subject", SUBJECT, "--subject-version", "3"],
            ExitCode.KAFKA,
            f"has no version 3 of subject {SUBJECT}, only 1",
        ),
        (["enriched", "--id", "1"], ExitCode.USAGE, "choose one of an output, --id and --subject"),
        (["--subject-version", "1"], ExitCode.USAGE, "is a version of --subject, which is missing"),
        (["--contract", "99"], ExitCode.USAGE, "contract version 99 has no"),
        (["--id", str(2**31)], ExitCode.USAGE, "is not in the range"),
    ],
)
def test_show_says_what_there_is_not(
    server: FakeRegistry, arguments: list[str], code: ExitCode, sentence: str
) -> None:
    """A schema that is not there, and options that contradict each other."""
    server.register(SUBJECT, {"schema": ENRICHED})
    ran = _schemas(server, "show", *arguments)
    assert ran.code == code
    assert sentence in ran.err


def test_schema_that_is_not_json_is_printed_as_it_is(server: FakeRegistry) -> None:
    """A registry may hold Protocol Buffers, and text that steers a terminal."""
    server.register("p", {"schema": 'syntax = "proto3";\x1b[31m', "schemaType": "PROTOBUF"})
    assert _schemas(server, "show", "--id", "1").out == b'syntax = "proto3";\\u001b[31m\n'


@pytest.mark.parametrize("command", ["check", "register"])
def test_registry_that_fails_is_one_sentence(command: str, server: FakeRegistry) -> None:
    """Commands do not wait: the operator sees the cause at once."""
    server.fail(Answer(503))
    ran = _schemas(server, command)
    assert ran.code == ExitCode.KAFKA
    assert ran.err.startswith(f"track-pipeline: the Schema Registry at {server.url} fails (")
    assert len(ran.err.splitlines()) == 1
    missing = run("schemas", command)
    assert missing.code == ExitCode.USAGE
    assert "schema_registry.url: is not set; give --schema-registry-url" in missing.err


def test_unknown_levels_and_ids_are_refused_with_what_is_allowed() -> None:
    """Levels are named as registries write them."""
    level = run("schemas", "register", "--compatibility", "wild")
    assert level.code == ExitCode.USAGE
    assert "'wild' is not one of 'BACKWARD', 'BACKWARD_TRANSITIVE'" in level.err
    assert "--id ID" in run("schemas", "show", "--help").out.decode()
