"""The form of an entry in the table of differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.oracle.corpus import Case
from tests.oracle.facts import Facts

Resend = Callable[[bytes], bytes]
"""What version 1 must be sent to do what version 2 does with a value."""
Change = Callable[[Case, list[Facts], list[Facts]], bool]
"""Takes a difference out of the facts of version 1 and of today; True when there was one."""


class Difference(NamedTuple):
    """Something that contract version 2 does differently on purpose."""

    name: str
    why: str
    """What version 2 does, and the reason."""
    resend: Resend | None = None
    change: Change | None = None
