"""Why a TLS connection to a broker fails, found out by connecting once more.

The client says the same of every certificate that it refuses. Python's ssl module tells them
apart, with the client's own settings of what to trust.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

LIMIT_S: Final = 2.0
"""For each step of a connection."""

_EXPIRED: Final = 10
_NOT_YET: Final = 9
_WRONG_NAME: Final = frozenset({62, 64})
_NOT_TRUSTED: Final = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's numbers of why a certificate is refused (X509_V_ERR_…)."""
_IGNORE_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME."""
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING"})


def is_off(value: object) -> bool:
    """Whether a boolean property of the client's has a value other than true."""
    return str(value).lower() not in {"true", "t", "1"}


def uses_tls(kafka: Mapping[str, Any]) -> bool:
    """Whether the client encrypts its connections."""
    return str(kafka.get("security.protocol", "")).lower().endswith("ssl")


def connected(address: tuple[str, int]) -> socket.socket:
    """A connection; OSError when there is none to be had."""
    return socket.create_connection(address, LIMIT_S)


def secured(plain: socket.socket, host: str, kafka: Mapping[str, Any]) -> ssl.SSLSocket:
    """The connection after a handshake as the client would make it; SSLError or OSError."""
    context = _trusting(kafka)
    if is_off(kafka.get("enable.ssl.certificate.verification", True)):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif str(kafka.get("ssl.endpoint.identification.algorithm", "https")).lower() != "https":
        context.check_hostname = False
    return context.wrap_socket(plain, server_hostname=host)


def speaks_tls(address: tuple[str, int]) -> bool:
    """Whether a server answers a TLS handshake, whatever its certificate is worth."""
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
    """What is wrong when `secured` has failed so, and what to do; begins after the address."""
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
    """The broker has ended the handshake with an alert."""
    if "ssl.keystore.location" in kafka or "ssl.certificate.pem" in kafka:
        return None  # ssl reads no such certificate, so that the client may well have shown one
    if "ssl.certificate.location" in kafka:
        return f"refuses the TLS connection ({said}): is the client certificate the right one?"
    return (
        f"refuses the TLS connection ({said}): if it wants a client certificate, set "
        "ssl.certificate.location and ssl.key.location"
    )


def _trusting(kafka: Mapping[str, Any]) -> ssl.SSLContext:
    """A context that trusts whom the client trusts, and has its certificate if that is in files."""
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
        # A password always, or OpenSSL would ask the terminal for one.
        context.load_cert_chain(certificate, key, kafka.get("ssl.key.password", ""))
    return context


def _certificate_fault(
    error: ssl.SSLCertVerificationError, address: tuple[str, int], kafka: Mapping[str, Any]
) -> str:
    code = error.verify_code
    if code in _NOT_TRUSTED:
        return (
            "shows a certificate of an authority that is not trusted: set ssl.ca.location to the "
            "certificate of the authority that signed it"
        )
    certificate = _certificate(address, kafka)
    if code == _EXPIRED:
        when = f" on {certificate['notAfter']}" if certificate else ""
        return f"shows a certificate that expired{when}: the broker needs a new one"
    if code == _NOT_YET:
        when = f" before {certificate['notBefore']}" if certificate else " yet"
        return f"shows a certificate that is not valid{when}: is this machine's clock right?"
    if code in _WRONG_NAME:
        names = ", ".join(name for _, name in certificate.get("subjectAltName", ()))
        return (
            f"shows a certificate for {names or 'other names'}, not for {address[0]}: connect by a "
            "name that is in the certificate, or give the broker one for this name"
        )
    return f"shows a certificate that is refused: {error.verify_message}"


def _certificate(address: tuple[str, int], kafka: Mapping[str, Any]) -> dict[str, Any]:
    """What the certificate says, whatever its name and time; empty when it can't be had."""
    try:
        context = _trusting(kafka)
        context.check_hostname = False
        context.verify_flags |= _IGNORE_TIME
        with connected(address) as plain, context.wrap_socket(plain) as connection:
            return dict(connection.getpeercert() or {})
    except OSError:
        return {}
