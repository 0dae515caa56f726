"""Each command of docs/how-to/replay.md and after-a-replay.md is run, and prints what is shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from pipeline.demo.local_kafka.broker import LocalKafka
from tests.system.docs.shell import bash
from tests.system.docs.snippets import blocks, matches

pytestmark = pytest.mark.kafka

PAGE: Final = "docs/how-to/replay.md"
AFTER: Final = "docs/how-to/after-a-replay.md"
_BEGUN: Final = re.compile(r"replay (\S+) begins")
_SETTLED: Final = (
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z", "TIME"),
    (r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}", "ID"),
    (r"[a-z]+@[-.\w]+", "WHO"),
    (r"(?m)^( +[0-2] +0) .* TIME +TIME$", r"\1 … TIME TIME"),
    (r"(?m)^reading the files: .*\n", ""),
    (r" +", " "),
)
"""What differs from run to run, and the width of columns that follows from it."""


def settled(text: str) -> str:
    """An output without times, ids and names; progress is left out."""
    lines = [line.rstrip() for line in text.splitlines()]
    settled = "\n".join(line for line in lines if not line.startswith("{")) + "\n"
    for pattern, instead in _SETTLED:
        settled = re.sub(pattern, instead, settled)
    return "\n".join(line.rstrip() for line in settled.splitlines()) + "\n"


def test_page(own_kafka: LocalKafka, tmp_path: Path) -> None:
    """From the plan to a resume, and files."""
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
            variables["ID"] = begun[1]
    for block in blocks(AFTER, "sh"):
        ran = bash(block.text, tmp_path, variables)
        assert ran.returncode in {0, 1}, ran.stdout
