"""The fields that we use of kinds that Kubernetes itself does not know, and their types.

Their definitions are the Prometheus Operator's and KEDA's, which publish no package of schemas. The
lists are short and made by hand: a key that is not here is a misspelling, or has to be looked up.
"""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_TEXTS: Final = {"type": "object", "additionalProperties": _TEXT}
_DURATION: Final = {"type": "string", "pattern": r"^(\d+(ms|s|m|h|d))+$"}


def _fields(**fields: Any) -> dict[str, Any]:
    """An object that has these fields and no others."""
    return {"type": "object", "additionalProperties": False, "properties": fields}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


_RULE: Final = _fields(
    record=_TEXT,
    alert=_TEXT,
    expr=_TEXT,
    keep_firing_for=_DURATION,
    labels=_TEXTS,
    annotations=_TEXTS,
    **{"for": _DURATION},
) | {"required": ["expr"], "oneOf": [{"required": ["record"]}, {"required": ["alert"]}]}

SPECS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _fields(
        jobLabel=_TEXT,
        selector=_fields(matchLabels=_TEXTS),
        endpoints=_list(_fields(port=_TEXT, path=_TEXT, interval=_DURATION)),
    )
    | {"required": ["selector", "endpoints"]},
    ("monitoring.coreos.com/v1", "PrometheusRule"): _fields(
        groups=_list(_fields(name=_TEXT, interval=_DURATION, rules=_list(_RULE)))
    )
    | {"required": ["groups"]},
    ("keda.sh/v1alpha1", "ScaledObject"): _fields(
        scaleTargetRef=_fields(apiVersion=_TEXT, kind=_TEXT, name=_TEXT),
        minReplicaCount=_NUMBER,
        maxReplicaCount=_NUMBER,
        pollingInterval=_NUMBER,
        cooldownPeriod=_NUMBER,
        advanced=_fields(
            horizontalPodAutoscalerConfig=_fields(
                behavior=_fields(scaleDown=_fields(stabilizationWindowSeconds=_NUMBER))
            )
        ),
        triggers=_list(
            _fields(
                type={"const": "kafka"},
                # All of KEDA's metadata is text.
                metadata=_fields(
                    bootstrapServers=_TEXT,
                    consumerGroup=_TEXT,
                    topic=_TEXT,
                    lagThreshold=_TEXT,
                    offsetResetPolicy={"enum": ["earliest", "latest"]},
                    sasl=_TEXT,
                    tls={"enum": ["enable", "disable"]},
                ),
                authenticationRef=_fields(name=_TEXT),
            )
        ),
    )
    | {"required": ["scaleTargetRef", "triggers"]},
}
"""API version and kind → JSON Schema of `spec`."""
