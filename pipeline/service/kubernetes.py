"""Asks the Kubernetes API whether this pod of a StatefulSet comes back after it has ended.

A pod gets the same signal for a rolling restart, a drained node and a scale-in. Only the
StatefulSet tells them apart: after a scale-in it wants fewer replicas than this pod's ordinal
needs. The standard library is enough for that one question. Proxies are not used, since the API is
inside the cluster.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.errors import SettingsError, TransportError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Directory of the pod's token, its namespace and the API's certificate authority."""
_POD: Final = re.compile(r"(?P<set>[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)-(?P<ordinal>[0-9]{1,9})")
_LARGEST: Final = 4_194_304
"""Maximum size of an answer that is read. An object in etcd has 1.5 MB at most."""


class PodFate(NamedTuple):
    """What becomes of a pod that is stopped."""

    returns: bool
    """Whether a pod with its name is started again."""
    cause: str
    """Half a sentence that says how this is known."""


class StatefulSetPod:
    """The pod that this process runs in, one of a StatefulSet's."""

    def __init__(
        self, pod: str, environ: Mapping[str, str], account: Path = SERVICE_ACCOUNT
    ) -> None:
        """`pod` is the pod's name. Raises SettingsError when this is no pod of a StatefulSet."""
        match = _POD.fullmatch(pod)
        host, port = (environ.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
        problems = []
        if not host or not port.isdecimal():
            problems.append("this is no pod: KUBERNETES_SERVICE_HOST and _PORT are not set")
        elif match is None:
            problems.append(f"the host name {pod} is not that of a StatefulSet's pod")
        elif not (account / "token").is_file():
            problems.append(
                "the pod has no service account token: set automountServiceAccountToken, and allow "
                "the account to get the StatefulSet"
            )
        if match is None or problems:
            raise SettingsError([f"leave_on_stop: scaled-in is not possible: {problems[0]}"])
        self._host, self._port, self._account = host, int(port), account
        self._name, self._ordinal = match["set"], int(match["ordinal"])

    def fate(self, timeout_s: float) -> PodFate:
        """Ask whether the pod comes back. TransportError when the API does not say so in time."""
        what = f"asking the Kubernetes API for StatefulSet {self._name}"
        try:
            status, body = self._get(timeout_s)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TransportError(f"{what}: {_reason(error, timeout_s)}") from error
        if status == http.HTTPStatus.NOT_FOUND:
            return PodFate(returns=False, cause=f"StatefulSet {self._name} does not exist any more")
        if status == http.HTTPStatus.FORBIDDEN:
            raise TransportError(
                f"{what}: the pod's service account may not get it; grant it the verb get"
            )
        if status != http.HTTPStatus.OK:
            raise TransportError(f"{what}: the answer is HTTP status {status}")
        try:
            return self._judged(json.loads(body))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TransportError(f"{what}: the answer is not a StatefulSet") from error

    def _get(self, timeout_s: float) -> tuple[int, bytes]:
        token, namespace = (self._read(name) for name in ("token", "namespace"))
        trusted = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=timeout_s, context=trusted
        )
        try:
            connection.request(
                "GET",
                f"/apis/apps/v1/namespaces/{namespace}/statefulsets/{self._name}",
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            )
            answer = connection.getresponse()
            return answer.status, answer.read(_LARGEST)
        finally:
            connection.close()

    def _read(self, name: str) -> str:
        return (self._account / name).read_text(encoding="ascii").strip()

    def _judged(self, found: Mapping[str, Any]) -> PodFate:
        if found["metadata"].get("deletionTimestamp"):
            return PodFate(returns=False, cause=f"StatefulSet {self._name} is being deleted")
        replicas = int(found["spec"]["replicas"])
        first = int((found["spec"].get("ordinals") or {}).get("start", 0))
        wanted = f"StatefulSet {self._name} wants {replicas} replica{'s' * (replicas != 1)}"
        if first <= self._ordinal < first + replicas:
            return PodFate(returns=True, cause=f"{wanted}, this pod among them")
        return PodFate(returns=False, cause=f"{wanted}, this pod not among them")


def _reason(error: Exception, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:.0f} s"
    return str(error) or type(error).__name__
