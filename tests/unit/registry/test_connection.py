"""Credentials and certificates of a registry: files, and what is wrong with them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from pipeline.errors import RefusedError, RegistryUnavailableError, SettingsError
from pipeline.registry.connection import connect
from pipeline.settings.groups import RegistrySettings
from tests.fake_registry import FakeRegistry, fake_registry
from tests.unit.registry.conftest import impatient


def _problems(**settings: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as raised:
        connect(RegistrySettings(url="http://localhost:1", **settings))
    return raised.value.problems


def test_user_and_password_are_read_from_a_file(server: FakeRegistry, tmp_path: Path) -> None:
    """The password may hold a colon; the line may end in a line feed."""
    file = tmp_path / "user"
    file.write_text("anna:se:cret\n")
    server.authorization = "Basic YW5uYTpzZTpjcmV0"
    impatient(server.url, basic_auth_file=str(file)).ping()
    file.write_text("anna:wrong")
    with pytest.raises(RefusedError, match=f"rejects the credentials in {file}") as raised:
        impatient(server.url, basic_auth_file=str(file)).ping()
    assert "wrong" not in str(raised.value)


def test_token_is_read_for_each_request(server: FakeRegistry, tmp_path: Path) -> None:
    """A token that is replaced in place is used from then on; while it is gone, no record fails."""
    file = tmp_path / "token"
    file.write_text("first")
    client = impatient(server.url, bearer_token_file=str(file))
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        server.authorization = f"Bearer {token}"
        client.ping()
    file.unlink()
    gone = r"bearer_token_file: .*: can't be read: No such file"
    with pytest.raises(RegistryUnavailableError, match=gone):
        client.ping()
    file.write_text("second")
    client.ping()


def test_every_unusable_file_is_named(tmp_path: Path) -> None:
    """All problems are told at once, and no content of a file."""
    empty, text = tmp_path / "empty", tmp_path / "text"
    empty.write_text("\n")
    text.write_text("hunter2")
    wrong = _problems(basic_auth_file=str(empty), ca_file=str(text), certificate_file="absent")
    not_pem = f"schema_registry.ca_file: {text}: is not a certificate (PEM): "
    assert wrong == (
        f"schema_registry.basic_auth_file: {empty}: is empty",
        not_pem + "no certificate or crl found",
        "schema_registry.certificate_file: absent: can't be read: No such file or directory",
    )
    (no_pair,) = _problems(certificate_file=str(text))
    assert no_pair.endswith(f"{text}: is not a certificate with its key (PEM): pem lib")
    assert _problems(basic_auth_file=str(text)) == (
        f"schema_registry.basic_auth_file: {text}: is not user:password on one line",
    )
    text.write_bytes(b"\xff")
    assert _problems(bearer_token_file=str(text)) == (
        f"schema_registry.bearer_token_file: {text}: not UTF-8 text",
    )
    text.write_text("t\u00f6ken")
    assert _problems(bearer_token_file=str(text)) == (
        f"schema_registry.bearer_token_file: {text}: has characters that no token has",
    )
    text.write_text("one\ntwo")
    assert _problems(bearer_token_file=str(text)) == (
        f"schema_registry.bearer_token_file: {text}: is not one line of text",
    )


def test_no_proxy_of_the_environment_is_asked(
    server: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests, and the credentials in them, go to the URL of the settings."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    impatient(server.url).ping()


def test_unusable_authorities_of_the_environment_are_named(
    server: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The HTTP client reads them on its own, which only shows when a file is missing."""
    monkeypatch.setenv("SSL_CERT_FILE", "/absent")
    with pytest.raises(SettingsError, match="authorities that SSL_CERT_FILE or SSL_CERT_DIR names"):
        impatient(server.url)


@pytest.fixture
def authority() -> trustme.CA:
    """An authority that nobody else knows."""
    return trustme.CA()


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[FakeRegistry]:
    """A registry with TLS that asks for a client certificate of the same authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with fake_registry(tls=context) as started:
        yield started


def test_certificates_prove_both_sides(
    tls_server: FakeRegistry, authority: trustme.CA, tmp_path: Path
) -> None:
    """The registry's certificate is verified, and ours shown; without one of them, it says so."""
    ca, certificate, key = (str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.cert_pem.write_to_path(ca)
    own = authority.issue_cert("worker.test")
    own.private_key_pem.write_to_path(key)
    for part in own.cert_chain_pems:
        part.write_to_path(certificate, append=True)
    url = tls_server.url
    impatient(url, ca_file=ca, certificate_file=certificate, key_file=key).ping()
    with pytest.raises(RefusedError, match="can't be trusted: its certificate is not valid for us"):
        impatient(url).ping()
    with pytest.raises(RefusedError, match=r"TLS fails .*client certificate"):
        impatient(url, ca_file=ca).ping()
