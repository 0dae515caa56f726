"""What the documents state is what the code does; what they mention exists."""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path
from typing import Final, get_args, get_type_hints

import pytest

from pipeline import errors
from pipeline.cli.main import COMMANDS
from pipeline.core.contract import ContractSettings, Identity
from pipeline.core.decode import decode
from pipeline.core.encode import encode_json
from pipeline.core.headers import DlqHeader, TrackHeader
from pipeline.core.process import Processor
from pipeline.core.reasons import Reason, Stage
from pipeline.core.reasons import WarningCode as Noticed
from pipeline.core.record import Record, Role
from pipeline.settings.model import Settings, load_settings
from pipeline.settings.names import leaves
from pipeline.worker.poison_pill import CrashFinding
from tests.system.docs import command_help, tables
from tests.system.docs.snippets import (
    NAMES,
    ROOT,
    anchors,
    blocks,
    links,
    prose,
    spans,
    table,
    text,
)
from tests.system.docs.tables import MARKED, PAGES, TABLES, refreshed

_HEADERS: Final = "docs/reference/headers.md"
_CONTRACT: Final = "docs/reference/contract.md"
_PATH: Final = re.compile(r"(?:pipeline|tests|docs|schemas|deploy|requirements)(?:/[\w.-]+)*/?")
_PROCESSOR: Final = Processor(ContractSettings(), Identity(app="docs"))
_LOG_CALL: Final = re.compile(r"(?i)\blog\.(?:info|warning|error)\(\s*\"([a-z_ ,]+)")


class TestTables:
    """Tables that are made from the code, or that list what the code has."""

    @pytest.mark.parametrize("page", PAGES)
    def test_made_from_code(self, page: str) -> None:
        """The marked part is fresh; if not, `make docs` makes it so."""
        content = text(page)
        assert [match[2] for match in MARKED.finditer(content)] == [PAGES[page]]
        assert refreshed(content) == content

    def test_every_table_is_shown(self) -> None:
        """Each table that can be made has its page."""
        assert sorted(PAGES.values()) == sorted(TABLES)

    def test_all_reasons_and_warnings(self) -> None:
        """Every code is listed with its meaning, and mentioned in the contract."""
        contract = spans("docs/reference/contract.md")
        listed = text("docs/reference/reasons.md") + text("docs/reference/warnings.md")
        for code in (*Reason, *Noticed):
            assert f"| `{code}` | {code.meaning} |" in listed
            assert code in contract

    def test_dead_letter_headers(self) -> None:
        """The table has every header, in the order of the code."""
        shown = [row[0].strip("`") for row in table(_HEADERS, "header", "value")]
        assert shown == [*DlqHeader, TrackHeader.CONTRACT]

    def test_headers_of_outputs(self) -> None:
        """The table has every header of all other outputs, in the order of the code."""
        assert [row[0].strip("`") for row in table(_HEADERS, "name", "value")] == list(TrackHeader)

    def test_every_stage_is_documented(self) -> None:
        """The stages that `dlq.stage` can name are all there."""
        (row,) = [row for row in table(_HEADERS, "header") if row[0] == f"`{DlqHeader.STAGE}`"]
        assert all(stage in row[1] for stage in Stage)

    def test_every_log_line_is_explained(self) -> None:
        """Every line that the worker logs is explained, and every field of the statistics."""
        page = "docs/reference/log-events.md"
        code = "".join(path.read_text("utf-8") for path in (ROOT / "pipeline").rglob("*.py"))
        names = [re.findall(r"`([^`]+)`", row[0]) for row in table(page, "`event`")]
        told = {name.rstrip("…: ") for row in names for name in row}
        logged = {name.strip(": ") for name in _LOG_CALL.findall(code)}
        logged |= {f"crash_{kind}" for kind in get_args(get_type_hints(CrashFinding)["kind"])}
        assert "crash_suspected" in logged
        assert logged <= told
        fields = {name for row in table(page, "field") for name in re.findall(r"`(\w+)`", row[0])}
        assert fields == _statistics_fields()

    def test_settings_that_are_mentioned(self) -> None:
        """A dotted name, such as `limits.max_depth`, is a setting, if it is no file's."""
        groups = tuple(f"{name.partition('.')[0]}." for name in _settings() if "." in name)
        for name in NAMES:
            for span in spans(name):
                if re.fullmatch(r"[a-z_.]+(?<!\.json)", span) and span.startswith(groups):
                    assert span in _settings(), f"{name}: {span}"

    def test_failures_of_the_worker(self) -> None:
        """ARCHITECTURE.md's table of failures names errors that exist, with their exit codes."""
        rows = table("ARCHITECTURE.md", "what", "means", "the worker")
        named = [(re.fullmatch(r"`(\w+Error)`", row[0]), row[2]) for row in rows]
        assert sum(match is not None for match, _ in named) > 5
        for match, does in named:
            code = re.search(r"exit (\d+)", does)
            if match is not None:
                error = getattr(errors, match[1])
                assert code is None or int(code[1]) == error.exit_code, match[1]


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

    @pytest.mark.parametrize("row", table(_CONTRACT, "sent", "enriched"), ids=lambda row: row[0])
    def test_duplicate_members_become_what_is_shown(self, row: list[str]) -> None:
        """An event with these members becomes the one shown, digit for digit, or is rejected so."""
        sent, result = (cell.strip() for cell in row)
        base = {"event": "E", "messageId": "m-1", "userId": "u-1"}
        event = {**base, **_members(sent)}
        (output,) = _PROCESSOR.process(_record(encode_json(event)), 1)
        if result.startswith("rejected: "):
            assert output.reason == result.removeprefix("rejected: ").strip("`")
            return
        assert output.role is Role.ENRICHED
        enriched = decode(output.value, 512)
        assert isinstance(enriched, dict)
        for name, value in _members(result).items():
            assert encode_json(enriched[name]) == encode_json(value)

    @pytest.mark.parametrize(
        "row", table(_CONTRACT, "`revenue` as sent", "result"), ids=lambda row: row[0]
    )
    def test_amounts_become_what_is_shown(self, row: list[str]) -> None:
        """Each amount becomes the number that is shown, digit for digit, or is rejected."""
        values = re.findall(r"`([^`]+)`", row[0])
        assert values
        for value in values:
            event = f'{{"event":"E","userId":"u","properties":{{"revenue":{value}}}}}'
            (output,) = _PROCESSOR.process(_record(event.encode()), 1)
            if row[1].startswith("rejected"):
                assert output.reason == Reason.REVENUE_INVALID
            else:
                revenue = row[1].strip("`")
                assert f'"revenue":{revenue},'.encode() in (output.value or b"")

    def test_the_hash_of_a_repair_is_that_of_the_file(self) -> None:
        """Each printed hash is that of the repair exactly as it is on the page."""
        page = text("docs/how-to/handle-dead-letters.md")
        (file,) = re.findall(r"(?ms)^cat > comma.py <<'END'\n(.*?)^END$", page)
        shown = re.findall(r"comma.py sha256:(\w+)", page)
        digest = hashlib.sha256(file.encode()).hexdigest()
        assert shown == [digest[: len(each)] for each in shown]
        assert len(shown) > 1

    def test_the_configuration_file_is_accepted(self, tmp_path: Path) -> None:
        """The TOML that is shown is accepted, all of it."""
        (block,) = blocks("docs/how-to/own-kafka.md", "toml")
        file = tmp_path / "pipeline.toml"
        file.write_text(block.text, encoding="utf-8")
        settings = load_settings(file, {}, {})
        assert settings.identify
        assert set(settings.sources.values()) == {str(file)}


def _members(cell: str) -> dict[str, object]:
    members = decode(f"{{{cell.strip('`')}}}".encode(), 512)
    assert isinstance(members, dict), cell
    return members


def _record(value: bytes) -> Record:
    return Record(value, None, (), 1_760_000_000_000, "track.raw", 0, 7)


class TestMentioned:
    """Files, headings and modules that are mentioned exist."""

    @pytest.mark.parametrize("name", NAMES)
    def test_every_link_leads_somewhere(self, name: str) -> None:
        """Every link leads to a file or a heading of the project."""
        for link in links(name):
            path, _, anchor = link.partition("#")
            target = (ROOT / name).parent / path if path else ROOT / name
            assert target.exists(), link
            if anchor:
                assert anchor in anchors(target.resolve().relative_to(ROOT).as_posix()), link

    @pytest.mark.parametrize("name", NAMES)
    def test_every_path_exists(self, name: str) -> None:
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
    """The table has one row for each setting, with its variable and a meaning."""
    rows = [row.split(" | ") for row in tables.settings().splitlines()[2:]]
    names = [row[0].removeprefix("| ").strip("`") for row in rows]
    assert names == [leaf.name for leaf in leaves(Settings)]
    assert all(len(row) == 4 and row[3].rstrip(" |") for row in rows)
    name, variable, default, meaning = rows[names.index("batch.max_records")]
    assert (name, variable, default) == (
        "| `batch.max_records`",
        "`TRACK_BATCH__MAX_RECORDS`",
        "`5000`",
    )
    assert meaning.endswith("(a whole number of at least 1) |")


class TestCommandReference:
    """docs/reference/cli.md."""

    def test_is_the_same_on_every_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The page does not depend on the width or the colours of the terminal it is made on."""
        usual = command_help.reference()
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert command_help.reference() == usual
        assert all(len(line) <= command_help.WIDTH for line in usual.splitlines())

    def test_every_command_says_what_it_does(self) -> None:
        """Each command has a sentence behind its usage line."""
        pages = list(command_help.all_commands())
        assert {page.path.split(" ")[1] for page in pages[1:]} == set(COMMANDS)
        for page in pages:
            assert re.match(r"Usage: .*(\n {8,}.*)*\n\n  [A-Z]\w+ ", page.text), page.path
