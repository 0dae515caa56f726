"""Client properties, addresses and names that can't work are invalid settings, exit code 2."""

from __future__ import annotations

import pytest

from pipeline.errors import ExitCode, SettingsError
from pipeline.settings.model import Settings, load_settings
from tests.unit.cli.program import run


def _problems(flags: dict[str, object]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, flags, {})
    return list(caught.value.problems)


def test_every_invalid_property_is_reported_with_all_other_problems() -> None:
    """A misspelled, out-of-range, misplaced or fixed property takes one line each."""
    variables = {
        "TRACK_GROUP": "grüp",
        "TRACK_KAFKA_SASL_MECANISM": "PLAIN",
        "TRACK_KAFKA_BOOTSTRAP_SERVERS": "http://kafka.example.com:9092",
        "TRACK_KAFKA_SOCKET_TIMEOUT_MS": "10s",
        "TRACK_CONSUMER_LINGER_MS": "5",
        "TRACK_PRODUCER_ACKS": "1",
    }
    ran = run("check", env=variables)
    assert ran.code == ExitCode.USAGE
    said = [line.removeprefix("track-pipeline: ") for line in ran.err.splitlines()]
    starts = [
        "TRACK_GROUP: group: 'gr\\xfcp' is invalid; allowed: text: printable ASCII",
        "TRACK_KAFKA_SASL_MECANISM: kafka.sasl.mecanism: librdkafka has no such property; did you",
        "TRACK_KAFKA_BOOTSTRAP_SERVERS: kafka.bootstrap.servers: 'http://kafka.example.com:9092'",
        "TRACK_KAFKA_SOCKET_TIMEOUT_MS: kafka.socket.timeout.ms: the value is invalid; allowed: a",
        "TRACK_CONSUMER_LINGER_MS: consumer.linger.ms: is a property of the producer: set it as ",
        "TRACK_PRODUCER_ACKS: producer.acks: can't be set as a client property",
    ]
    assert len(said) == len(starts)
    assert [start for start in starts if not any(line.startswith(start) for line in said)] == []


@pytest.mark.parametrize("name", ["group", "instance_id", "transactional_id_prefix"])
@pytest.mark.parametrize("value", ["wörker", "orders\n", " orders", "orders ", "a\tb", ""])
def test_names_that_no_commit_can_carry_are_invalid(name: str, value: str) -> None:
    """With such a name the worker would start, but never commit."""
    (problem,) = _problems({name: value})
    assert f"{name}: {value!a} is invalid; allowed: text: printable ASCII" in problem


@pytest.mark.parametrize("table", ["kafka", "consumer", "producer"])
@pytest.mark.parametrize("value", ["wörker", "orders\n"])
def test_client_ids_that_no_commit_can_carry_are_invalid(table: str, value: str) -> None:
    """The client id is part of the member id, which is sent with each commit."""
    (problem,) = _problems({f"{table}.client.id": value})
    assert "client.id: the value is invalid; allowed: printable ASCII" in problem


@pytest.mark.parametrize("name", [".", "..", "a" * 250, "ä", "a\n", "a b", "a/b", ""])
def test_invalid_topic_names_are_reported(name: str) -> None:
    """Topic names follow Kafka's own rule."""
    (problem,) = _problems({"topics.raw": name})
    assert "allowed: text: 1 to 249 of the characters" in problem


@pytest.mark.parametrize("name", ["...", "..a", "a", "a" * 249, "_a.b-c"])
def test_valid_topic_names_are_accepted(name: str) -> None:
    """Every name that Kafka accepts is accepted."""
    assert load_settings(None, {"topics.raw": name}, {}).topics.raw == name


@pytest.mark.parametrize(
    ("servers", "sentence"),
    [
        (
            "http://kafka.example.com:9092",
            "'http://kafka.example.com:9092' is a URL: write host:port",
        ),
        ("kafka://me:hunter2@kafka.example.com:9092", "'kafka.example.com:9092' is a URL"),
        ("9092", "'9092' is a number: write host:port"),
        (9092, "'9092' is a number"),
        ("kafka", "'kafka' has no port (Kafka's usual one is 9092): write host:port"),
        ("a:1,kafka", "'kafka' has no port"),
        ("[::1]", "'[::1]' has no port"),
        ("::1:9092", "'::1:9092' is not a host and a port"),
        ("kafka:", "'kafka:' has no port from 1 to 65535"),
        ("kafka:0", "has no port from 1 to 65535"),
        ("kafka:65536", "has no port from 1 to 65535"),
        ("kafka:9092\n", "'kafka:9092\\n' has no port from 1 to 65535"),
        ("kafka;9092", "'kafka;9092' has no port"),
        ("a:1;b:2", "'a:1;b:2' is not a host and a port"),
        (" , ", "contains no broker: write host:port"),
        ("SSL://kafka:9092", "has another protocol than security.protocol, which is PLAINTEXT"),
    ],
)
@pytest.mark.parametrize("name", ["bootstrap.servers", "metadata.broker.list"])
def test_invalid_addresses_are_reported(name: str, servers: object, sentence: str) -> None:
    """One sentence shows the address and the right form, without a password in it."""
    (problem,) = _problems({f"kafka.{name}": servers})
    assert problem.startswith((f"kafka.{name}: ", "--bootstrap-servers: "))
    assert sentence in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("servers", "protocol"),
    [
        ("a:1,b:2", None),
        ("a:1, b:2,", None),
        ("[::1]:9092", None),
        ("PLAINTEXT://a:1", None),
        ("SASL_SSL://a.example.com:9092", "sasl_ssl"),
    ],
)
def test_valid_addresses_are_accepted(servers: str, protocol: str | None) -> None:
    """A scheme is accepted when it is the configured protocol, as in librdkafka."""
    flags = {"kafka.bootstrap.servers": servers, "kafka.security.protocol": protocol}
    settings: Settings = load_settings(None, flags, {})
    assert settings.kafka["bootstrap.servers"] == servers


def test_properties_with_an_underscore_have_a_variable() -> None:
    """For most properties the underscores of the variable stand for dots."""
    assert load_settings(None, {}, {"TRACK_KAFKA_LOG_LEVEL": "3"}).kafka == {"log_level": "3"}
