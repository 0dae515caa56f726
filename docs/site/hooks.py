"""Puts the project's documents into the site, at the paths that they have in the repository.

A link to a source file or to a folder leads to a page that shows it: the site is complete without
a code host.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[2]
INDEX: Final = "docs/README.md"
"""Page whose tables are the navigation."""
API: Final = "docs/reference/python-api.md"
"""Page of the tools' functions and classes, which only the site has."""
OUTSIDE: Final = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "ARCHITECTURE.md")
_FOLDERS: Final = ("docs", "schemas", "deploy")
_REPLAY: Final = "pipeline.replay"
_TOOLS: Final = {
    "Audit": ["pipeline.reconcile.audit"],
    "Compare": ["pipeline.reconcile.compare"],
    "Dead letters": ["pipeline.dlq"],
    "Reading": ["pipeline.reading"],
    "Replay": [
        f"{_REPLAY}.request.ReplayRequest",
        f"{_REPLAY}.capture.capture",
        f"{_REPLAY}.hooks.ReplayHooks",
        f"{_REPLAY}.runner.begin",
        f"{_REPLAY}.runner.execute",
        f"{_REPLAY}.window_offsets.read_bound",
        f"{_REPLAY}.finish.resume_hint",
    ],
}
_LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_SECTION: Final = re.compile(r"(?ms)^## (.+?)$(.*?)(?=^## |\Z)")


def on_config(config: MkDocsConfig) -> None:
    """Take the navigation from the index of the documents, in its order."""
    index = (ROOT / INDEX).read_text(encoding="utf-8")
    head, *_ = index.partition("\n## ")
    config.nav = [{"Overview": "README.md"}, {"Documents": INDEX}, *_entries(head)]
    sections = {title: list(_entries(body)) for title, body in _SECTION.findall(index)}
    sections["Reference"].append({"Python API": API})
    config.nav += [{title: entries} for title, entries in sections.items()]
    config.nav.append({"Project": ["CONTRIBUTING.md", "CHANGELOG.md"]})


def _entries(text: str) -> Iterator[dict[str, str]]:
    for title, target, _ in _LINK.findall(text):
        yield {title[:1].upper() + title[1:]: _resolved(INDEX, target)}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Replace the files of `docs` by all documents, and by what they show and link to."""
    theme = [each for each in files if each.src_dir != config.docs_dir]
    made = Files([*theme, File.generated(config, API, content=_api())])
    names = [*OUTSIDE, *(name for folder in _FOLDERS for name in _found(folder, "md"))]
    for name in [*names, *_found("docs", "png"), *_found("docs", "svg")]:
        made.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    linked = {
        _resolved(name, target)
        for name in names
        for _, target, _ in _LINK.findall((ROOT / name).read_text(encoding="utf-8"))
    }
    for path in filter(_needs_page, sorted(linked)):
        if not (ROOT / _page_of(path)).exists():
            made.append(_source_page(config, path))
    return made


def _source_page(config: MkDocsConfig, path: str) -> File:
    hidden = InclusionLevel.NOT_IN_NAV
    return File.generated(config, _page_of(path), content=_shown(path), inclusion=hidden)


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to source files and folders lead to the pages that show them."""
    del config, files
    here = page.file.src_uri

    def linked(match: re.Match[str]) -> str:
        path = _resolved(here, match[2])
        if not _needs_page(path):
            return match[0]
        target = posixpath.relpath(_page_of(path), posixpath.dirname(here))
        return f"[{match[1]}]({target}{match[3] or ''})"

    return _LINK.sub(linked, markdown)


def _found(folder: str, suffix: str) -> list[str]:
    """Files below a folder, by their paths from the top of the repository."""
    paths = sorted((ROOT / folder).rglob(f"*.{suffix}"))
    return [path.relative_to(ROOT).as_posix() for path in paths]


def _resolved(page: str, target: str) -> str:
    """Path from the top of the repository that a link on a page leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target))


def _needs_page(path: str) -> bool:
    """Whether a link leads to something that is neither a document nor a picture of one."""
    return not path.endswith((".md", ".png", ".svg")) and (ROOT / path).exists()


def _page_of(path: str) -> str:
    """Page that a link to a source file or a folder leads to; a folder's README, if it has one."""
    if not (ROOT / path).is_dir():
        return f"{path}.md"
    readme = f"{path}/README.md"
    return readme if (ROOT / readme).exists() else f"{path}/index.md"


def _shown(path: str) -> str:
    """A page that shows a source file, or lists a folder with the first line of each docstring."""
    source = ROOT / path
    if source.is_dir():
        lines = [f"| `{each.name}` | {_summary(each)} |" for each in sorted(source.iterdir())]
        rows = [line for line in lines if not line.startswith(("| `_", "| `."))]
        return "\n".join(
            [f"# {path}", "", _docstring(source / "__init__.py"), "", "| | |", "|---|---|", *rows]
        )
    language = source.suffix.removeprefix(".") or "text"
    return f"# {path}\n\n````{language}\n{source.read_text(encoding='utf-8')}````\n"


def _summary(path: Path) -> str:
    first, *_ = _docstring(path / "__init__.py" if path.is_dir() else path).split("\n")
    return first.replace("|", "&#124;")


def _docstring(path: Path) -> str:
    if path.suffix != ".py" or not path.exists():
        return ""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _api() -> str:
    parts = ["# Python API", "", _API_LEAD.format(scripts="../how-to/use-from-python.md"), ""]
    for title, names in _TOOLS.items():
        parts += [f"## {title}", "", *(f"::: {name}\n" for name in names)]
    return "\n".join(parts)


_API_LEAD: Final = (
    "What the operator tools offer to programs, from their docstrings; "
    "[Use it from Python]({scripts}) has a script for each. There is no stable Python API before "
    "1.0."
)
