"""Makes Confluent's client of a registry out of settings; reads the files of its secrets."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx2
from confluent_kafka.schema_registry import SchemaRegistryClient

from pipeline.errors import RegistryUnavailableError, SettingsError
from pipeline.registry.errors import tls_reason
from pipeline.settings.groups import RegistrySettings

_GROUP: Final = "schema_registry"
_REQUEST_LOGGERS: Final = ("httpx2", "httpcore2")
"""Loggers that log every request, which would be lines of the worker's own log."""


def connect(settings: RegistrySettings) -> SchemaRegistryClient:
    """Make the client; nothing is asked of the registry yet.

    Raises SettingsError with everything that is wrong with the files.
    """
    config: dict[str, Any] = {
        "url": settings.url,
        "timeout": settings.timeout_s,
        # Who calls repeats: the client's own retries would last longer than a worker may wait.
        "max.retries": 0,
    }
    problems: list[str] = []
    if settings.basic_auth_file is not None:
        user = _secret("basic_auth_file", settings.basic_auth_file, problems)
        if user and ":" not in user:
            file = settings.basic_auth_file
            problems.append(f"{_GROUP}.basic_auth_file: {file}: is not user:password on one line")
        config["basic.auth.user.info"] = user
    if settings.bearer_token_file is not None:
        _token(settings.bearer_token_file, problems)
        config |= _bearer(settings.bearer_token_file)
    config |= _tls(settings, problems)
    if problems:
        raise SettingsError(problems)
    for name in _REQUEST_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        client = SchemaRegistryClient(config)
    except (OSError, ssl.SSLError) as error:  # our own files have been tried out above
        cause = "the authorities that SSL_CERT_FILE or SSL_CERT_DIR names can't be used"
        raise SettingsError([f"{_GROUP}.ca_file: is not set, and {cause}: {error}"]) from error
    open_session(client)
    return client


def open_session(client: SchemaRegistryClient) -> None:
    """Close the client's HTTP session, which ends requests that still run, and open another one.

    The session asks the URL of the settings itself, whatever proxy the environment names. Otherwise
    credentials would go to that proxy, and its failure would be called the registry's.
    """
    rest = client._rest_client  # noqa: SLF001  there is no setting for it
    rest.session.close()
    rest.session = httpx2.Client(
        verify=rest.verify, auth=rest.auth, timeout=rest.timeout, trust_env=False
    )


def level_that_applies(client: SchemaRegistryClient, subject: str) -> object:
    """Return the registry's answer to which compatibility level applies to a subject.

    Without `defaultToGlobal`, Apicurio says NONE for a subject that has no level of its own,
    although the registry's level applies to it.
    """
    path, query = f"config/{quote(subject, safe='')}", {"defaultToGlobal": "true"}
    rest = client._rest_client  # noqa: SLF001  its own methods send no parameters
    return rest.get(path, query)["compatibilityLevel"]


def _secret(name: str, file: str, problems: list[str]) -> str:
    """Read a secret; an empty one, with the problem, when it can't be read."""
    try:
        text = Path(file).read_text("utf-8-sig").strip()
    except OSError as error:
        problems.append(f"{_GROUP}.{name}: {file}: can't be read: {error.strerror or error}")
    except UnicodeDecodeError:
        problems.append(f"{_GROUP}.{name}: {file}: not UTF-8 text")
    else:
        if text and text.isprintable():
            return text
        wrong = "is not one line of text" if text else "is empty"
        problems.append(f"{_GROUP}.{name}: {file}: {wrong}")
    return ""


def _token(file: str, problems: list[str]) -> str:
    """Read a bearer token, which has to fit into a header."""
    token = _secret("bearer_token_file", file, problems)
    if not token.isascii():
        problems.append(f"{_GROUP}.bearer_token_file: {file}: has characters that no token has")
    return token


def _bearer(file: str) -> dict[str, Any]:
    """Configure a token that is read for each request, since platforms replace it in place.

    It may be missing while they do: then the request fails like one that is not answered.
    """

    def fields(_config: dict[str, Any]) -> dict[str, str]:
        problems: list[str] = []
        token = _token(file, problems)
        if problems:
            raise RegistryUnavailableError(*problems)
        return {"bearer.auth.token": token, "bearer.auth.logical.cluster": ""}

    return {
        "bearer.auth.credentials.source": "CUSTOM",
        "bearer.auth.custom.provider.function": fields,
        "bearer.auth.custom.provider.config": {},
    }


def _tls(settings: RegistrySettings, problems: list[str]) -> dict[str, Any]:
    """Configure TLS. The files are tried out here: the client does not say which one is wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            problems.append(_unusable("ca_file", settings.ca_file, error, "certificate"))
    if settings.certificate_file is not None:
        pair = settings.certificate_file, settings.key_file
        try:
            context.load_cert_chain(*pair, password=_refuse_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            files = " and ".join(filter(None, pair))
            problems.append(_unusable("certificate_file", files, error, "certificate with its key"))
    return {
        name: value
        for name, value in (
            ("ssl.ca.location", settings.ca_file),
            ("ssl.certificate.location", settings.certificate_file),
            ("ssl.key.location", settings.key_file),
        )
        if value is not None
    }


def _refuse_password() -> str:
    """Keep OpenSSL from asking for a password on the terminal."""
    raise ValueError("the key is encrypted")


def _unusable(name: str, files: str, error: Exception, wanted: str) -> str:
    if isinstance(error, ssl.SSLError):
        cause = f"is not a {wanted} (PEM): {tls_reason(error)}"
    elif isinstance(error, OSError):
        cause = f"can't be read: {error.strerror or error}"
    else:
        cause = str(error)
    return f"{_GROUP}.{name}: {files}: {cause}"
