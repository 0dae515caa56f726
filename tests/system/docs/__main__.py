"""`make docs`: refresh the parts of README.md that are made from the code."""

from __future__ import annotations

from tests.system.docs.tables import refreshed
from tests.system.docs.texts import ROOT

README = ROOT / "README.md"
README.write_text(refreshed(README.read_text(encoding="utf-8")), encoding="utf-8")
