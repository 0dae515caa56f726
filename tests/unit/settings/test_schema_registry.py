"""Settings of the Schema Registry: what is no URL, and what contradicts what."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.errors import SettingsError
from pipeline.settings.contradictions import without_effect
from pipeline.settings.model import load_settings

NO_URL = "is not a URL such as http://localhost:8081"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8081",
        "https://a/x/ccompat/v7",
        "http://a:1,http://b:2",
        "http://a, https://b",
    ],
)
def test_urls_of_a_registry_are_taken_as_they_are(url: str) -> None:
    """Several URLs of one registry are separated by commas, with or without spaces."""
    assert load_settings(None, {"schema_registry.url": url}, {}).schema_registry.url == url


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8081",
        "mock://a",
        "http://",
        "http://a:0",
        "http://a:65536",
        "http://a:x",
        "http://a,",
        "http://a?b",
        "http://user:hunter2@a",
        "http://user@a",
        "http://a,http://user:hunter2@b",
    ],
)
def test_other_texts_are_rejected_without_being_shown(url: str) -> None:
    """The text may hold a password, which belongs in a file."""
    with pytest.raises(SettingsError, match=NO_URL) as raised:
        load_settings(None, {}, {"TRACK_SCHEMA_REGISTRY__URL": url})
    assert "hunter2" not in str(raised.value)
    assert str(raised.value).startswith("TRACK_SCHEMA_REGISTRY__URL: schema_registry.url: ")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"schema_registry.basic_auth_file": "a", "schema_registry.bearer_token_file": "b"},
            "set only one of basic_auth_file and bearer_token_file",
        ),
        ({"schema_registry.key_file": "a"}, "key_file is the key of a certificate"),
        ({"schema_registry.ca_file": ""}, "schema_registry.ca_file: '' is invalid"),
        ({"schema_registry.timeout_s": 0}, "a number from 0.1 to 60"),
        (
            {"schema_registry.subject_name_strategy": "TopicNameStrategy"},
            "topic, record or topic-record",
        ),
        (
            {"output.format": "avro", "output.framing": "header"},
            "output.framing: header needs a Schema Registry, but schema_registry.url is not set",
        ),
        (
            {"output.format": "avro", "output.framing": "prefix"},
            "output.framing: prefix needs a Schema Registry, but schema_registry.url is not set",
        ),
        (
            {"input.format": "avro"},
            "input.format: avro reads framed records, but no schemas are known",
        ),
        (
            {"input.format": "auto"},
            "input.format: auto reads framed records, but no schemas are known",
        ),
        (
            {
                "input.format": "auto",
                "schema_registry.url": "http://a,http://b",
                "schema_registry.timeout_s": 20,
            },
            "20 s for each of 2 URLs is more than half of transaction_timeout_ms, which is 60 s",
        ),
        (
            {
                "input.format": "auto",
                "schema_registry.url": "http://a",
                "consumer.max.poll.interval.ms": "6000",
            },
            "default: schema_registry.timeout_s: 5 s is more than half of max.poll.interval.ms",
        ),
        (
            {
                "input.format": "auto",
                "schema_registry.url": "http://a",
                "kafka.max.poll.interval.ms": "6000",
            },
            "default: schema_registry.timeout_s: 5 s is more than half of max.poll.interval.ms",
        ),
    ],
)
def test_contradictions_are_one_sentence_each(values: dict[str, Any], sentence: str) -> None:
    """What can't work is said before anything is asked of anybody."""
    with pytest.raises(SettingsError) as raised:
        load_settings(None, values, {})
    (problem,) = raised.value.problems
    assert sentence in problem


@pytest.mark.parametrize(
    "values",
    [
        {"output.format": "avro"},
        {"output.format": "avro", "output.framing": "single-object"},
        {"output.framing": "prefix"},
        {"input.format": "avro", "input.schemas": "folder"},
        {"input.format": "auto", "schema_registry.url": "http://a"},
        {"schema_registry.certificate_file": "a"},
    ],
)
def test_what_fits_together_is_accepted(values: dict[str, Any]) -> None:
    """Avro without a registry has its own framing, and schemas may come from a folder."""
    load_settings(None, values, {})


@pytest.mark.parametrize(
    ("values", "sentences"),
    [
        ({}, []),
        ({"input.format": "avro", "input.schemas": "folder"}, []),
        ({"output.format": "avro", "output.framing": "single-object"}, []),
        ({"input.format": "auto", "schema_registry.url": "http://a"}, []),
        (
            {"input.schemas": "folder", "output.framing": "single-object"},
            [
                "input.schemas has no effect: input.format is json",
                "output.framing has no effect: output.format is json",
            ],
        ),
        (
            {"schema_registry.url": "http://a"},
            ["schema_registry.url has no effect: input.format and output.format are json"],
        ),
    ],
)
def test_settings_without_effect_are_named(values: dict[str, Any], sentences: list[str]) -> None:
    """Settings that are not used are named, and stop nobody: formats are changed step by step."""
    made = load_settings(None, values, {})
    assert list(without_effect(made.input, made.output, made.schema_registry)) == sentences
