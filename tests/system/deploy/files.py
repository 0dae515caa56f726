"""The files that surround the code, read once, as values."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

ROOT: Final = Path(__file__).resolve().parents[3]

_INSTRUCTION: Final = re.compile(r"([A-Z]+)\s+(.*)", re.DOTALL)
_PIN: Final = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)


class Instruction(NamedTuple):
    """One instruction of a Dockerfile."""

    word: str
    """In capitals: FROM, RUN, …"""
    rest: str
    """What follows it, continuation lines joined."""

    def arguments(self) -> list[str]:
        """The exec form's words; fails for the shell form."""
        words = json.loads(self.rest)
        assert isinstance(words, list)
        return words

    def pairs(self) -> dict[str, str]:
        """The names and values of an ENV or a LABEL."""
        return dict(pair.split("=", 1) for pair in shlex.split(self.rest))


def text(path: str) -> str:
    """The content of a file, by its path from the top of the checkout."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def stages() -> tuple[tuple[Instruction, ...], ...]:
    """The Dockerfile's stages, each from its FROM on; what precedes the first is left out."""
    lines = [line for line in text("deploy/Dockerfile").splitlines() if not line.startswith("#")]
    found: list[list[Instruction]] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        match = _INSTRUCTION.fullmatch(line.strip())
        if match is None:
            assert not line.strip(), line
            continue
        instruction = Instruction(match[1], " ".join(match[2].split()))
        if instruction.word == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return tuple(tuple(stage) for stage in found)


def image(word: str) -> Instruction:
    """The only instruction of this word in the stage that becomes the image."""
    (found,) = [instruction for instruction in stages()[-1] if instruction.word == word]
    return found


@cache
def compose() -> Mapping[str, Any]:
    """The compose file; anchors and merges are resolved."""
    content: Mapping[str, Any] = yaml.safe_load(text("docker-compose.yml"))
    return content


@cache
def project() -> Mapping[str, Any]:
    """pyproject.toml."""
    return tomllib.loads(text("pyproject.toml"))


@cache
def pins(name: str) -> Mapping[str, str]:
    """Package → version, of a file in requirements/."""
    return dict(_PIN.findall(text(f"requirements/{name}.txt")))


@cache
def tracked() -> tuple[str, ...] | None:
    """Paths of all files that git tracks or would add; None without git or a checkout."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(git, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(path for path in listed.split("\0") if path and (ROOT / path).is_file())


def lines_of(paths: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """`path:line` and the line, of every file that is text."""
    for path in paths:
        content = (ROOT / path).read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            yield f"{path}:{number}", line
