"""Finds out why a TLS connection to a broker fails, by connecting once more.

The client reports the same error for every certificate that it rejects. Python's ssl module
distinguishes them, with the client's own settings of what to trust.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

LIMIT_S: Final = 2.0
"""Time limit of each step of a connection."""

_EXPIRED: Final = 10
_NOT_YET: Final = 9
_WRONG_NAME: Final = frozenset({62, 64})
_NOT_TRUSTED: Final = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's reasons for rejecting a certificate (X509_V_ERR_…)."""
_IGNORE_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME."""
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING"})


def is_off(value: object) -> bool:
    """Return whether a boolean property of the client has a value other than true."""
    return str(value).lower() not in {"true", "t", "1"}


def uses_tls(kafka: Mapping[str, Any]) -> bool:
    """Return whether the client encrypts its connections."""
    return str(kafka.get("security.protocol", "")).lower().endswith("ssl")


def connected(address: tuple[str, int]) -> socket.socket:
    """Open a connection. OSError when that fails."""
    return socket.create_connection(address, LIMIT_S)


def secured(plain: socket.socket, host: str, kafka: Mapping[str, Any]) -> ssl.SSLSocket:
    """Perform the TLS handshake as the client would. Raises SSLError or OSError."""
    context = _trusting(kafka)
    if is_off(kafka.get("enable.ssl.certificate.verification", True)):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif str(kafka.get("ssl.endpoint.identification.algorithm", "https")).lower() != "https":
        context.check_hostname = False
    return context.wrap_socket(plain, server_hostname=host)


def speaks_tls(address: tuple[str, int]) -> bool:
    """Return whether a server answers a TLS handshake, whatever its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with connected(address) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False


def handshake_fault(
    error: OSError, address: tuple[str, int], kafka: Mapping[str, Any]
) -> str | None:
    """Return why `secured` failed and what to do. The text continues after the address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_fault(error, address, kafka)
    if isinstance(error, TimeoutError):
        return f"takes connections, but does not answer a TLS handshake within {LIMIT_S:.0f} s"
    said = getattr(error, "reason", None)
    if said is None or said in _NO_TLS or isinstance(error, ssl.SSLEOFError):
        return (
            "does not speak TLS: connect to the broker's TLS port; only if it has none, set "
            "security.protocol to SASL_PLAINTEXT or PLAINTEXT"
        )
    return refused_by_broker(said, kafka)


def refused_by_broker(said: str, kafka: Mapping[str, Any]) -> str | None:
    """Return what to do when the broker has ended the handshake with an alert."""
    if "ssl.keystore.location" in kafka or "ssl.certificate.pem" in kafka:
        return None  # Python's ssl can't read such a certificate, but the client may have sent one
    if "ssl.certificate.location" in kafka:
        return f"rejects the TLS connection ({said}): check the client certificate"
    return (
        f"rejects the TLS connection ({said}): if it requires a client certificate, set "
        "ssl.certificate.location and ssl.key.location"
    )


def _trusting(kafka: Mapping[str, Any]) -> ssl.SSLContext:
    """Create a context that trusts what the client trusts, with its certificate if in files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    location, pem = kafka.get("ssl.ca.location"), kafka.get("ssl.ca.pem")
    if location and location != "probe":
        folder = location if Path(location).is_dir() else None
        context.load_verify_locations(None if folder else location, folder)
    elif pem:
        context.load_verify_locations(cadata=pem)
    else:
        context.load_default_certs()
    certificate, key = kafka.get("ssl.certificate.location"), kafka.get("ssl.key.location")
    if certificate and key:
        # Always with a password, or OpenSSL would prompt for one on the terminal.
        context.load_cert_chain(certificate, key, kafka.get("ssl.key.password", ""))
    return context


def _certificate_fault(
    error: ssl.SSLCertVerificationError, address: tuple[str, int], kafka: Mapping[str, Any]
) -> str:
    code = error.verify_code
    if code in _NOT_TRUSTED:
        return (
            "has a certificate from an untrusted authority: set ssl.ca.location to the certificate "
            "of the authority that signed it"
        )
    certificate = _certificate(address, kafka)
    if code == _EXPIRED:
        when = f" on {certificate['notAfter']}" if certificate else ""
        return f"has a certificate that expired{when}: the broker needs a new one"
    if code == _NOT_YET:
        when = f" before {certificate['notBefore']}" if certificate else " yet"
        return f"has a certificate that is not valid{when}: check this machine's clock"
    if code in _WRONG_NAME:
        names = ", ".join(name for _, name in certificate.get("subjectAltName", ()))
        return (
            f"has a certificate for {names or 'other names'}, not for {address[0]}: connect by a "
            "name that is in the certificate, or give the broker one for this name"
        )
    return f"has a certificate that is rejected: {error.verify_message}"


def _certificate(address: tuple[str, int], kafka: Mapping[str, Any]) -> dict[str, Any]:
    """Read the certificate, whatever its name and time; empty when that fails."""
    try:
        context = _trusting(kafka)
        context.check_hostname = False
        context.verify_flags |= _IGNORE_TIME
        with connected(address) as plain, context.wrap_socket(plain) as connection:
            return dict(connection.getpeercert() or {})
    except OSError:
        return {}
