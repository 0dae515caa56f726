"""Each command of docs/how-to/replay.md and after-a-replay.md is run, and prints what is shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from pipeline.demo.local_kafka.broker import LocalKafka
from tests.system.docs.outputs import settled
from tests.system.docs.shell import bash
from tests.system.docs.snippets import blocks, matches

pytestmark = pytest.mark.kafka

PAGE: Final = "docs/how-to/replay.md"
AFTER: Final = "docs/how-to/after-a-replay.md"
_BEGUN: Final = re.compile(r"replay (\S+) begins")


def test_the_page_shows_what_happens(own_kafka: LocalKafka, tmp_path: Path) -> None:
    """The page goes from the plan to a resume, and to files, with the outputs that it shows."""
    variables = {"TRACK_KAFKA_BOOTSTRAP_SERVERS": own_kafka.bootstrap_servers}
    for command in ("topics create --partitions 3", "generate --count 2000 --topic track.raw"):
        made = bash(f"track-pipeline {command}", tmp_path, variables)
        assert made.returncode == 0, made.stdout
    shown = blocks(PAGE, "sh")
    assert len(shown) == len(("plan", "execute", "resume", "plan of files", "files"))
    for block in shown:
        ran = bash(block.text, tmp_path, variables)
        assert ran.returncode == 0, ran.stdout
        assert block.output is not None
        assert matches(settled(block.output), settled(ran.stdout)), ran.stdout
        begun = _BEGUN.search(ran.stdout)
        if begun is not None:
            variables.setdefault("ID", begun[1])
    for block in blocks(AFTER, "sh"):
        ran = bash(block.text, tmp_path, variables)
        assert ran.returncode in {0, 1}, ran.stdout
        if block.output is not None:
            assert matches(settled(block.output), settled(ran.stdout)), ran.stdout
