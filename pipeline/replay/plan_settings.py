"""The settings that a plan keeps, so that the id of a replay is all that it takes to go on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from pipeline.errors import RefusedError, SettingsError
from pipeline.replay.plan import ReplayPlan
from pipeline.settings.contradictions import without_registry
from pipeline.settings.model import Settings
from pipeline.settings.names import leaves

_GROUPS: Final = ("topics", "group")
"""What a plan keeps besides the rules: a comparison looks at the live topics and their group."""
_LONGEST: Final = 80


class DifferingSetting(NamedTuple):
    """A setting that has another value in a plan."""

    name: str
    planned: Any
    """The value in the plan, as JSON."""
    now: Any
    source: str
    """Source of the current value; empty for a default."""

    def __str__(self) -> str:
        return f"{self.name} is {_text(self.planned)} in its plan, not {_text(self.now)}" + (
            f" ({self.source})" if self.source else ""
        )


def _text(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def plan_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that a plan keeps, as JSON values; no secret is among them.

    The framing of Avro is kept as it is, not as what an unset one means under other settings.
    """
    plain = settings.rules_only()
    if settings.output.format == "avro":
        # Here: JSON needs nothing of Avro.
        from pipeline.registry.output_schemas import framing_of  # noqa: PLC0415

        plain["output"]["framing"] = framing_of(settings)
    return {**plain, **settings.model_dump(mode="json", include=set(_GROUPS))}


def settings_hash(settings: Settings) -> str:
    """Hash what decides what is written: the contract, and the headers of dead letters."""
    plain = settings.rules_only()["dead_letter"]
    text = json.dumps([settings.contract(), plain], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def with_plan_settings(settings: Settings, plan: ReplayPlan) -> Settings:
    """Replace those of the settings that the plan keeps by the plan's.

    Raises RefusedError when this version of the program does not know them, and SettingsError when
    the connection of now has no Schema Registry that they need.
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
    joined = settings.model_copy(update={name: getattr(planned, name) for name in plan.kept})
    if joined.schema_registry.url is None:
        found = list(without_registry(joined.input, joined.output))
        if found:
            raise SettingsError(f"replay {plan.id}: {name}: {wrong}" for name, wrong in found)
    return joined


def differing_settings(settings: Settings, plan: ReplayPlan) -> Iterator[DifferingSetting]:
    """Yield the settings that differ from those that the plan keeps."""
    planned, now = plan_settings(with_plan_settings(settings, plan)), plan_settings(settings)
    for leaf in leaves(Settings):
        if leaf.path[0] not in now:
            continue
        then, here = (reduce(dict.__getitem__, leaf.path, each) for each in (planned, now))
        if then != here:
            yield DifferingSetting(leaf.name, then, here, settings.sources.get(leaf.name, ""))


def replan(plan: ReplayPlan, settings: Settings) -> ReplayPlan:
    """Give a plan the rules of now."""
    kept = None if plan.kept is None else {**plan.kept, **settings.rules_only()}
    return replace(plan, contract=settings.contract(), settings=settings_hash(settings), kept=kept)
