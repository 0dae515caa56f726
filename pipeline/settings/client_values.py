"""The properties of librdkafka and the values that each of them may have.

The table is copied from the pinned version of the client; a test keeps the two in step. With it,
a wrong property is reported together with all other wrong settings, with the closest right name,
and before a client exists.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

from pipeline.settings.names import nearest

_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")
"""Matches an integer. The client itself is less strict: it reads `10s` as 10, and `010` as 8."""
_DECIMAL: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_TRUE_OR_FALSE: Final = frozenset({"true", "t", "1", "false", "f", "0"})
_NAME: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
"""Matches printable ASCII without leading or trailing spaces."""
_NAMES: Final = frozenset({"client.id", "client.rack"})
_CLIENTS: Final = {"C": "consumer", "P": "producer"}
_INVALID: Final = "the value is invalid; allowed:"
"""Beginning of a message. It never quotes the value, which may be a misplaced password."""
_BOOLEAN: Final = "boolean"
_TEXT: Final = "text"
_TABLE: Final = """
acks P -1..1000
allow.auto.create.topics * boolean
api.version.fallback.ms * 0..604800000
api.version.request * boolean
api.version.request.timeout.ms * 1..300000
auto.commit.enable C boolean
auto.commit.interval.ms C 10..86400000
auto.offset.reset C smallest|earliest|beginning|largest|latest|end|error
batch.num.messages P 1..1000000
batch.size P 1..2147483647
bootstrap.servers * text
broker.address.family * any|v4|v6
broker.address.ttl * 0..86400000
broker.version.fallback * text
builtin.features * text
check.crcs C boolean
client.dns.lookup * use_all_dns_ips|resolve_canonical_bootstrap_servers_only
client.id * text
client.rack * text
compression.codec P none|gzip|snappy|lz4|zstd|inherit
compression.level P -1..12
compression.type P none|gzip|snappy|lz4|zstd
connections.max.idle.ms * 0..2147483647
consume.callback.max.messages C 0..1000000
coordinator.query.interval.ms C 1..3600000
debug * text
delivery.report.only.error P boolean
delivery.timeout.ms P 0..2147483647
enable.auto.commit C boolean
enable.auto.offset.store C boolean
enable.gapless.guarantee P boolean
enable.idempotence P boolean
enable.metrics.push * boolean
enable.partition.eof C boolean
enable.random.seed * boolean
enable.sasl.oauthbearer.unsecure.jwt * boolean
enable.ssl.certificate.verification * boolean
enabled_events * 0..2147483647
fetch.error.backoff.ms C 0..300000
fetch.max.bytes C 0..2147483135
fetch.message.max.bytes C 1..1000000000
fetch.min.bytes C 0..2147483647
fetch.queue.backoff.ms C 0..300000
fetch.wait.max.ms C 0..300000
group.id C text
group.instance.id C text
group.protocol C classic|consumer
group.protocol.type C text
group.remote.assignor C text
heartbeat.interval.ms C 1..3600000
https.ca.location * text
https.ca.pem * text
internal.termination.signal * 0..128
isolation.level C read_uncommitted|read_committed
linger.ms P 0.0..900000
log.connection.close * boolean
log.queue * boolean
log.thread.name * boolean
log_level * 0..7
max.in.flight * 1..1000000
max.in.flight.requests.per.connection * 1..1000000
max.partition.fetch.bytes C 1..1000000000
max.poll.interval.ms C 1..86400000
max.poll.records C 1..2147483647
message.copy.max.bytes * 0..1000000000
message.max.bytes * 1000..1000000000
message.send.max.retries P 0..2147483647
message.timeout.ms P 0..2147483647
metadata.broker.list * text
metadata.max.age.ms * 1..86400000
metadata.recovery.rebootstrap.trigger.ms * 0..2147483647
metadata.recovery.strategy * none|rebootstrap
offset.store.method C none|file|broker
offset.store.path C text
offset.store.sync.interval.ms C -1..86400000
partition.assignment.strategy C text
partitioner P text
plugin.library.paths * text
produce.offset.report P boolean
queue.buffering.backpressure.threshold P 1..1000000
queue.buffering.max.kbytes P 1..2147483647
queue.buffering.max.messages P 0..2147483647
queue.buffering.max.ms P 0.0..900000
queued.max.messages.kbytes C 1..2097151
queued.min.messages C 1..10000000
queuing.strategy P fifo|lifo
receive.message.max.bytes * 1000..2147483647
reconnect.backoff.jitter.ms * 0..3600000
reconnect.backoff.max.ms * 0..3600000
reconnect.backoff.ms * 0..3600000
request.required.acks P -1..1000
request.timeout.ms P 1..900000
retries P 0..2147483647
retry.backoff.max.ms * 1..300000
retry.backoff.ms * 1..300000
sasl.kerberos.keytab * text
sasl.kerberos.kinit.cmd * text
sasl.kerberos.min.time.before.relogin * 0..86400000
sasl.kerberos.principal * text
sasl.kerberos.service.name * text
sasl.mechanism * text
sasl.mechanisms * text
sasl.oauthbearer.assertion.algorithm * RS256|ES256
sasl.oauthbearer.assertion.claim.aud * text
sasl.oauthbearer.assertion.claim.exp.seconds * 1..2147483647
sasl.oauthbearer.assertion.claim.iss * text
sasl.oauthbearer.assertion.claim.jti.include * boolean
sasl.oauthbearer.assertion.claim.nbf.seconds * 0..2147483647
sasl.oauthbearer.assertion.claim.sub * text
sasl.oauthbearer.assertion.file * text
sasl.oauthbearer.assertion.jwt.template.file * text
sasl.oauthbearer.assertion.private.key.file * text
sasl.oauthbearer.assertion.private.key.passphrase * text
sasl.oauthbearer.assertion.private.key.pem * text
sasl.oauthbearer.client.credentials.client.id * text
sasl.oauthbearer.client.credentials.client.secret * text
sasl.oauthbearer.client.id * text
sasl.oauthbearer.client.secret * text
sasl.oauthbearer.config * text
sasl.oauthbearer.extensions * text
sasl.oauthbearer.grant.type * client_credentials|urn:ietf:params:oauth:grant-type:jwt-bearer
sasl.oauthbearer.metadata.authentication.type * none|azure_imds|aws_iam
sasl.oauthbearer.method * default|oidc
sasl.oauthbearer.scope * text
sasl.oauthbearer.sub.claim.name * text
sasl.oauthbearer.token.endpoint.url * text
sasl.password * text
sasl.username * text
security.protocol * plaintext|ssl|sasl_plaintext|sasl_ssl
session.timeout.ms C 1..3600000
share.acknowledgement.mode C text
socket.blocking.max.ms * 1..60000
socket.connection.setup.timeout.ms * 1000..2147483647
socket.keepalive.enable * boolean
socket.max.fails * 0..1000000
socket.nagle.disable * boolean
socket.receive.buffer.bytes * 0..100000000
socket.send.buffer.bytes * 0..100000000
socket.timeout.ms * 10..300000
ssl.ca.certificate.stores * text
ssl.ca.location * text
ssl.ca.pem * text
ssl.certificate.location * text
ssl.certificate.pem * text
ssl.cipher.suites * text
ssl.crl.location * text
ssl.curves.list * text
ssl.endpoint.identification.algorithm * none|https
ssl.engine.id * text
ssl.engine.location * text
ssl.key.location * text
ssl.key.password * text
ssl.key.pem * text
ssl.keystore.location * text
ssl.keystore.password * text
ssl.providers * text
ssl.sigalgs.list * text
statistics.interval.ms * 0..86400000
sticky.partitioning.linger.ms P 0..900000
topic.blacklist * text
topic.metadata.propagation.max.ms * 0..3600000
topic.metadata.refresh.fast.cnt * 0..1000
topic.metadata.refresh.fast.interval.ms * 1..60000
topic.metadata.refresh.interval.ms * -1..3600000
topic.metadata.refresh.sparse * boolean
transaction.timeout.ms P 1000..2147483647
transactional.id P text
"""
"""Name, client (Consumer, Producer or *), and the range, the words or the type of the values."""


class Property(NamedTuple):
    """A property: its client, and its values as in the table."""

    client: str
    values: str


@cache
def properties() -> dict[str, Property]:
    """All properties by name."""
    rows = (line.split() for line in _TABLE.strip().splitlines())
    return {name: Property(client, values) for name, client, values in rows}


def named_by_variable(text: str) -> str:
    """Property named by the end of a variable, such as `sasl_mechanism` or `log_level`."""
    return text if text in properties() else text.replace("_", ".")


def problem(table: str, name: str, value: str) -> str | None:
    """The problem with a property in a table of settings; the table `kafka` is for all clients."""
    found = properties().get(name)
    if found is None:
        hint = nearest(name, properties()) or "; see its CONFIGURATION.md"
        return f"librdkafka has no such property{hint}"
    owner = _CLIENTS.get(found.client)
    if owner is not None and table not in {"kafka", owner}:
        return f"is a property of the {owner}: set it as {owner}.{name}"
    if name in _NAMES and not _NAME.fullmatch(value):
        return f"{_INVALID} printable ASCII without outer spaces"
    return _problem_of_value(value, found.values)


def _problem_of_value(value: str, values: str) -> str | None:
    if values == _TEXT:
        return None
    if values == _BOOLEAN:
        is_valid, expected = value.lower() in _TRUE_OR_FALSE, "true or false"
    elif ".." in values:
        low, _, high = values.partition("..")
        form, kind = (_DECIMAL, "a number") if "." in low else (_INTEGER, "a whole number")
        is_valid = bool(form.fullmatch(value)) and float(low) <= float(value) <= float(high)
        expected = f"{kind} from {low} to {high}"
    else:
        words = values.split("|")
        is_valid, expected = value.lower() in map(str.lower, words), f"one of {', '.join(words)}"
    return None if is_valid else f"{_INVALID} {expected}"
