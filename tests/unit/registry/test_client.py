"""The client of a registry: what it finds, and what it says when it does not."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from threading import Event, Thread
from typing import Any, Final
from uuid import UUID

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from pipeline.avro.schema_source import WriterSchema
from pipeline.errors import RefusedError, RegistryUnavailableError, TransportError
from pipeline.registry.client import RegistryClient
from pipeline.registry.unknown_schemas import UnknownSchemas
from pipeline.settings.groups import RegistrySettings
from tests.fake_registry import Answer, FakeRegistry, fake_registry
from tests.unit.registry.conftest import impatient

SUBJECT: Final = "track.enriched-value"
LARGEST_ID: Final = 2**31 - 1
DEEP: Final = b"[" * 100_000


def record(*fields: str) -> str:
    """Return the text of an Avro record with int fields of these names."""
    described = [{"name": name, "type": "int"} for name in fields]
    return json.dumps({"type": "record", "name": "R", "fields": described})


def test_registered_schemas_are_found_again(client: RegistryClient) -> None:
    """A schema is found by subject and text, by id and by GUID once it is registered."""
    assert client.look_up(SUBJECT, record("a")) is None
    assert client.versions(SUBJECT) == []
    registered = client.register(SUBJECT, record("a"))
    assert client.register(SUBJECT, record("b")).version == 2
    assert registered.guid is not None
    assert client.look_up(SUBJECT, record("a")) == registered == client.version(SUBJECT, 1)
    assert client.versions(SUBJECT) == [1, 2]
    assert client.version(SUBJECT, 3) is None
    expected = WriterSchema("avro", record("a"))
    assert client.by_id(registered.schema_id) == client.by_guid(registered.guid) == expected


def test_client_works_on_the_registry_of_confluents_own_tests() -> None:
    """The mock of Confluent's client gives the same answers as a server does."""
    mock = SchemaRegistryClient.new_client({"url": "mock://"})
    client = RegistryClient(RegistrySettings(url="http://mock"), mock, UnknownSchemas(0))
    registered = client.register(SUBJECT, record("a"))
    assert registered.guid is not None
    expected = WriterSchema("avro", record("a"))
    assert client.by_id(registered.schema_id) == client.by_guid(registered.guid) == expected
    assert client.by_id(LARGEST_ID) is None
    assert client.knows_guids()


def test_found_schemas_are_asked_for_only_once(server: FakeRegistry) -> None:
    """A registry that is gone can't be missed for schemas that were found."""
    client = impatient(server.url)
    number = server.register(SUBJECT, {"schema": record("a")})
    expected = client.by_id(number)
    guid = UUID(server.described(number)["guid"])
    assert client.by_guid(guid) == expected
    server.fail(Answer(500))
    del server.asked[:]
    assert client.by_id(number) == client.by_guid(guid) == expected
    assert server.asked == []


def test_unknown_schemas_are_asked_for_once_in_a_while(
    server: FakeRegistry, client: RegistryClient
) -> None:
    """Records with the same unknown id cost one request, also the highest id that there is."""
    assert [client.by_id(LARGEST_ID) for _ in range(5)] == [None] * 5
    assert server.asked == [f"GET /schemas/ids/{LARGEST_ID}"]


def test_id_that_the_registry_knows_late_is_found(server: FakeRegistry) -> None:
    """An unknown id is asked for again, since it may reach a node late."""
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            server.register(SUBJECT, {"schema": record("a")})

    unknown = UnknownSchemas(sleep=sleep)
    client = RegistryClient(RegistrySettings(url=server.url), unknown=unknown)
    assert client.by_id(1) == WriterSchema("avro", record("a"))
    assert len(pauses) == 2


def test_json_and_protobuf_schemas_are_told_apart(
    server: FakeRegistry, client: RegistryClient
) -> None:
    """The language of a schema is that of its registration."""
    for kind, text in (("JSON", "{}"), ("PROTOBUF", "message A {}")):
        number = server.register(SUBJECT, {"schema": text, "schemaType": kind})
        found = client.by_id(number)
        assert found is not None
        assert found.kind == kind.lower()


def test_references_come_before_the_schemas_that_use_them(
    server: FakeRegistry, client: RegistryClient
) -> None:
    """The schemas that one refers to are found with it, directly or not, each once."""

    def reference(name: str) -> dict[str, Any]:
        return {"name": name, "subject": f"s.{name}", "version": 1}

    server.register("s.C", {"schema": '"C"'})
    server.register("s.B", {"schema": '"B"', "references": [reference("C")]})
    uses = {"schema": '"A"', "references": [reference("B"), reference("C")]}
    found = client.by_id(server.register("s.A", uses))
    assert found == WriterSchema("avro", '"A"', (("C", '"C"'), ("B", '"B"')))


def test_schemas_that_refer_to_each_other_end_the_search(
    server: FakeRegistry, client: RegistryClient
) -> None:
    """A circle of references, which no registry should take, is walked once."""
    circle = [{"name": "A", "subject": "s", "version": 1}]
    found = client.by_id(server.register("s", {"schema": '"A"', "references": circle}))
    assert found == WriterSchema("avro", '"A"', (("A", '"A"'),))


def test_registry_without_guids_knows_no_guid() -> None:
    """A forged GUID does not stop anybody: the schema is unknown."""
    with fake_registry(guids=False) as server:
        client = impatient(server.url)
        assert not client.knows_guids()
        assert client.by_guid(UUID(int=7)) is None
        assert client.register(SUBJECT, record("a")).guid is None


@pytest.mark.parametrize("apicurio", [False, True])
def test_level_of_a_subject_is_its_own_or_the_registrys(
    server: FakeRegistry, client: RegistryClient, *, apicurio: bool
) -> None:
    """Apicurio knows no levels of unknown subjects; without a parameter it calls no level NONE."""
    server.is_apicurio = apicurio
    assert client.compatibility(SUBJECT) == "BACKWARD"
    server.register(SUBJECT, {"schema": record("a")})
    assert client.compatibility(SUBJECT) == "BACKWARD"
    client.set_compatibility(SUBJECT, "FULL_TRANSITIVE")
    assert client.compatibility(SUBJECT) == "FULL_TRANSITIVE"
    client.set_compatibility(SUBJECT, "NONE")
    assert client.compatibility(SUBJECT) == "NONE"


def test_one_schema_that_is_forbidden_stops_nobody(
    server: FakeRegistry, client: RegistryClient
) -> None:
    """A sender can name any id: while we may read others, one that we may not is unknown."""
    allowed = server.register(SUBJECT, {"schema": record("a")})
    secret = server.register("secret-value", {"schema": record("b")})
    server.forbidden = f"/schemas/ids/{secret}"
    with pytest.raises(RefusedError, match="does not let us read schema id"):
        client.by_id(secret)
    assert client.by_id(allowed)
    assert client.by_id(secret) is None
    server.forbidden = "/schemas/ids/"
    third = server.register("third-value", {"schema": record("c")})
    with pytest.raises(RefusedError, match="does not let us read schema id"):
        client.by_id(third)


HTML: Final = b"<html><body>Sign in</body></html>"
NO_CODE: Final = json.dumps({"error_code": 404, "message": "HTTP 404 Not Found"}).encode()
INVALID: Final = json.dumps({"error_code": 42201, "message": "Bad\x1b[31m schema"}).encode()
_FAILURES: Final[dict[str, tuple[Answer, type[TransportError], str]]] = {
    "401": (Answer(401), RefusedError, "asks for credentials: set schema_registry.basic_auth_file"),
    "403": (Answer(403), RefusedError, "does not let us read schema id 1 (HTTP 403)"),
    "404 of no registry": (Answer(404, HTML, "text/html"), RefusedError, "has no such API"),
    "404 without a code": (Answer(404, NO_CODE), RefusedError, "HTTP 404: HTTP 404 Not Found"),
    "409": (Answer(409), RefusedError, "rejects the request"),
    "422": (Answer(422, INVALID), RefusedError, "HTTP 422: Bad\\u001b[31m schema"),
    "302": (Answer(302), RefusedError, "redirects"),
    "429": (Answer(429), RegistryUnavailableError, "fails (read schema id 1): HTTP 429"),
    "500": (Answer(500), RegistryUnavailableError, "fails (read schema id 1): HTTP 500"),
    "502 in HTML": (Answer(502, HTML, "text/html"), RegistryUnavailableError, "HTTP 502"),
    "503 of a list": (Answer(503, b"[1]"), RegistryUnavailableError, "HTTP 503"),
    "HTML": (Answer(200, HTML, "text/html"), RegistryUnavailableError, "not the JSON expected"),
    "nothing": (Answer(200), RegistryUnavailableError, "not the JSON expected"),
    "a number": (Answer(200, b"7"), RegistryUnavailableError, "not the JSON expected"),
    "a list": (Answer(200, b"[]"), RegistryUnavailableError, "not the JSON expected"),
    "deep JSON": (Answer(200, DEEP), RegistryUnavailableError, "not the JSON expected"),
    "no schema": (Answer(200, b"{}"), RegistryUnavailableError, "its answer has no schema"),
    "a schema that is no JSON": (
        Answer(200, b'{"schema": "{"}'),
        RegistryUnavailableError,
        "the schema in its answer is not JSON",
    ),
    "a number as schema": (
        Answer(200, b'{"schema": 7}'),
        RegistryUnavailableError,
        "its answer has no schema",
    ),
    "an unknown language": (
        Answer(200, b'{"schema": "s", "schemaType": "THRIFT"}'),
        RegistryUnavailableError,
        "its answer has an unknown schemaType",
    ),
    "a wrong reference": (
        Answer(200, b'{"schema": "s", "references": [{"name": 7}]}'),
        RegistryUnavailableError,
        "does not answer as a registry",
    ),
}


@pytest.mark.parametrize("name", _FAILURES)
def test_every_wrong_answer_is_one_sentence(
    name: str, server: FakeRegistry, client: RegistryClient
) -> None:
    """The sentence names the registry, and the schema is found when the registry is well again."""
    answer, kind, sentence = _FAILURES[name]
    server.register(SUBJECT, {"schema": record("a")})
    server.fail(answer)
    with pytest.raises(kind) as raised:
        client.by_id(1)
    text = str(raised.value)
    assert text.startswith(f"the Schema Registry at {server.url} ")
    assert sentence in text
    assert text.isprintable()
    server.fail()
    assert client.by_id(1) == WriterSchema("avro", record("a"))


@pytest.mark.parametrize("answer", ["true", '"1"', "1.5", "-1", str(2**31), "null"])
def test_id_that_is_none_is_not_believed(
    answer: str, server: FakeRegistry, client: RegistryClient
) -> None:
    """An id that is not a number from 0 to 2^31 - 1 is a malformed answer, and never a prefix."""
    server.fail(Answer(200, f'{{"schema": "s", "version": 1, "id": {answer}}}'.encode()))
    with pytest.raises(RegistryUnavailableError, match="its answer has no valid id"):
        client.look_up(SUBJECT, record("a"))


@pytest.mark.parametrize("text", ['{"is_compatible": "yes"}', '{"is_compatible": null}', "{}"])
def test_answer_without_a_verdict_is_not_taken_for_one(
    text: str, server: FakeRegistry, client: RegistryClient
) -> None:
    """Only true and false say whether a schema is compatible."""
    server.fail(Answer(200, text.encode()))
    with pytest.raises(RegistryUnavailableError, match="does not answer as a registry"):
        client.is_compatible(SUBJECT, record("a"))


def test_registry_that_hangs_is_given_up_in_time(server: FakeRegistry) -> None:
    """A request without an answer ends within the limit."""
    server.opened.clear()
    with pytest.raises(RegistryUnavailableError, match=r"does not answer within 0.1 s"):
        impatient(server.url, timeout_s=0.1).ping()


class _EndlessClient(SchemaRegistryClient):
    """A client whose answer never ends, as that of a server which sends a byte now and then."""

    def __init__(self, ends: Event) -> None:
        super().__init__({"url": "http://127.0.0.1:1"})
        self._ends = ends

    def get_schema_types(self) -> list[str]:
        self._ends.wait(30)
        return []


def test_answer_that_never_ends_is_given_up_in_time() -> None:
    """The time of a whole request is limited, not only that between two bytes."""
    ends = Event()
    client = RegistryClient(
        RegistrySettings(url="http://127.0.0.1:1", timeout_s=0.1), _EndlessClient(ends)
    )
    with pytest.raises(RegistryUnavailableError, match="does not finish its answer within"):
        client.ping()
    ends.set()


def _drip(listener: socket.socket, closed: Event) -> None:
    """Answer one request without an end, until its sender closes the connection."""
    connection, _address = listener.accept()
    with connection, suppress(OSError):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not closed.wait(0.01):
            connection.sendall(b"1\r\n \r\n")
    closed.set()


def test_answer_that_never_ends_is_not_read_any_further() -> None:
    """Otherwise it would fill the memory; the next request has a connection of its own."""
    closed = Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=_drip, args=(listener, closed), daemon=True).start()
        # The pieces of the answer must come faster than that, on a slow machine too.
        client = impatient(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=1)
        with pytest.raises(RegistryUnavailableError, match="does not finish its answer within"):
            client.ping()
        assert closed.wait(10)
        with pytest.raises(RegistryUnavailableError, match="does not answer within"):
            client.ping()


def test_registry_that_is_not_there_is_named() -> None:
    """Where nobody listens, the sentence says what to check."""
    with pytest.raises(
        RegistryUnavailableError, match="can't be reached: Connection refused; check that it runs"
    ):
        impatient("http://127.0.0.1:1").ping()


def test_server_without_tls_can_not_be_trusted(server: FakeRegistry) -> None:
    """A URL with https of a server that speaks http is the operator's to mend."""
    with pytest.raises(
        RefusedError, match=r"can't be trusted: TLS fails \(.*\): check that it wants https"
    ):
        impatient(server.url.replace("http:", "https:")).ping()


def test_second_url_is_asked_when_the_first_is_silent(server: FakeRegistry) -> None:
    """Several URLs are of one registry: any of them will do."""
    impatient(f"http://127.0.0.1:1, {server.url}").ping()
    assert server.asked == ["GET /schemas/types"]


def test_schema_that_is_not_found_after_its_registration_is_no_success(
    server: FakeRegistry, client: RegistryClient
) -> None:
    """A registry that forgets what it has just taken is not well."""
    server.fail(Answer(200, b'{"id": 1}'), Answer(404, b'{"error_code": 40403, "message": "no"}'))
    with pytest.raises(RegistryUnavailableError, match="does not find the schema that it has just"):
        client.register(SUBJECT, record("a"))
