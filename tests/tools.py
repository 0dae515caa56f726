"""System tools that some tests need, such as `promtool` and `helm`.

A test that needs one is skipped on a machine without it. TRACK_TEST_REQUIRE_TOOLS=1 makes it a
failure; `.ci/run` sets it, after it has installed them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

REQUIRE_TOOLS_VARIABLE: Final = "TRACK_TEST_REQUIRE_TOOLS"


def required_tool(name: str) -> Path:
    """Path of a program; skips the test, or fails it when tools are required, without it."""
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    if os.environ.get(REQUIRE_TOOLS_VARIABLE) == "1":
        pytest.fail(f"{REQUIRE_TOOLS_VARIABLE}=1, but {name} is not on the PATH", pytrace=False)
    pytest.skip(f"{name} is not on the PATH; .ci/run shows how to install it")
