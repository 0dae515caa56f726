"""`pytest --quick`, which `make quick` runs, leaves out what is slow and starts no broker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.unit.cli.program import environment

ROOT: Final = Path(__file__).parents[2]
TESTS: Final = """
from unittest.mock import Mock

import pytest
from hypothesis import settings

from pipeline.demo.local_kafka import broker


@pytest.fixture(autouse=True, scope="session")
def _no_download():
    broker.find_runtime = Mock()


def test_plain():
    assert settings.default.max_examples < settings.get_profile("full").max_examples

@pytest.mark.slow
def test_slow():
    raise NotImplementedError

@pytest.mark.kafka
def test_kafka():
    raise NotImplementedError

def test_shared_broker(bootstrap_servers):
    raise NotImplementedError

def test_own_broker(own_kafka):
    raise NotImplementedError

def test_broker_without_a_fixture():
    broker.LocalKafka().start()
"""


def test_the_quick_lane_refuses_to_start_a_broker(tmp_path: Path) -> None:
    """Tests with a marker are left out, and those that start a broker without one fail."""
    (tmp_path / "test_it.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--quick", "-q",
         "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", tmp_path],
        cwd=ROOT,
        env=environment() | {"PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert "1 failed, 1 passed, 2 deselected, 2 errors" in done.stdout, done.stdout
    assert done.stdout.count("the quick lane starts no broker") >= 3
    assert "NotImplementedError" not in done.stdout
