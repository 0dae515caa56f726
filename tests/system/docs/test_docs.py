"""What the texts state is what the code does; what they mention exists."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path
from typing import Final

import pytest

from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.decode import decode
from pipeline.core.encode import encode_json
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.core.reasons import WarningCode as Noticed
from pipeline.core.record import Record, Role
from pipeline.errors import ExitCode
from pipeline.settings.model import Settings, load_settings
from pipeline.settings.names import leaves
from tests.system.docs import tables
from tests.system.docs.tables import MARKED, TABLES, refreshed
from tests.system.docs.texts import NAMES, ROOT, anchors, blocks, links, prose, spans, table, text

_PATH: Final = re.compile(r"(?:pipeline|tests|docs|schemas|deploy|requirements)(?:/[\w.-]+)*/?")
_PROCESSOR: Final = Processor(ContractSettings(), Identity(app="docs"))
_LOG_CALL: Final = re.compile(r"(?i)\blog\.(?:info|warning|error)\(\s*\"([a-z_ ,]+)")


class TestTables:
    """Tables that are made from the code, or that list what the code has."""

    def test_made_from_code(self) -> None:
        """The marked parts are fresh; if not, `make docs` makes them so."""
        readme = text("README.md")
        assert {match[2] for match in MARKED.finditer(readme)} == set(TABLES)
        assert refreshed(readme) == readme

    def test_all_reasons_and_warnings(self) -> None:
        """README lists every code, each with its meaning; the contract's page mentions each."""
        readme, contract = text("README.md"), spans("docs/contract.md")
        for code in (*Reason, *Noticed):
            assert f"| `{code}` | {code.meaning} |" in readme
            assert code in contract

    def test_dead_letter_headers(self) -> None:
        """The table has every header, in the order of the code."""
        shown = [row[0].strip("`") for row in table("README.md", "header", "value")]
        assert shown == [*DlqHeader, TrackHeader.CONTRACT]

    def test_stages(self) -> None:
        """The stages that `dlq.stage` can name are all there."""
        (row,) = [row for row in table("README.md", "header") if row[0] == f"`{DlqHeader.STAGE}`"]
        assert all(stage in row[1] for stage in Stage)

    def test_log_lines(self) -> None:
        """Every line that the worker logs is explained, and every field of the statistics."""
        page = "docs/operating.md"
        code = "".join(path.read_text("utf-8") for path in (ROOT / "pipeline").rglob("*.py"))
        told = {row[0].strip("`").rstrip("…: ") for row in table(page, "`event`")}
        logged = {name.strip(": ") for name in _LOG_CALL.findall(code)}
        assert logged
        assert logged <= told
        fields = {name for row in table(page, "field") for name in re.findall(r"`(\w+)`", row[0])}
        assert fields == _statistics_fields()

    def test_settings_that_are_mentioned(self) -> None:
        """A dotted name, such as `limits.max_depth`, is a setting."""
        groups = tuple(f"{name.partition('.')[0]}." for name in _settings() if "." in name)
        for name in NAMES:
            for span in spans(name):
                if re.fullmatch(r"[a-z_.]+", span) and span.startswith(groups):
                    assert span in _settings(), f"{name}: {span}"


def _settings() -> set[str]:
    return {leaf.name for leaf in leaves(Settings)}


def _statistics_fields() -> set[str]:
    tree = ast.parse(text("pipeline/worker/observe/statistics.py"))
    (call,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value == "statistics"
    ]
    return {keyword.arg for keyword in call.keywords if keyword.arg}


class TestExamples:
    """Examples are run."""

    @pytest.mark.parametrize("row", table("README.md", "sent", "enriched"), ids=lambda row: row[0])
    def test_members(self, row: list[str]) -> None:
        """An event with these members gives those members, number for number, or that refusal."""
        sent, result = (cell.strip() for cell in row)
        base = {"event": "E", "messageId": "m-1", "userId": "u-1"}
        event = {**base, **_members(sent)}
        (output,) = _PROCESSOR.process(_record(encode_json(event)), 1)
        if result.startswith("refused: "):
            assert output.reason == result.removeprefix("refused: ").strip("`")
            return
        assert output.role is Role.ENRICHED
        enriched = decode(output.value, 512)
        assert isinstance(enriched, dict)
        for name, value in _members(result).items():
            assert encode_json(enriched[name]) == encode_json(value)

    @pytest.mark.parametrize(
        "row", table("docs/contract.md", "`revenue` as sent", "result"), ids=lambda row: row[0]
    )
    def test_amounts(self, row: list[str]) -> None:
        """Each amount becomes the number that is shown, digit for digit, or is refused."""
        values = re.findall(r"`([^`]+)`", row[0])
        assert values
        for value in values:
            event = f'{{"event":"E","userId":"u","properties":{{"revenue":{value}}}}}'
            (output,) = _PROCESSOR.process(_record(event.encode()), 1)
            if row[1].startswith("refused"):
                assert output.reason == Reason.REVENUE_INVALID
            else:
                revenue = row[1].strip("`")
                assert f'"revenue":{revenue},'.encode() in (output.value or b"")

    def test_configuration_file(self, tmp_path: Path) -> None:
        """The TOML that is shown is accepted, all of it."""
        (block,) = blocks("README.md", "toml")
        file = tmp_path / "pipeline.toml"
        file.write_text(block.text, encoding="utf-8")
        settings = load_settings(file, {}, {})
        assert settings.identify
        assert set(settings.sources.values()) == {str(file)}

    def test_unit(self) -> None:
        """The systemd unit restarts what a restart can mend, and waits for the grace time."""
        (block,) = blocks("README.md", "ini")
        unit = configparser.ConfigParser(interpolation=None, strict=True)
        unit.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
        unit.read_string(block.text)
        service = unit["Service"]
        prevented = {int(code) for code in service["RestartPreventExitStatus"].split()}
        assert prevented == {ExitCode.USAGE, ExitCode.FENCED, ExitCode.DATA_LOSS}
        assert float(service["TimeoutStopSec"]) > Settings().shutdown_grace_s
        name, value = service["Environment"].split("=")
        assert load_settings(None, {}, {name: value}).instance_id == value


def _members(cell: str) -> dict[str, object]:
    members = decode(f"{{{cell.strip('`')}}}".encode(), 512)
    assert isinstance(members, dict), cell
    return members


def _record(value: bytes) -> Record:
    return Record(value, None, (), 1_760_000_000_000, "track.raw", 0, 7)


class TestMentioned:
    """Files, headings and modules that are mentioned exist."""

    @pytest.mark.parametrize("name", NAMES)
    def test_links(self, name: str) -> None:
        """Every link leads to a file or a heading of the project."""
        for link in links(name):
            path, _, anchor = link.partition("#")
            target = (ROOT / name).parent / path if path else ROOT / name
            assert target.exists(), link
            if anchor:
                assert anchor in anchors(target.resolve().relative_to(ROOT).as_posix()), link

    @pytest.mark.parametrize("name", NAMES)
    def test_paths(self, name: str) -> None:
        """Every path, and every file of ours that is named without its path, exists."""
        for span in spans(name):
            if _PATH.fullmatch(span):
                assert (ROOT / span).exists(), span
            elif re.fullmatch(r"\w+\.py", span):
                assert list((ROOT / "pipeline").rglob(span)), span

    def test_each_place_of_the_package_has_a_row(self) -> None:
        """ARCHITECTURE.md says of every file and folder at the package's top what it is for."""
        rows = " ".join(row[0] for row in table("ARCHITECTURE.md", "place"))
        here = {path for path in (ROOT / "pipeline").iterdir() if not path.name.startswith("_")}
        assert {path.name for path in here} - {"py.typed"} == set(
            re.findall(r"pipeline/(\w+(?:\.py)?)", rows)
        )

    def test_each_folder_of_tests_has_a_row(self) -> None:
        """ARCHITECTURE.md names each folder of tests."""
        folders = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
        assert folders == set(re.findall(r"tests/(\w+)/`", prose("ARCHITECTURE.md")))


def test_table_lists_every_setting() -> None:
    """The README's table has one row for each setting, with its variable and a meaning."""
    rows = [row.split(" | ") for row in tables.settings().splitlines()[2:]]
    names = [row[0].removeprefix("| ").strip("`") for row in rows]
    assert names == [leaf.name for leaf in leaves(Settings)]
    assert all(len(row) == 4 and row[3].rstrip(" |") for row in rows)
    assert rows[names.index("batch.max_records")] == [
        "| `batch.max_records`",
        "`TRACK_BATCH__MAX_RECORDS`",
        "`5000`",
        "maximum number of records in a transaction (a whole number of at least 1) |",
    ]
