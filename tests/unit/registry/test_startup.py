"""What a worker asks a registry on startup, and how its outputs are written then."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from pipeline.avro.framing import prefix_of_fingerprint
from pipeline.avro.published import fingerprint, published
from pipeline.core.contract import Identity
from pipeline.core.formats import PLAIN_JSON, Formats
from pipeline.core.headers import VALUE_SCHEMA_ID
from pipeline.core.process import Processor
from pipeline.core.record import Record, Role
from pipeline.errors import RefusedError, RegistryUnavailableError, SettingsError
from pipeline.preflight import checked_schemas
from pipeline.registry.optional_client import registry_client, require_registry
from pipeline.registry.output_schemas import output_schemas, register_command
from pipeline.registry.report import schema_report
from pipeline.settings.groups import RegistrySettings
from pipeline.settings.model import Settings, load_settings
from pipeline.wiring import formats
from tests.fake_registry import Answer, FakeRegistry, fake_registry
from tests.hostile import EVENT

ENRICHED = published(Role.ENRICHED)
IDENTIFY = [{"event": "*"}]


def _settings(**values: Any) -> Settings:
    return load_settings(None, {name.replace("__", "."): each for name, each in values.items()}, {})


def _avro(server: FakeRegistry, **values: Any) -> Settings:
    return _settings(output__format="avro", schema_registry__url=server.url, **values)


def _enriched(made: Formats, settings: Settings) -> tuple[bytes, list[bytes | None]]:
    """Value and schema headers of an enriched event."""
    record = Record(EVENT, b"k", (), 1_760_000_000_000, "track.raw", 0, 0)
    (output,) = Processor(settings, Identity(app="test", group="g"), made).process(record, 1)
    assert output.role == Role.ENRICHED
    return output.value or b"", [v for name, v in output.headers if name == VALUE_SCHEMA_ID]


def test_plain_json_asks_nobody(server: FakeRegistry) -> None:
    """Without Avro the registry of the settings is not asked, and nothing of it imported."""
    settings = _settings(schema_registry__url=server.url)
    assert formats(settings, print, writes=True) is PLAIN_JSON
    assert server.asked == []


def test_outputs_name_the_schema_that_the_registry_has(server: FakeRegistry) -> None:
    """The id is that of the subject's version; one request finds it."""
    server.register("another", {"schema": '"int"'})
    number = server.register("track.enriched-value", {"schema": ENRICHED})
    settings = _avro(server)
    value, headers = _enriched(formats(settings, print, writes=True), settings)
    assert value[:5] == b"\x00" + number.to_bytes(4, "big")
    assert headers == []
    assert server.asked == ["POST /subjects/track.enriched-value"]


def test_framing_by_header_writes_the_guid(server: FakeRegistry) -> None:
    """The value begins with its first field, and the header has the GUID of the registry."""
    number = server.register("track.enriched-value", {"schema": ENRICHED})
    settings = _avro(server, output__framing="header")
    value, headers = _enriched(formats(settings, print, writes=True), settings)
    assert value.startswith(b"\x0atrack")
    guid = bytes.fromhex(server.described(number)["guid"].replace("-", ""))
    assert headers == [b"\x01" + guid]


def test_single_objects_are_written_without_the_registry(server: FakeRegistry) -> None:
    """Avro's own framing needs no schema of the registry, which is not asked."""
    settings = _avro(server, output__framing="single-object")
    value, _ = _enriched(formats(settings, print, writes=True), settings)
    assert value.startswith(prefix_of_fingerprint(fingerprint(ENRICHED)))
    assert server.asked == []


def test_framing_that_needs_a_registry_never_becomes_another() -> None:
    """A replay's plan may say `prefix` where the settings of now name no registry."""
    planned = _settings(
        output__format="avro", output__framing="prefix", schema_registry__url="http://a"
    )
    now = planned.model_copy(update={"schema_registry": RegistrySettings()})
    with pytest.raises(SettingsError, match=r"schema_registry\.url: is not set"):
        formats(now, print, writes=True)


def test_schema_is_registered_only_on_request(server: FakeRegistry) -> None:
    """Without auto_register the command is named; with it, the schema is compared and registered.

    Identify messages have a schema only where there is a rule for them.
    """
    with pytest.raises(
        RefusedError, match=r"register it with `track-pipeline schemas register --schema"
    ):
        formats(_avro(server), print, writes=True)
    assert server.schemas == []
    settings = _avro(server, schema_registry__auto_register=True, identify=IDENTIFY)
    made = formats(settings, print, writes=True)
    assert server.subjects == {"track.enriched-value": [1], "track.identify-value": [2]}
    assert made.identify is not None
    compared = server.asked.index("POST /compatibility/subjects/track.enriched-value/versions")
    assert compared < server.asked.index("POST /subjects/track.enriched-value/versions")


def test_incompatible_schema_is_explained_and_not_registered(server: FakeRegistry) -> None:
    """The registry says no; the sentence says which fields hinder which readers."""
    server.register("track.enriched-value", {"schema": ENRICHED.replace('"event"', '"eventName"')})
    server.incompatible, server.level = True, "FULL"
    with pytest.raises(RefusedError) as raised:
        formats(_avro(server, schema_registry__auto_register=True), print, writes=True)
    text = str(raised.value)
    assert "is not compatible with subject track.enriched-value (FULL)" in text
    assert "version 1: with the new schema, event: " in text
    assert "version 1: with the old schema, eventName: " in text
    assert len(server.schemas) == 1


@pytest.mark.parametrize(
    ("kind", "language", "text"),
    [("JSON", "JSON", '{"type": "object"}'), ("PROTOBUF", "Protobuf", "message A {}")],
)
def test_subject_of_another_language_is_named(
    kind: str, language: str, text: str, server: FakeRegistry
) -> None:
    """A subject that holds JSON or Protobuf schemas is said to, before any comparison."""
    server.register("track.enriched-value", {"schema": text, "schemaType": kind})
    with pytest.raises(RefusedError, match=f"version 1 is a {language} schema, and a subject"):
        formats(_avro(server, schema_registry__auto_register=True), print, writes=True)
    assert not [path for path in server.asked if "compatibility" in path]


def _registered(server: FakeRegistry) -> None:
    server.register("track.enriched-value", {"schema": ENRICHED})


def _refused(server: FakeRegistry) -> None:
    server.register("track.enriched-value", {"schema": '"int"'})
    server.incompatible = True


def _of_another_language(server: FakeRegistry) -> None:
    server.register("track.enriched-value", {"schema": "{}", "schemaType": "JSON"})


@pytest.mark.parametrize("framing", ["prefix", "header"])
@pytest.mark.parametrize("auto_register", [False, True])
@pytest.mark.parametrize("guids", [False, True])
@pytest.mark.parametrize(
    "prepare", [None, _registered, _refused, _of_another_language], ids=lambda each: str(each)[:20]
)
def test_the_check_foretells_whether_a_worker_starts(
    prepare: Callable[[FakeRegistry], None] | None,
    framing: str,
    *,
    auto_register: bool,
    guids: bool,
) -> None:
    """The report has a problem exactly when a start fails, whatever the registry holds."""
    with fake_registry(guids=guids) as server:
        if prepare is not None:
            prepare(server)
        settings = _avro(
            server, output__framing=framing, schema_registry__auto_register=auto_register
        )
        problems = schema_report(settings, registry_client(settings)).problems
        try:
            formats(settings, print, writes=True)
        except RefusedError as error:
            failure = [str(error)]
        else:
            failure = []
        assert bool(failure) == bool(problems)
        assert set(failure) <= set(problems)


def test_level_that_must_not_be_read_hinders_nobody(server: FakeRegistry) -> None:
    """Permission to register is enough to register."""
    server.forbidden = "/config"
    formats(_avro(server, schema_registry__auto_register=True), print, writes=True)
    assert server.subjects == {"track.enriched-value": [1]}


def test_rejection_without_a_reason_says_so(server: FakeRegistry) -> None:
    """A registry may have rules of its own, which Avro's do not explain."""
    server.register("track.enriched-value", {"schema": ENRICHED + " "})
    server.incompatible = True
    with pytest.raises(RefusedError, match="the registry rejects it for a reason of its own"):
        formats(_avro(server), print, writes=True)


def test_header_framing_is_refused_without_guids() -> None:
    """A registry without GUIDs is told from one that has not got the schema."""
    with fake_registry(guids=False) as server:
        settings = _avro(server, output__framing="header", schema_registry__auto_register=True)
        with pytest.raises(RefusedError, match=r"which this registry does not have .* use prefix"):
            formats(settings, print, writes=True)


def test_wait_for_a_registry_is_told_until_it_is_over(server: FakeRegistry) -> None:
    """A failure is told at once, another one too, and so is the end of the wait."""
    server.register("track.enriched-value", {"schema": ENRICHED})
    told: list[str] = []

    def on_wait(sentence: str) -> None:
        told.append(sentence)
        server.fail(*([Answer(200, b"<html>")] if len(told) == 1 else []))

    server.fail(Answer(503))
    settings = _avro(server)
    _enriched(formats(settings, on_wait, writes=True), settings)
    assert re.search(
        r"HTTP 503; trying again for another (30|2\d) s \(startup_timeout_s\)", told[0]
    )
    assert "does not answer as a registry" in told[1]
    assert told[2].startswith(f"the Schema Registry at {server.url} answers now, after ")
    assert len(told) == 3


def test_wait_for_a_registry_ends(server: FakeRegistry) -> None:
    """After startup_timeout_s, and at once when a stop is requested."""
    server.fail(Answer(500))
    with pytest.raises(RegistryUnavailableError, match=r"HTTP 500 \(tried for 1 s\)"):
        formats(_avro(server, startup_timeout_s=1), print, writes=True)
    stop = Event()
    made = formats(_avro(server), lambda _: stop.set(), writes=True, stop=stop)
    assert made is PLAIN_JSON


def test_reader_asks_only_when_there_is_a_framed_record(server: FakeRegistry) -> None:
    """A tool that reads does not wait for a registry that it may never need; a worker does."""
    settings = _settings(input__format="auto", schema_registry__url=server.url)
    made = formats(settings, print, writes=False)
    assert server.asked == []
    assert made.read is not None
    assert made.read(EVENT, ()) == EVENT
    formats(settings, print, writes=True)
    assert server.asked == ["GET /schemas/types"]


@pytest.mark.parametrize(
    ("strategy", "subject"),
    [
        ("topic", "track.enriched-value"),
        ("record", "track_pipeline.EnrichedTrackEvent"),
        ("topic-record", "track.enriched-track_pipeline.EnrichedTrackEvent"),
    ],
)
def test_subjects_are_named_as_confluents_clients_name_them(strategy: str, subject: str) -> None:
    """A consumer with the same strategy looks under the same subject."""
    settings = _settings(schema_registry__subject_name_strategy=strategy)
    assert [each.subject for each in output_schemas(settings)] == [subject]


def test_command_to_register_has_what_the_user_has_given(tmp_path: Path) -> None:
    """The file of the settings, and flags that name topics or the registry, in the shell's form."""
    file = tmp_path / "my pipeline.toml"
    file.write_text('group = "g"\n')
    flags = {"topics.enriched": "e", "schema_registry.url": "http://a:1", "topics.raw": "r"}
    settings = load_settings(file, flags, {"TRACK_TOPICS__IDENTIFY": "i"})
    assert register_command(settings) == (
        f"track-pipeline schemas register --config '{file}' --enriched-topic e "
        "--schema-registry-url http://a:1"
    )


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, a setting that needs it ends with the command that installs it."""
    for name in [name for name in sys.modules if name.startswith("pipeline.registry.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "httpx2", None)
    require_registry(_settings())
    with pytest.raises(SettingsError, match=r'pip install "track-pipeline\[registry\]"'):
        registry_client(_settings(schema_registry__url="http://localhost:1"))


def test_client_without_a_url_says_where_to_set_it() -> None:
    """A command that needs a registry names the flag, the variable and the key."""
    with pytest.raises(SettingsError, match="give --schema-registry-url, the variable TRACK_SCHEM"):
        registry_client(_settings())


def test_check_of_a_reader_asks_for_no_subject(server: FakeRegistry) -> None:
    """A worker that reads Avro and writes JSON may have no permission to look at subjects."""
    settings = _settings(input__format="auto", schema_registry__url=server.url)
    report = checked_schemas(settings, print)
    assert report is not None
    assert (report.knows_guids, report.schemas) == (True, [])
    assert not any("/subjects/" in each for each in server.asked)
    assert checked_schemas(_settings(schema_registry__url=server.url), print) is None
