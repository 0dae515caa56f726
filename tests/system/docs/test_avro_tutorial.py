"""Each command of docs/how-to/avro.md is run on a real registry, and prints what the page shows."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import duckdb
import pytest

from pipeline.reading import EnrichedTrack, read_message
from tests.registries import LocalRegistry
from tests.system.docs.shell import bash
from tests.system.docs.snippets import ROOT, blocks, matches, table
from tests.unit.reading.messages import Message, output

PAGE: Final = "docs/how-to/avro.md"
_CODE: Final = re.compile(r"`([^`]+)`")
_PER_USER: Final = re.compile(
    r"track\.enriched|^prefix\b|\b5 s\b|\b7\b|FULL_TRANSITIVE|version 1: "
)
"""Parts of the sentences that are not in the code but in what it is used on."""


@pytest.mark.kafka
def test_the_page_shows_what_happens(registry: LocalRegistry, tmp_path: Path) -> None:
    """The steps in their order, in a folder with the settings of the page."""
    settings = blocks(PAGE, "toml")[0].text.replace("http://localhost:8081", registry.url)
    (tmp_path / "pipeline.toml").write_text(settings)
    shown = blocks(PAGE, "sh")
    assert len(shown) == 3
    for block in shown:
        ran = bash(block.text, tmp_path, registry.variables)
        assert ran.returncode == 0, ran.stdout
        assert block.output is not None
        assert matches(_without_ids(block.output), _without_ids(ran.stdout)), ran.stdout


def _without_ids(text: str) -> str:
    """A table without the id and its width, which depend on what else the registry has."""
    return re.sub(r" 1 \d+ FULL", " 1 ID FULL", re.sub(" +", " ", text))


def test_the_example_of_reading_is_right() -> None:
    """The lines of the example give what the comments beside them say."""
    event = {"event": "Sale", "userId": "u", "properties": {"revenue": 19.99, "sku": "a"}}
    made = output(event)
    names = {"message": Message(made.value, list(made.headers)), "read_message": read_message}
    names |= {"EnrichedTrack": EnrichedTrack}
    (example,) = (each.text for each in blocks(PAGE, "python") if "read_message" in each.text)
    lines = [line.strip() for line in example.splitlines() if line.startswith("    ")]
    assert len(lines) == 4
    exec(compile(ast.parse(example), PAGE, "exec"), names)  # noqa: S102  the page's own code
    assert [str(eval(line, names)) for line in lines][::2] == ["19.99", "a"]  # noqa: S307


def test_the_query_is_run() -> None:
    """The SQL for DuckDB is valid on the table of warehouse.py."""
    script = (ROOT / "docs/how-to/python/warehouse.py").read_text(encoding="utf-8")
    (created,) = re.findall(r'execute\(\s*((?:"[^"]*"\s*)+)\)', script)
    database = duckdb.connect()
    database.execute(ast.literal_eval(f"({created})"))
    database.execute(
        "INSERT INTO events VALUES ('s', 'e', '2026-02-01', 5, 'EUR', '{\"sku\":\"a\"}')"
    )
    query = next(each.text for each in blocks(PAGE, "sql") if "events" in each.text)
    assert database.execute(query).fetchall() == [("EUR", 5, 1)]
    number = "SELECT JSON '{\"n\":123456789012345678901234567890.5}'->>'$.n'"
    assert database.execute(number).fetchall() == [("1.2345678901234568e29",)]


SENTENCES: Final = [row[0] for row in table(PAGE, "sentence", "what to do")]


@pytest.mark.parametrize("cell", SENTENCES)
def test_each_sentence_is_one_of_the_program(cell: str) -> None:
    """What a user looks up on the page is what the program prints, part by part."""
    code = _strings_of_the_code()
    for sentence in _CODE.findall(cell):
        if sentence == "pipeline.reading":
            continue
        for part in re.split(r"…|" + _PER_USER.pattern, sentence):
            assert part.strip(" :;().") in code, part


@cache
def _strings_of_the_code() -> str:
    """All text in quotes, adjacent ones joined, without what is filled in."""
    found = []
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(getattr(each, "value", "")) for each in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)
