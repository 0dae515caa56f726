"""The documents as values: headings, links, tables, code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[3]
NAMES: Final = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "schemas/README.md",
    *sorted(
        path.relative_to(ROOT).as_posix()
        for folder in ("deploy", "docs")
        for path in (ROOT / folder).glob("**/*.md")
    ),
)

_FENCED: Final = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$\n?")
_HEADING: Final = re.compile(r"(?m)^(#+) (.+)$")
_SPAN: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block."""

    language: str
    text: str
    line: int
    """Number of its first line in the document."""
    output: str | None
    """Of a `sh` block: the `text` block that follows, with at most one short sentence between."""


def text(name: str) -> str:
    """A file's content, by its path from the top of the checkout."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[Block]:
    """The fenced blocks of one language, in order."""
    content = text(name)
    matches = list(_FENCED.finditer(content))
    found = []
    for number, match in enumerate(matches):
        if match[1] != language:
            continue
        after = matches[number + 1] if number + 1 < len(matches) else None
        follows = (
            after is not None
            and after[1] == "text"
            and not _HEADING.search(content[match.end() : after.start()])
        )
        output = after[2] if after is not None and follows else None
        line = content.count("\n", 0, match.start(2)) + 1
        found.append(Block(language, match[2], line, output))
    return found


def prose(name: str) -> str:
    """A document without its fenced blocks."""
    return _FENCED.sub("", text(name))


def spans(name: str) -> list[str]:
    """Inline code, without its backticks."""
    return _SPAN.findall(prose(name))


def links(name: str) -> list[str]:
    """Targets of all links."""
    return _LINK.findall(prose(name))


def headings(name: str) -> list[str]:
    """All headings."""
    return [match[2] for match in _HEADING.finditer(prose(name))]


def anchors(name: str) -> set[str]:
    """What `#…` may name: each heading as it is commonly turned into an anchor."""
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings(name)}


def table(name: str, *head: str) -> list[list[str]]:
    """The rows of the tables whose first columns have these names."""
    return list(_rows(text(name), list(head)))


def _rows(content: str, head: list[str]) -> Iterator[list[str]]:
    inside = False
    for line in content.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if inside and not set(line) <= set("|- "):
            yield cells
        elif cells[: len(head)] == head:
            inside = True


def matches(shown: str, real: str) -> bool:
    """Whether an output is what is shown; a line `…` stands for any number of lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else re.escape(line) + r"\n" for line in shown.splitlines()
    )
    return re.fullmatch(pattern, real) is not None
