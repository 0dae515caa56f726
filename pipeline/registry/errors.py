"""Turns what the registry's client raises into one sentence: what is wrong, where, what to do.

no answer, 408, 429, 5xx, or an answer that is not a registry's    RegistryUnavailableError
certificate, TLS, 401, 403, 404 without a registry's code, 422     RefusedError
404 with a registry's code (404xx)                                 the caller's: not found
"""

from __future__ import annotations

import ssl
from typing import Final

import httpx2
from confluent_kafka.schema_registry import SchemaRegistryError

from pipeline.core.escape import one_line
from pipeline.errors import RefusedError, RegistryUnavailableError, TransportError
from pipeline.registry.registered_schema import MalformedAnswerError
from pipeline.settings.groups import RegistrySettings

_MALFORMED: Final = (AttributeError, KeyError, RecursionError, TypeError, ValueError)
"""What the client raises for an answer that is not JSON, or other JSON than it expects."""
CLIENT_ERRORS: Final = (SchemaRegistryError, httpx2.RequestError, *_MALFORMED)

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_REDIRECTS: Final = range(300, 400)
_TRANSIENT: Final = frozenset({408, 429, *range(500, 600)})
_CODES_OF_NOT_FOUND: Final = range(40400, 40500)
"""404 with one of these codes is the answer of a registry; without one, nothing has the path."""
_LONGEST: Final = 300


def where(registry: RegistrySettings) -> str:
    """Return what sentences call a registry."""
    return f"the Schema Registry at {registry.url}"


def is_not_found(error: Exception) -> bool:
    """Whether the registry says that it does not have what was asked for."""
    return (
        isinstance(error, SchemaRegistryError)
        and error.http_status_code == _NOT_FOUND
        and error.error_code in _CODES_OF_NOT_FOUND
    )


def translated(error: Exception, registry: RegistrySettings, what: str) -> TransportError:
    """Return the error of ours for one of `CLIENT_ERRORS`; `what` was asked of the registry."""
    if isinstance(error, SchemaRegistryError):
        status = error.http_status_code
        kind = RegistryUnavailableError if status in _TRANSIENT else RefusedError
        says = _rejection(status, f"HTTP {status}{_message(error)}", registry, what)
    elif (cause := _tls_cause(error)) is not None:
        kind, says = RefusedError, f"can't be trusted: {cause}"
    elif isinstance(error, httpx2.RequestError):
        kind, says = RegistryUnavailableError, _no_answer(error, registry)
    else:
        kind, says = RegistryUnavailableError, _malformed_answer(error, what)
    return kind(f"{where(registry)} {says}")


def _rejection(status: int, text: str, registry: RegistrySettings, what: str) -> str:
    if status in _TRANSIENT:
        return f"fails ({what}): {text}"
    if status in _REDIRECTS:
        return (
            f"redirects ({text}): schema_registry.url must be the URL of the registry's "
            "API itself, not of a login page"
        )
    if status == _UNAUTHORIZED:
        return f"{_credentials(registry)} ({text})"
    if status == _FORBIDDEN:
        return f"does not let us {what} ({text}): give the user of its credentials that permission"
    if status == _NOT_FOUND:
        return (
            f"has no such API ({what}: {text}): schema_registry.url must be the URL of a "
            "Confluent-compatible API, for Apicurio the one that ends in /apis/ccompat/v7"
        )
    return f"rejects the request ({what}): {text}"


def _credentials(registry: RegistrySettings) -> str:
    file = registry.basic_auth_file or registry.bearer_token_file
    if file is None:
        return (
            "asks for credentials: set schema_registry.basic_auth_file or "
            "schema_registry.bearer_token_file"
        )
    return f"rejects the credentials in {file}"


def _message(error: SchemaRegistryError) -> str:
    """Return what the registry itself says; nothing when the answer is somebody else's."""
    text: object = error.error_message
    if error.error_code == SchemaRegistryError.UNKNOWN or not isinstance(text, str):
        return ""
    short = one_line(text)
    return f": {short if len(short) <= _LONGEST else short[:_LONGEST] + '…'}"


def _no_answer(error: httpx2.RequestError, registry: RegistrySettings) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return f"does not answer within {registry.timeout_s:g} s (schema_registry.timeout_s)"
    if isinstance(error, httpx2.ConnectError):
        cause = one_line(str(error))
        cause = cause.partition("] ")[2] or cause  # without the system's number of the error
        return f"can't be reached: {cause}; check that it runs, and schema_registry.url"
    return (
        f"breaks off its answer: {one_line(str(error)).rstrip('.') or type(error).__name__}; "
        "check the scheme of schema_registry.url (http or https)"
    )


def _malformed_answer(error: Exception, what: str) -> str:
    how = (
        str(error)
        if isinstance(error, MalformedAnswerError)
        else "its answer is not the JSON expected"
    )
    return (
        f"does not answer as a registry ({what}): {how}; check that schema_registry.url is the URL "
        "of its API"
    )


def _tls_cause(error: BaseException | None) -> str | None:
    """Return why TLS failed, from the errors that led to this one; None when it did not."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not valid for us ({error.verify_message}): set "
                "schema_registry.ca_file to the authority that has signed it"
            )
        if isinstance(error, ssl.SSLError):
            return (
                f"TLS fails ({tls_reason(error)}): check that it wants https, and whether it wants "
                "a client certificate (schema_registry.certificate_file)"
            )
        error = error.__cause__ or error.__context__
    return None


def tls_reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason in lower case, such as `wrong version number`."""
    # Without a reason the text is `[SSL] PEM lib (_ssl.c:3905)`.
    text = error.reason or str(error).rpartition("] ")[2].partition(" (_ssl.c")[0]
    return text.replace("_", " ").lower()
