"""`make site`: what it needs of the documents, held without its packages.

Links and anchors are held by `test_docs.py`. The build itself is strict about the same things.
"""

from __future__ import annotations

import re
from collections import Counter
from posixpath import dirname, join, normpath
from typing import Final

import pytest
import yaml

from tests.system.docs.snippets import NAMES, ROOT, headings, links, text

_INDEX: Final = "docs/README.md"
_OUTSIDE: Final = re.compile(r"(?m)^OUTSIDE: Final = \((.+)\)$")


def test_index_lists_each_document_once() -> None:
    """The index, whose order is the site's navigation, names each page of a folder once."""
    listed = [normpath(join(dirname(_INDEX), link)) for link in links(_INDEX)]
    assert [name for name, times in Counter(listed).items() if times > 1] == []
    pages = {name for name in NAMES if "/" in name}
    assert pages - {_INDEX} == {name for name in listed if "/" in name}
    assert set(listed) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_headings_of_a_page_differ(name: str) -> None:
    """No heading is on a page twice: code hosts and the site number repetitions differently."""
    assert [each for each, times in Counter(headings(name)).items() if times > 1] == []


def test_site_has_all_documents_outside_of_docs() -> None:
    """The documents at the top of the repository are pages of the site."""
    (named,) = _OUTSIDE.findall(text("docs/site/hooks.py"))
    assert set(re.findall(r'"([^"]+)"', named)) == {path.name for path in ROOT.glob("*.md")}


def test_site_loads_nothing_from_elsewhere() -> None:
    """The site needs no network: no fonts, no analytics, no address of its own."""
    settings = yaml.safe_load(re.sub(r"!!python\S+", "", text("mkdocs.yml")))
    assert settings["theme"]["font"] is False
    assert settings["strict"] is True
    assert set(settings["extra"]) == {"generator"}
    assert "://" not in text("mkdocs.yml")
    assert set(settings["validation"]["links"].values()) == {"warn"}
