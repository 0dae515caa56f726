"""What contract version 2 does differently on purpose, each with its reason.

An entry that explains nothing in the corpus fails a test: the table has nothing to spare.
"""

from __future__ import annotations

from typing import Final

from tests.oracle.difference import Difference

DIFFERENCES: Final[tuple[Difference, ...]] = ()
