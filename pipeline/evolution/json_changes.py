"""What differs between two JSON Schemas, for someone who reads documents of both.

Each change may reject documents that were valid, accept documents that were not, or both. A reader
of the new schema can read all old documents when no change rejects any, a reader of the old schema
all new documents when no change accepts more. A rule that can't be weighed (`if`, `not`, another
pattern) counts as both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, Final, NamedTuple

from pipeline.core.encode import encode_json
from pipeline.errors import SchemaFileError
from pipeline.evolution.change import (
    ChangeKind,
    SchemaChange,
    SchemaDifference,
    listed_changes,
    member_text,
)
from pipeline.evolution.json_schema import (
    DESCRIPTION,
    JsonSchema,
    branches,
    described,
    load_json_schema,
    plain,
    types_of,
    values_of,
)

_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER_BOUNDS: Final = tuple(
    name.replace("max", "min").replace("Max", "Min") for name in _UPPER_BOUNDS
)
_COMPARED: Final = frozenset(
    {DESCRIPTION, "type", "enum", "const", "required", "properties", "patternProperties"}
    | {"additionalProperties", "items", "pattern", *_UPPER_BOUNDS, *_LOWER_BOUNDS}
)
_THEN: Final = frozenset({"then", "else"})
_BOTH_WAYS: Final = _THEN | {"if", "prefixItems", "unevaluatedItems", "unevaluatedProperties"}
"""Rules that may reject and accept documents even where there was none, since others depend on
them."""
_OTHER_RULES: Final = frozenset({"patternProperties", "unevaluatedProperties"})
"""What else may say what a property must be that has no schema of its own."""
_WORDS: Final = re.compile(r"(.*?\(\?:)([\w|\[\]]+)(\).*)")
"""A pattern that allows a list of words."""
_ANY_CASE: Final = re.compile(r"\[(\w)\w\]")
_LONGEST_RULE: Final = 60
_CONTEXT: Final = 15
"""Number of characters that are shown in front of the first difference."""


class WeighedChange(NamedTuple):
    """A change, and what it may do to documents."""

    change: SchemaChange
    rejects: bool = False
    """Whether it may reject documents that were valid."""
    accepts: bool = False
    """Whether it may accept documents that were not valid."""


def json_difference(old: str, new: str, name: str, old_name: str = "") -> SchemaDifference:
    """Compare the texts of two JSON Schemas; `name` is what the result calls them.

    `old_name` is what an error calls the old one when that has another name.

    Raises:
        SchemaFileError: One of the texts is no JSON Schema.
    """
    before = load_json_schema(old, f"the old {old_name or name}")
    after = load_json_schema(new, f"the new {name}")
    try:
        found = list(dict.fromkeys(_of_schemas("", before, after)))
    except (AttributeError, RecursionError, TypeError) as error:
        raise SchemaFileError(
            f"the old {old_name or name} or the new {name} has a keyword whose value is of the "
            f"wrong kind ({error})"
        ) from error
    return SchemaDifference(
        name,
        tuple(each.change for each in found),
        tuple(dict.fromkeys(_where(each.change) for each in found if each.rejects)),
        tuple(dict.fromkeys(_where(each.change) for each in found if each.accepts)),
    )


def _where(change: SchemaChange) -> str:
    return change.field or "the whole document"


def _of_schemas(path: str, old: JsonSchema, new: JsonSchema) -> Iterator[WeighedChange]:
    """Compare two schemas, and all that is in them."""
    if old == new:
        return
    if old.get(DESCRIPTION) != new.get(DESCRIPTION):
        words = new.get(DESCRIPTION) or "none any more"
        yield WeighedChange(SchemaChange(path, ChangeKind.DESCRIPTION, words))
    before, after = branches(old), branches(new)
    if len(before) > 1 or len(after) > 1:
        yield from _of_branches(path, before, after)
        return
    yield from _of_types(path, old, new)
    yield from _of_values(path, old, new)
    yield from _of_bounds(path, old, new)
    yield from _of_pattern(path, old.get("pattern"), new.get("pattern"))
    yield from _of_properties(path, old, new)
    yield from _of_other_properties(path, old, new)
    yield from _of_schemas(f"{path}[]", old.get("items", {}), new.get("items", {}))
    yield from _of_rules(path, old, new)


def _of_branches(
    path: str, old: list[JsonSchema], new: list[JsonSchema]
) -> Iterator[WeighedChange]:
    """Compare schemas of which a value needs only one."""
    known, kept = [plain(each) for each in old], [plain(each) for each in new]
    removed = [each for each in old if plain(each) not in kept]
    added = [each for each in new if plain(each) not in known]
    for former in list(removed):
        alike = [each for each in added if types_of(each) == types_of(former)]
        for later in alike[:1]:
            removed.remove(former)
            added.remove(later)
            yield from _of_schemas(path, former, later)
    if removed or added:
        words = listed_changes(list(map(described, removed)), list(map(described, added)))
        change = SchemaChange(path, ChangeKind.TYPE, words)
        yield WeighedChange(change, rejects=bool(removed), accepts=bool(added))


def _of_types(path: str, old: JsonSchema, new: JsonSchema) -> Iterator[WeighedChange]:
    before, after = types_of(old), types_of(new)
    if before != after:
        rejects = after is not None and (before is None or not before <= after)
        accepts = before is not None and (after is None or not after <= before)
        change = SchemaChange(path, ChangeKind.TYPE, f"{described(old)} -> {described(new)}")
        yield WeighedChange(change, rejects, accepts)


def _of_values(path: str, old: JsonSchema, new: JsonSchema) -> Iterator[WeighedChange]:
    before, after = values_of(old), values_of(new)
    if before is None or after is None:
        if before != after:
            change = SchemaChange(path, ChangeKind.VALUES, f"{described(old)} -> {described(new)}")
            yield WeighedChange(change, rejects=before is None, accepts=after is None)
    elif set(before) != set(after):
        yield _of_lists(path, before, after)


def _of_lists(path: str, before: list[str], after: list[str]) -> WeighedChange:
    """Compare two lists of what is allowed, which differ."""
    removed = [each for each in before if each not in after]
    added = [each for each in after if each not in before]
    change = SchemaChange(path, ChangeKind.VALUES, listed_changes(removed, added))
    return WeighedChange(change, rejects=bool(removed), accepts=bool(added))


def _of_bounds(path: str, old: JsonSchema, new: JsonSchema) -> Iterator[WeighedChange]:
    for names, is_upper in ((_UPPER_BOUNDS, True), (_LOWER_BOUNDS, False)):
        for name in names:
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            words = f"{name}: {member_text(old, name)} -> {member_text(new, name)}"
            narrows = before is None or (after is not None and (after < before) is is_upper)
            yield WeighedChange(
                SchemaChange(path, ChangeKind.RULE, words), rejects=narrows, accepts=not narrows
            )


def _of_pattern(path: str, old: str | None, new: str | None) -> Iterator[WeighedChange]:
    if old == new:
        return
    before, after = _WORDS.fullmatch(old or ""), _WORDS.fullmatch(new or "")
    if before and after and before.group(1, 3) == after.group(1, 3):
        words = [_ANY_CASE.sub(r"\1", each[2]).split("|") for each in (before, after)]
        yield _of_lists(path, *words)
        return
    yield _of_rule(path, "pattern", old, new)


def _of_properties(path: str, old: JsonSchema, new: JsonSchema) -> Iterator[WeighedChange]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, schema in after.items():
        where = f"{path}.{name}".removeprefix(".")
        if name in before:
            yield from _of_schemas(where, before[name], schema)
        else:
            change = SchemaChange(where, ChangeKind.ADDED, _property_words(schema, new, name))
            yield WeighedChange(change, *_narrows_and_widens(old, schema))
    for name, schema in before.items():
        if name not in after:
            where = f"{path}.{name}".removeprefix(".")
            change = SchemaChange(where, ChangeKind.REMOVED, _property_words(schema, old, name))
            widens, narrows = _narrows_and_widens(new, schema)
            yield WeighedChange(change, narrows, widens)
    yield from _of_requirements(path, old.get("required", []), new.get("required", []))


def _narrows_and_widens(owner: JsonSchema, schema: JsonSchema) -> tuple[bool, bool]:
    """What a property of its own schema does to documents in which it was one of the others."""
    others = _other_properties(owner)
    if owner.keys() & _OTHER_RULES:
        return True, True
    if others is None:
        return False, True
    general, special = plain(others), plain(schema)
    return bool(special) and special != general, bool(general) and special != general


def _property_words(schema: JsonSchema, owner: JsonSchema, name: str) -> str:
    is_required = name in owner.get("required", ())
    return f"{described(schema)}, {'required' if is_required else 'optional'}"


def _of_requirements(path: str, old: list[str], new: list[str]) -> Iterator[WeighedChange]:
    for name in dict.fromkeys([*old, *new]):
        where = f"{path}.{name}".removeprefix(".")
        if name not in old:
            change = SchemaChange(where, ChangeKind.REQUIRED, "required from now on")
            yield WeighedChange(change, rejects=True)
        elif name not in new:
            change = SchemaChange(where, ChangeKind.REQUIRED, "not required any more")
            yield WeighedChange(change, accepts=True)


def _other_properties(schema: JsonSchema) -> JsonSchema | None:
    """What properties without a schema of their own must be; None when there may be none."""
    others: JsonSchema | bool = schema.get("additionalProperties", {})
    if isinstance(others, bool):
        return {} if others else None
    return others


def _of_other_properties(path: str, old: JsonSchema, new: JsonSchema) -> Iterator[WeighedChange]:
    before, after = _other_properties(old), _other_properties(new)
    if before is not None and after is not None:
        yield from _of_schemas(f"{path}{{}}", before, after)
    elif before is not after:
        words = "no other properties any more" if after is None else "other properties are allowed"
        change = SchemaChange(path, ChangeKind.RULE, words)
        yield WeighedChange(change, rejects=after is None, accepts=before is None)
    former, later = old.get("patternProperties", {}), new.get("patternProperties", {})
    for name in former.keys() & later.keys():
        yield from _of_schemas(f"{path}{{}}", former[name], later[name])
    if former.keys() != later.keys():
        change = SchemaChange(path, ChangeKind.RULE, "other names of properties are allowed")
        yield WeighedChange(change, rejects=True, accepts=True)


def _of_rules(path: str, old: JsonSchema, new: JsonSchema) -> Iterator[WeighedChange]:
    """Compare what is left: rules that hold for parts of the documents, and all others."""
    names = (old.keys() | new.keys()) - _COMPARED
    for name in sorted(names):
        before, after = old.get(name), new.get(name)
        if name == "dependentSchemas" and before and after and before.keys() == after.keys():
            for each in before:
                yield from _of_schemas(path, before[each], after[each])
        elif name in _THEN and before and after and plain(old.get("if")) == plain(new.get("if")):
            yield from _of_schemas(path, before, after)
        elif plain(before) != plain(after):
            yield _of_rule(path, name, plain(before), plain(after))


def _of_rule(path: str, name: str, old: Any, new: Any) -> WeighedChange:  # noqa: ANN401  JSON
    """A rule that is another one: which documents it is about can't be said."""
    texts = ["none" if each is None else encode_json(each).decode() for each in (old, new)]
    same = takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))
    first = max(0, len(list(same)) - _CONTEXT)
    before, after = (_excerpt(text, first) for text in texts)
    change = SchemaChange(path, ChangeKind.RULE, f"{name}: {before} -> {after}")
    return WeighedChange(
        change,
        rejects=new is not None or name in _BOTH_WAYS,
        accepts=old is not None or name in _BOTH_WAYS,
    )


def _excerpt(text: str, first: int) -> str:
    """A part of a text that is too long to be read, from where it differs from another one."""
    part = text[first : first + _LONGEST_RULE]
    return f"{'…' if first else ''}{part}{'…' if len(text) > first + len(part) else ''}"
