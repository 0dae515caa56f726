"""The Kafka client and secrets: which of its properties are secret, and that none is told."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import confluent_kafka
import pytest
from confluent_kafka import KafkaError

from pipeline.errors import RefusedError
from pipeline.kafka.clients import make_consumer
from pipeline.kafka.errors import LastClientError, reason
from pipeline.kafka.session_config import CollectLimits, SessionConfig
from pipeline.settings.client_properties import is_secret
from pipeline.settings.sources import ENDS_IN_FILE
from tests.unit.settings.test_settings import SECRETS

_SECRET: Final = "hunter2"  # noqa: S105


@pytest.mark.parametrize("name", ["ssl.ca.location", "ssl.key.location", "ssl.crl.location"])
def test_file_that_can_not_be_read(name: str) -> None:
    """A file of certificates that is missing is named; the client itself only says "BIO lib"."""
    config = {"group.id": "g", "security.protocol": "ssl", name: "/nonexistent/file.pem"}
    with pytest.raises(RefusedError) as caught:
        make_consumer(config, LastClientError())
    wrong = f"{name}: /nonexistent/file.pem can't be read, No such file or directory"
    assert wrong in str(caught.value)


@pytest.mark.parametrize("name", SECRETS)
def test_client_does_not_tell_secrets(name: str) -> None:
    """A client that can't be made, or can't log in, never quotes the value of a secret."""
    config: dict[str, str | bool] = {
        "group.id": "g",
        "bootstrap.servers": "127.0.0.1:1",
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc" if "oidc" in name else "default",
        "enable.sasl.oauthbearer.unsecure.jwt": name == "sasl.oauthbearer.config",
        name: _SECRET,
    }
    last_error = LastClientError()
    said = ""
    try:
        consumer = make_consumer(config, last_error)
        consumer.poll(0.2)
        consumer.close()
    except RefusedError as error:
        said = str(error)
    assert _SECRET not in said + last_error.sentence()


@pytest.mark.parametrize(
    "said",
    [
        f"Unrecognized sasl.oauthbearer.config beginning at: {_SECRET}",
        f"Invalid sasl.oauthbearer.config: non-integral 'lifeSeconds=': {_SECRET}",
        f"Failed to acquire token: Invalid sasl.oauthbearer.config: principal: a\n{_SECRET}",
    ],
)
def test_client_quotes_a_secret(said: str) -> None:
    """The one property that the client quotes in its errors is cut out of them."""
    text = reason(KafkaError(KafkaError._AUTHENTICATION, said))  # noqa: SLF001  the client's name
    assert text.endswith("sasl.oauthbearer.config can't be used")


def test_configuration_is_not_in_texts() -> None:
    """The text of a session's configuration, wherever it ends up, has no properties."""
    secret = {"sasl.password": _SECRET}
    config = SessionConfig(
        shared=secret,
        consumer=secret,
        producer=secret,
        group="g",
        raw_topic="raw",
        topics={},
        exactly_once=True,
        batch=CollectLimits(1, 1, 1),
        initial_offset="earliest",
        start_over=None,
        continue_on_data_loss=False,
        transaction_timeout_s=1,
        deadline_s=1,
        startup_timeout_s=1,
    )
    assert _SECRET not in repr(config)


@contextmanager
def _written(path: Path) -> Iterator[ctypes.c_void_p]:
    """A C file to write to."""
    library = ctypes.CDLL(None)
    library.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(library.fopen(str(path).encode(), b"w"))
    yield file
    library.fclose(file)


@pytest.fixture(scope="module")
def property_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every property of the installed librdkafka, from its own table."""
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    libraries = list(folder.glob("librdkafka*"))
    if not libraries:
        pytest.skip("this platform's package has no librdkafka file of its own")
    path = tmp_path_factory.mktemp("librdkafka") / "configuration.md"
    with _written(path) as file:
        ctypes.CDLL(str(libraries[0])).rd_kafka_conf_properties_show(file)
    return set(re.findall(r"(?m)^([a-z]\S*\.\S+) +\|", path.read_text()))


def test_every_property_is_known(property_names: set[str]) -> None:
    """Each property of TLS and logins that librdkafka has is listed, as secret or as not."""
    of_security = {name for name in property_names if name.startswith(("ssl.", "sasl."))}
    assert {name for name in of_security if is_secret(name)} == {
        *(name for name in SECRETS if name in property_names),
        "ssl.certificate.verify_cb",  # a callback, which no setting can be
    }
    assert {name for name in property_names - of_security if is_secret(name)} == set()
    assert {name for name in property_names if name.endswith(".file")} == ENDS_IN_FILE
