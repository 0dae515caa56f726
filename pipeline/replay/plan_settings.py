"""The settings that a plan keeps, so that the id of a replay is all that it takes to go on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import reduce
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from pipeline.errors import RefusedError
from pipeline.replay.plan import Plan
from pipeline.settings.model import Settings
from pipeline.settings.names import leaves

_GROUPS: Final = ("topics", "group")
"""What is kept besides the rules: a comparison looks at the live topics and their group."""
_LONGEST: Final = 80


class Differing(NamedTuple):
    """A setting that is another one than in a plan."""

    name: str
    planned: Any
    """As a JSON value."""
    now: Any
    source: str
    """Where the value of now was set; empty for one that is a default."""

    def __str__(self) -> str:
        return f"{self.name} is {_text(self.planned)} in its plan, not {_text(self.now)}" + (
            f" ({self.source})" if self.source else ""
        )


def _text(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def kept_settings(settings: Settings) -> dict[str, Any]:
    """As JSON values; no secret is among them."""
    return {**settings.rules_only(), **settings.model_dump(mode="json", include=set(_GROUPS))}


def settings_hash(settings: Settings) -> str:
    """Of what decides what is written, beyond the contract: the headers of dead letters."""
    plain = settings.rules_only()["dead_letter"]
    text = json.dumps([settings.contract(), plain], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def with_kept(settings: Settings, plan: Plan) -> Settings:
    """These settings, but those that the plan keeps are the plan's.

    RefusedError when this version of the program does not know them.
    """
    if plan.kept is None:
        return settings
    try:
        planned = Settings.model_validate(plan.kept)
    except ValidationError as error:
        raise RefusedError(
            f"replay {plan.id} was planned by version {plan.version}, whose settings this version "
            "does not know: go on with that version, or make a new replay"
        ) from error
    return settings.model_copy(update={name: getattr(planned, name) for name in plan.kept})


def differing_settings(settings: Settings, plan: Plan) -> Iterator[Differing]:
    """The settings that are others than those that the plan keeps."""
    planned, now = kept_settings(with_kept(settings, plan)), kept_settings(settings)
    for leaf in leaves(Settings):
        if leaf.path[0] not in now:
            continue
        then, here = (reduce(dict.__getitem__, leaf.path, each) for each in (planned, now))
        if then != here:
            yield Differing(leaf.name, then, here, settings.sources.get(leaf.name, ""))


def planned_anew(plan: Plan, settings: Settings) -> dict[str, Any]:
    """The fields of a plan that goes on under the rules of now."""
    kept = None if plan.kept is None else {**plan.kept, **settings.rules_only()}
    return {"contract": settings.contract(), "settings": settings_hash(settings), "kept": kept}
