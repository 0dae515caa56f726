"""What a page has between `<!-- name -->` and `<!-- /name -->` is made from the code, here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from pipeline.avro.published import published
from pipeline.core.contract import Rules
from pipeline.core.reasons import Reason
from pipeline.core.reasons import WarningCode as Noticed
from pipeline.core.record import Role
from pipeline.errors import ExitCode
from pipeline.metrics.catalogue import Metric
from pipeline.settings.model import Settings
from pipeline.settings.names import Leaf, allowed, leaves
from tests.system.docs import command_help
from tests.system.docs.snippets import ROOT

MARKED: Final = re.compile(r"(?s)(<!-- (\w+) -->\n).*?(<!-- /\2 -->)")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"|{'|'.join(_cell(cell) for cell in line)}|\n" for line in lines)


def _cell(text: str) -> str:
    return text if text == "---" else f" {text} ".replace("|", "&#124;")


def metrics() -> str:
    """All metrics, each with its type, its labels and its meaning."""
    definitions = (metric.value for metric in Metric)
    rows = (
        (f"`{each.name}`", each.type, ", ".join(f"`{name}`" for name in each.labels), each.meaning)
        for each in definitions
    )
    return _table(("metric", "type", "labels", "meaning"), rows)


def exits() -> str:
    """Exit codes with their meaning."""
    return _table(("exit code", "meaning"), ((str(int(each)), each.meaning) for each in ExitCode))


def reasons() -> str:
    """Reason codes, and the settings that soften some of them."""
    rows = ((f"`{each}`", each.meaning, _rule(each)) for each in Reason)
    return _table(("code", "meaning", "setting, default"), rows)


def _rule(reason: Reason) -> str:
    field = Rules.model_fields.get(reason)
    return "" if field is None else f"`rules.{reason}`, {field.default}"


def warnings() -> str:
    """Warning codes."""
    return _table(("code", "meaning"), ((f"`{each}`", each.meaning) for each in Noticed))


def settings() -> str:
    """All settings, each with its variable, its default and its meaning."""
    rows = (
        (
            f"`{leaf.name}`",
            f"`{leaf.variable}_…`" if leaf.is_map else f"`{leaf.variable}`",
            _default(leaf),
            _meaning(leaf),
        )
        for leaf in leaves(Settings)
    )
    return _table(("setting", "environment variable", "default", "meaning"), rows)


def _default(leaf: Leaf) -> str:
    default = leaf.default
    if default is None or default == {}:
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple | frozenset):
        return f"`{json.dumps(sorted(default))}`"
    return f"`{default}`"


def _meaning(leaf: Leaf) -> str:
    if leaf.is_map:
        return leaf.field.description or ""
    return f"{leaf.field.description} ({allowed(leaf.field)})"


def scripts() -> str:
    """The scripts that call the tools from Python."""
    files = sorted((ROOT / "docs/how-to/python").glob("*.py"))
    pages = ((file.stem, file.read_text(encoding="utf-8")) for file in files)
    return "\n".join(f"### {name}\n\n```python\n{code}```\n" for name, code in pages)


def columns() -> str:
    """The columns of the Avro schemas."""
    schemas = [json.loads(published(role)) for role in (Role.ENRICHED, Role.IDENTIFY)]
    return "\n".join(
        f"### {schema['name']}\n\n"
        + _table(("column", "type", "meaning"), _columns(schema["fields"], ""))
        for schema in schemas
    )


def _columns(fields: list[dict[str, Any]], path: str) -> Iterator[tuple[str, str, str]]:
    """A row for each field, and one below it for each field of a record in it."""
    for field in fields:
        name = path + field["name"]
        yield f"`{name}`", _type_name(field["type"]), field["doc"]
        if isinstance(field["type"], dict) and field["type"]["type"] == "record":
            yield from _columns(field["type"]["fields"], f"{name}.")


def _type_name(kind: Any) -> str:
    """An Avro type as people write it."""
    if isinstance(kind, list):
        return f"{', '.join(_type_name(each) for each in kind if each != 'null')} or null"
    if not isinstance(kind, dict):
        return str(kind)
    match kind.get("logicalType", kind["type"]):
        case "decimal":
            return f"decimal({kind['precision']}, {kind['scale']})"
        case "array":
            return f"array of {_type_name(kind['items'])}"
        case "map":
            return f"map of {_type_name(kind['values'])}"
        case name:
            return str(name)


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "settings": settings,
    "metrics": metrics,
    "reasons": reasons,
    "warnings": warnings,
    "exit_codes": exits,
    "cli": command_help.reference,
    "scripts": scripts,
    "columns": columns,
}
"""Name of the marked part → how it is made."""

PAGES: Final[Mapping[str, str]] = {
    "docs/reference/settings.md": "settings",
    "docs/reference/metrics.md": "metrics",
    "docs/reference/reasons.md": "reasons",
    "docs/reference/warnings.md": "warnings",
    "docs/reference/exit-codes.md": "exit_codes",
    "docs/reference/cli.md": "cli",
    "docs/how-to/use-from-python.md": "scripts",
    "docs/reference/schemas.md": "columns",
}
"""Page → its marked part."""


def refreshed(text: str) -> str:
    """The text with each marked part made anew; KeyError for a name that is not in TABLES."""
    return MARKED.sub(lambda match: f"{match[1]}\n{TABLES[match[2]]()}\n{match[3]}", text)
