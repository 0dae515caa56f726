"""`make docs`: refresh the parts of the documents that are made from the code."""

from __future__ import annotations

from tests.system.docs.snippets import ROOT
from tests.system.docs.tables import PAGES, refreshed

for name in PAGES:
    page = ROOT / name
    page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")
