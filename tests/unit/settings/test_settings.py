"""Settings: precedence of sources, messages about invalid values, and secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.contract import ContractSettings
from pipeline.errors import SettingsError
from pipeline.settings.client_properties import MASK, OWNED, weaknesses
from pipeline.settings.model import Settings, load_settings
from pipeline.settings.names import FLAGS, leaves
from pipeline.settings.sources import ENDS_IN_FILE

SECRETS = (
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.kerberos.kinit.cmd",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.config",
)
"""All secret properties of librdkafka."""
MISSPELLED = ("sasl.pasword", "sals.password", "ssl.key.pwd", "sasl.oauthbearer.clientsecret")
"""Misspelled properties, which the client would reject only after the settings were shown."""


def problems(
    tmp_path: Path,
    toml: str = "",
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> list[str]:
    """The lines of the SettingsError, with FILE for the name of the file."""
    file = tmp_path / "track.toml"
    file.write_text(toml)
    with pytest.raises(SettingsError) as caught:
        load_settings(file, flags or {}, env or {})
    return str(caught.value).replace(str(file), "FILE").splitlines()


def from_toml(tmp_path: Path, toml: str) -> Settings:
    """Settings from a file only."""
    file = tmp_path / "track.toml"
    file.write_text(toml)
    return load_settings(file, {}, {})


def test_later_source_takes_precedence(tmp_path: Path) -> None:
    """Flags override the environment, which overrides the file, which overrides the defaults."""
    file = tmp_path / "track.toml"
    file.write_text('group = "file"\n[topics]\nraw = "file"\nenriched = "file.e"\n')
    env = {"TRACK_GROUP": "env", "TRACK_TOPICS__RAW": "env"}
    settings = load_settings(file, {"group": "flag", "topics.raw": None}, env)
    assert (settings.group, settings.topics.raw, settings.topics.enriched) == (
        "flag",
        "env",
        "file.e",
    )
    assert settings.topics.identify == "track.identify"
    assert settings.sources == {
        "group": "--group",
        "topics.raw": "TRACK_TOPICS__RAW",
        "topics.enriched": str(file),
    }


@pytest.mark.parametrize(
    "toml",
    [
        '[kafka]\n"socket.timeout.ms" = 1000\n"bootstrap.servers" = "a:1"\n"log_level" = 3',
        '[kafka]\nsocket.timeout.ms = 1000\nbootstrap.servers = "a:1"\nlog_level = 3',
        '[kafka.socket.timeout]\nms = 1000\n[kafka]\nbootstrap.servers = "a:1"\nlog_level = 3',
    ],
)
def test_client_properties_may_be_nested(tmp_path: Path, toml: str) -> None:
    """Quoted dotted keys and nested tables are the same property, and every value becomes text."""
    expected = {"socket.timeout.ms": "1000", "bootstrap.servers": "a:1", "log_level": "3"}
    assert from_toml(tmp_path, toml).kafka == expected


def test_client_properties_have_variables() -> None:
    """TRACK_KAFKA_BOOTSTRAP_SERVERS is bootstrap.servers; there are also variables per client."""
    settings = load_settings(
        None,
        {"kafka.bootstrap.servers": "flag:1"},
        {
            "TRACK_KAFKA_BOOTSTRAP_SERVERS": "env:1",
            "TRACK_KAFKA__CLIENT_ID": "me",
            "TRACK_CONSUMER_FETCH_WAIT_MAX_MS": "5",
            "TRACK_PRODUCER": '{"linger.ms": 7}',
        },
    )
    assert settings.kafka == {"bootstrap.servers": "flag:1", "client.id": "me"}
    assert settings.consumer == {"fetch.wait.max.ms": "5"}
    assert settings.producer == {"linger.ms": "7"}


def test_environment_takes_json_for_lists_and_groups() -> None:
    """Lists and whole groups are JSON, and an empty variable counts as unset."""
    settings = load_settings(
        None,
        {},
        {
            "TRACK_IDENTIFY": '[{"event": "Button Clicked"}]',
            "TRACK_CURRENCY__EXTRA_CODES": '["BTC"]',
            "TRACK_BATCH": '{"max_records": 7}',
            "TRACK_GROUP": "",
            "TRACK_TEST_BOOTSTRAP_SERVERS": "not:a:setting",
            "OTHER": "x",
        },
    )
    assert settings.identify[0].event == "Button Clicked"
    assert settings.currency.extra_codes == {"BTC"}
    assert settings.batch.max_records == 7
    assert settings.group == "track-pipeline"


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    """TRACK_…_FILE names a file with the value; its trailing line feed is not part of it."""
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    settings = load_settings(None, {}, {"TRACK_KAFKA_SASL_PASSWORD_FILE": str(file)})
    assert settings.kafka == {"sasl.password": "hunter2"}
    assert settings.sources == {"kafka.sasl.password": f"TRACK_KAFKA_SASL_PASSWORD_FILE ({file})"}


def test_byte_order_mark_is_not_part_of_a_secret(tmp_path: Path) -> None:
    """Editors on Windows write one, and the broker would not accept a password with it."""
    file = tmp_path / "password"
    file.write_bytes(b"\xef\xbb\xbfhunter2\r\n")
    settings = load_settings(None, {}, {"TRACK_KAFKA_SASL_PASSWORD_FILE": str(file)})
    assert settings.kafka == {"sasl.password": "hunter2"}


def test_any_setting_can_be_in_a_file(tmp_path: Path) -> None:
    """Client properties, a group, a list and a plain setting can all be in files."""
    contents = {
        "TRACK_KAFKA_SSL_KEY_PEM": "-----BEGIN-----\nabc\n-----END-----\n",
        "TRACK_CONSUMER_SASL_PASSWORD": "reader\r\n",
        "TRACK_PRODUCER_SASL_PASSWORD": " with spaces \n",
        "TRACK_BATCH__MAX_RECORDS": "7\n",
        "TRACK_TOPICS": '{"raw": "other"}\n',
        "TRACK_IDENTIFY": '[{"event": "Signed Up"}]\n',
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content.encode())
    files = {f"{name}_FILE": str(tmp_path / name) for name in contents}
    settings = load_settings(None, {}, files)
    assert settings.kafka == {"ssl.key.pem": "-----BEGIN-----\nabc\n-----END-----"}
    assert settings.consumer == {"sasl.password": "reader"}
    assert settings.producer == {"sasl.password": " with spaces "}
    assert settings.batch.max_records == 7
    assert settings.topics.raw == "other"
    assert settings.identify[0].event == "Signed Up"


def test_files_without_a_value_are_reported(tmp_path: Path) -> None:
    """A file that is missing, empty, a directory or not text is a problem of its own."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    files = {
        "TRACK_KAFKA_SASL_PASSWORD_FILE": "empty",
        "TRACK_KAFKA_SSL_KEY_PASSWORD_FILE": "binary",
        "TRACK_CONSUMER_SASL_PASSWORD_FILE": "missing",
        "TRACK_PRODUCER_SASL_PASSWORD_FILE": ".",
    }
    found = problems(tmp_path, env={name: str(tmp_path / file) for name, file in files.items()})
    assert [line.replace(f"{tmp_path}", "FOLDER") for line in found] == [
        (
            "TRACK_CONSUMER_SASL_PASSWORD_FILE: FOLDER/missing: can't be read: "
            "No such file or directory"
        ),
        "TRACK_KAFKA_SASL_PASSWORD_FILE: FOLDER/empty: is empty",
        "TRACK_KAFKA_SSL_KEY_PASSWORD_FILE: FOLDER/binary: not UTF-8 text",
        "TRACK_PRODUCER_SASL_PASSWORD_FILE: FOLDER: can't be read: Is a directory",
    ]


@pytest.mark.parametrize("name", sorted(ENDS_IN_FILE))
def test_properties_whose_own_names_end_in_file_hold_a_path(name: str) -> None:
    """The path of an assertion is the value of the property, not a file with the value."""
    variable = f"TRACK_KAFKA_{name.replace('.', '_').upper()}"
    assert load_settings(None, {}, {variable: "/key.pem"}).kafka == {name: "/key.pem"}


OIDC = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "OAUTHBEARER",
    "sasl.oauthbearer.method": "oidc",
    "sasl.oauthbearer.client.id": "track",
    "sasl.oauthbearer.client.secret": "hunter2",
    "sasl.oauthbearer.scope": "kafka",
    "sasl.oauthbearer.token.endpoint.url": "https://" + "id:hunter2@identity.example.com/token",
}


def test_oidc_properties_are_accepted() -> None:
    """All properties for OIDC authentication are accepted, and only harmless ones are shown."""
    variables = {
        f"TRACK_KAFKA_{name.replace('.', '_').upper()}": text for name, text in OIDC.items()
    }
    settings = load_settings(None, {}, variables)
    assert settings.kafka == OIDC
    assert settings.to_dict()["kafka"] == OIDC | {
        "sasl.oauthbearer.client.secret": MASK,
        "sasl.oauthbearer.token.endpoint.url": f"https://{MASK}@identity.example.com/token",
    }


@pytest.mark.parametrize("side", ["kafka", "consumer", "producer"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable.ssl.certificate.verification", "false"),
        ("enable.ssl.certificate.verification", "F"),
        ("enable.ssl.certificate.verification", "0"),
        ("ssl.endpoint.identification.algorithm", "none"),
        ("ssl.endpoint.identification.algorithm", "None"),
    ],
)
def test_verification_is_not_disabled_by_accident(
    tmp_path: Path, side: str, name: str, value: str
) -> None:
    """No client may disable verification until another setting confirms it."""
    toml = f'[{side}]\n"{name}" = "{value}"\n'
    (line,) = problems(tmp_path, toml)
    assert line.startswith(f"FILE: {side}.{name}: disables verification of the broker's")
    assert line.endswith("allow_unverified_tls = true")
    settings = from_toml(tmp_path, f"allow_unverified_tls = true\n{toml}")
    (warning,) = weaknesses(settings.kafka, settings.consumer, settings.producer)
    assert warning.startswith(f"{name} is {value}: ")


def test_verification_that_is_enabled_is_accepted(tmp_path: Path) -> None:
    """Setting the default explicitly is fine, and so is an unused confirmation."""
    lines = (
        "allow_unverified_tls = true",
        "[kafka]",
        "enable.ssl.certificate.verification = true",
        '"ssl.endpoint.identification.algorithm" = "HTTPS"',
    )
    settings = from_toml(tmp_path, "\n".join(lines))
    assert weaknesses(settings.kafka, settings.consumer, settings.producer) == []


@pytest.mark.parametrize(
    ("servers", "warned"),
    [
        ("localhost:9092,127.0.0.1:1,127.9.9.9,[::1]:9092,SASL_PLAINTEXT://localhost:1", []),
        ("kafka-1:9092, 10.0.0.7:9092", ["10.0.0.7:9092", "kafka-1:9092"]),
        ("[2001:db8::1]:9092,localhost.example.com", ["[2001:db8::1]:9092", "localhost.example"]),
    ],
)
def test_unencrypted_credentials_are_warned_of(servers: str, warned: list[str]) -> None:
    """Credentials sent unencrypted over a network give a warning; on this machine they do not."""
    kafka = {"bootstrap.servers": servers, "security.protocol": "sasl_plaintext"}
    found = weaknesses(kafka, {}, {})
    assert len(found) == len(warned)
    for sentence, server in zip(found, warned, strict=True):
        assert sentence.startswith(f"the connection to {server}")
    assert weaknesses(kafka, {"security.protocol": "SASL_SSL"}) == found
    assert weaknesses({**kafka, "security.protocol": "SASL_SSL"}, {}, {}) == []


TOPIC = "allowed: text: 1 to 249 of the characters A-Z a-z 0-9 . _ -, but not . or .."

WRONG: list[tuple[str, dict[str, str], dict[str, object], str]] = [
    ("bacth = 1", {}, {}, "FILE: bacth: there is no such setting; did you mean batch?"),
    (
        "[batch]\nmax_recods = 1",
        {},
        {},
        "FILE: batch.max_recods: there is no such setting; did you mean batch.max_records?",
    ),
    (
        "max_records = 1",
        {},
        {},
        "FILE: max_records: there is no such setting; did you mean batch.max_records?",
    ),
    (
        "[topics]\ndead-letter = 'x'",
        {},
        {},
        "FILE: topics.dead-letter: there is no such setting; did you mean topics.dead_letter?",
    ),
    ("zzzzzzzz = 1", {}, {}, "FILE: zzzzzzzz: there is no such setting"),
    ("batch = 1", {}, {}, "FILE: batch: is not a table; allowed: a table of settings"),
    (
        "kafka = 'a:1'",
        {},
        {},
        "FILE: kafka: is not a table; allowed: a table of text, numbers, true or false",
    ),
    (
        "group = 5",
        {},
        {},
        "FILE: group: 5 is invalid; allowed: text: printable ASCII without outer spaces",
    ),
    (
        "group = ''",
        {},
        {},
        "FILE: group: '' is invalid; allowed: text: printable ASCII without outer spaces",
    ),
    (
        "[batch]\nmax_records = true",
        {},
        {},
        "FILE: batch.max_records: true is invalid; allowed: a whole number of at least 1",
    ),
    (
        "[batch]\nmax_records = 1.5",
        {},
        {},
        "FILE: batch.max_records: 1.5 is invalid; allowed: a whole number of at least 1",
    ),
    (
        "shutdown_grace_s = inf",
        {},
        {},
        "FILE: shutdown_grace_s: inf is invalid; allowed: a number from 1 to 3600",
    ),
    (
        "default_currency = 'usd'",
        {},
        {},
        (
            "FILE: default_currency: 'usd' is invalid; "
            "allowed: text: three capital letters such as EUR"
        ),
    ),
    (
        "[[identify]]\nevnt = 'x'\nevent = 'x'",
        {},
        {},
        "FILE: identify[0].evnt: there is no such setting; did you mean identify[0].event?",
    ),
    (
        "[[identify]]",
        {},
        {},
        "FILE: identify.0.event: is missing; allowed: a list of tables with event",
    ),
    (
        "[kafka]\nsasl.password = ['hunter2']",
        {},
        {},
        "FILE: kafka.sasl.password: must be text, a number, true or false",
    ),
    (
        "",
        {"TRACK_KAFAK_BOOTSTRAP_SERVERS": "a:1"},
        {},
        (
            "TRACK_KAFAK_BOOTSTRAP_SERVERS: no setting has this variable; "
            "did you mean TRACK_KAFKA_BOOTSTRAP_SERVERS?"
        ),
    ),
    (
        "",
        {"TRACK_BATCH_MAX_RECORDS": "1"},
        {},
        (
            "TRACK_BATCH_MAX_RECORDS: no setting has this variable; "
            "did you mean TRACK_BATCH__MAX_RECORDS?"
        ),
    ),
    (
        "",
        {"TRACK_LOG__LEVEL": "loud"},
        {},
        "TRACK_LOG__LEVEL: log.level: 'loud' is invalid; allowed: debug, info, warning or error",
    ),
    (
        "",
        {"TRACK_LIMITS": '{"max_depth": 1000}'},
        {},
        "TRACK_LIMITS: limits.max_depth: 1000 is invalid; allowed: a whole number from 8 to 512",
    ),
    (
        "",
        {"TRACK_IDENTIFY": "Button Clicked"},
        {},
        (
            "TRACK_IDENTIFY: identify: is not such a JSON value; "
            "allowed: a list of tables with event, as JSON"
        ),
    ),
    (
        "",
        {"TRACK_TOPICS": "[]"},
        {},
        "TRACK_TOPICS: topics: is not such a JSON value; allowed: a table of settings, as JSON",
    ),
    (
        "",
        {"TRACK_KAFKA_SASL_PASSWORD_FILE": "/nonexistent/secret"},
        {},
        (
            "TRACK_KAFKA_SASL_PASSWORD_FILE: /nonexistent/secret: can't be read: "
            "No such file or directory"
        ),
    ),
    (
        "",
        {"TRACK_GROUP": "a", "TRACK_GROUP_FILE": "/b"},
        {},
        "TRACK_GROUP_FILE: TRACK_GROUP is set too; set only one of them",
    ),
    ("", {}, {"topics.raw": "a b"}, f"--raw-topic: topics.raw: 'a b' is invalid; {TOPIC}"),
    (
        "",
        {},
        {"topics.raw": "track.enriched"},
        "--raw-topic: topics: the topics must differ, but track.enriched is named twice",
    ),
]


@pytest.mark.parametrize(("toml", "env", "flags", "expected"), WRONG)
def test_invalid_settings_are_reported(
    tmp_path: Path, toml: str, env: dict[str, str], flags: dict[str, object], expected: str
) -> None:
    """One sentence names the source, the setting, the problem and the allowed values."""
    assert problems(tmp_path, toml, env, flags) == [expected]


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    """Problems of all sources are reported together, one line each."""
    toml = "bacth = 1\ngroup = 5\n[kafka]\n'group.id' = 'x'\n"
    found = problems(
        tmp_path,
        toml,
        {"TRACK_LOG__LEVEL": "loud", "TRACK_NONSENSE_": "x"},
        {"batch.linger_ms": -1},
    )
    starts = [
        "FILE: bacth",
        "TRACK_NONSENSE_",
        "FILE: group",
        "batch.linger_ms",
        "TRACK_LOG__LEVEL",
    ]
    starts.append("FILE: kafka.group.id")
    assert sorted(line.split(":")[0] for line in found) == sorted(
        start.split(":")[0] for start in starts
    )
    assert all(any(line.startswith(start) for line in found) for start in starts)


@pytest.mark.parametrize("side", ["kafka", "consumer", "producer"])
def test_properties_of_the_guarantee_are_fixed(tmp_path: Path, side: str) -> None:
    """Properties that exactly-once delivery depends on can't be set for any client."""
    lines = [f"{json.dumps(name)} = 'x'" for name in OWNED]
    found = problems(tmp_path, "\n".join([f"[{side}]", *lines]))
    assert found == [
        f"FILE: {side}.{name}: can't be set as a client property: {instead}"
        for name, instead in OWNED.items()
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a = ", "FILE: not TOML at end of document: Invalid value"),
        (b"group = 'x'\nb c", "FILE: not TOML at line 2, column 3: Expected '='"),
        (b"group = '\xff'", "FILE: not TOML: not UTF-8 text at byte 9"),
    ],
)
def test_invalid_toml_is_reported(tmp_path: Path, content: bytes, expected: str) -> None:
    """A file that is not TOML gives one sentence with the position."""
    file = tmp_path / "track.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {}, {})
    (line,) = str(caught.value).replace(str(file), "FILE").splitlines()
    assert line.startswith(expected)


def test_unreadable_files_are_reported(tmp_path: Path) -> None:
    """A missing file and a directory give one sentence each, next to all other problems."""
    for file, why in ((tmp_path / "no.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError) as caught:
            load_settings(file, {}, {"TRACK_NONSENSE_": "x"})
        first, second = caught.value.problems
        assert first.startswith(f"{file}: can't be read: {why}")
        assert second.startswith("TRACK_NONSENSE_: ")


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_never_shown(name: str) -> None:
    """Neither to_dict(), str() nor repr() contains the value of a secret."""
    variable = f"TRACK_PRODUCER_{name.replace('.', '_').upper()}"
    settings = load_settings(None, {}, {variable: "hunter2", "TRACK_KAFKA_CLIENT_ID": "me"})
    assert settings.producer == {name: "hunter2"}
    assert settings.to_dict()["producer"] == {name: MASK}
    assert settings.to_dict()["kafka"] == {"client.id": "me"}
    assert "hunter2" not in f"{settings} {settings!r} {json.dumps(settings.to_dict())}"


@pytest.mark.parametrize("name", MISSPELLED)
def test_misspelled_secrets_are_never_shown(name: str) -> None:
    """The message names the property, not its value."""
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {f"producer.{name}": "hunter2"}, {})
    assert f"producer.{name}: librdkafka has no such property" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_secrets_are_not_in_problems(tmp_path: Path) -> None:
    """An invalid value of a client property is never quoted."""
    toml = "[kafka]\nsasl.password = ['hunter2']\n[producer]\n'group.id' = 'hunter2'\n"
    found = problems(tmp_path, toml, {"TRACK_CONSUMER": "hunter2"})
    assert len(found) == 3
    assert "hunter2" not in "".join(found)


def test_every_setting_has_a_variable() -> None:
    """Setting each variable to the default gives the default."""
    defaults = Settings()
    for leaf in leaves(Settings):
        if leaf.default is None or leaf.is_map:
            continue
        default: Any = leaf.default
        text = str(default) if leaf.is_plain else json.dumps(list(default))
        settings = load_settings(None, {}, {leaf.variable: text})
        assert settings.model_dump() == defaults.model_dump(), leaf.name
        assert set(settings.sources) == {leaf.name}


def test_every_flag_sets_a_setting() -> None:
    """The setting of each flag exists and receives the value."""
    values = dict.fromkeys(FLAGS.values(), "json") | {"log.level": "debug", "workers": "2"}
    values["http.port"] = "9400"
    values["schema_registry.url"] = "http://a:1"
    values |= {name: f"topic-{name}" for name in values if name.startswith("topics.")}
    values["kafka.bootstrap.servers"] = "a:1"
    settings = load_settings(None, values, {})
    assert settings.sources == {name: flag for flag, name in FLAGS.items()}


def test_contract_depends_on_the_contract_alone() -> None:
    """Rules are the same contract with other topics and brokers."""
    moved = load_settings(None, {"group": "g", "kafka.bootstrap.servers": "a:1"}, {})
    assert moved.contract() == Settings().contract() == ContractSettings().contract()
    changed = load_settings(None, {"default_currency": "EUR"}, {})
    assert changed.contract() == ContractSettings(default_currency="EUR").contract()
    assert changed.contract() != moved.contract()


def test_transactional_id_has_prefix_group_and_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unset instance is replaced by the host name."""
    monkeypatch.setattr("socket.gethostname", lambda: "host-7")
    named = load_settings(None, {"instance_id": "worker-1", "group": "g"}, {})
    assert named.transactional_id == "track.g.worker-1"
    assert Settings().transactional_id == "track.track-pipeline.host-7"


def test_sets_are_shown_in_order() -> None:
    """Sets differ in order from process to process; a document that is compared must not."""
    extra = '["XBT", "AAA", "ZZZ", "BBB"]'
    settings = load_settings(None, {}, {"TRACK_CURRENCY__EXTRA_CODES": extra}).to_dict()
    for shown in (
        settings["currency"]["extra_codes"],
        settings["dead_letter"]["redrive_drop_headers"],
    ):
        assert shown == sorted(shown)
        assert len(shown) > 1
