"""Turns pydantic's errors into sentences that name the source and the allowed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.settings.names import Leaf, allowed, leaves
from pipeline.settings.sources import Assigned, NamePath


def sentences(
    error: ValidationError, model: type[BaseModel], assigned: Mapping[NamePath, Assigned]
) -> Iterator[str]:
    """A sentence for each invalid value. Unknown names are skipped: they are reported already."""
    by_path = {leaf.path: leaf for leaf in leaves(model)}
    for details in error.errors(include_url=False, include_input=True):
        if details["type"] == "extra_forbidden":
            continue  # reported already, with the closest name
        yield _sentence(details, by_path, assigned)


def _sentence(
    details: ErrorDetails, by_path: Mapping[NamePath, Leaf], assigned: Mapping[NamePath, Assigned]
) -> str:
    place = tuple(str(part) for part in details["loc"] if part != "[key]")
    prefixes = [place[:length] for length in range(len(place), 0, -1)]
    sources = sorted({a.source for path, a in assigned.items() if path[: len(place)] == place})
    source = next((assigned[path].source for path in prefixes if path in assigned), None)
    source = source or ", ".join(sources)
    name = ".".join(place)
    if "ctx" in details and isinstance(cause := details["ctx"].get("error"), ValueError):
        return f"{source}: {name}: {cause}"
    leaf = next((by_path[path] for path in prefixes if path in by_path), None)
    wanted = allowed(leaf.field) if leaf else "a table of settings"
    if details["type"] == "missing":
        return f"{source}: {name}: is missing; allowed: {wanted}"
    shown = _short(details["input"])
    return f"{source}: {name}: {shown} is invalid; allowed: {wanted}"


def _short(value: object) -> str:
    """The value as it was written, on one short line."""
    longest = 60
    text = ascii(value)
    return text if len(text) <= longest else f"{text[:longest]}…"
