"""Writes the schemas of `schemas.source` into this folder, by contract version.

A version whose files are listed in `SHA256SUMS` is released: its files never change again. The
version that is not released yet is written anew as often as its rules change.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Final

from pipeline.core.contract import CONTRACT_VERSION
from schemas.source.avro import AVRO_NAMES, avro_document
from schemas.source.document import NAMES, document

FOLDER: Final = Path(__file__).parent
SUMS: Final = "SHA256SUMS"
"""File of the SHA-256 of each released schema, as `sha256sum --check` reads it."""


class ReleasedSchemaError(Exception):
    """A schema of a released version would change."""


def documents() -> dict[str, bytes]:
    """The files of the current contract version by their name."""
    json_schemas = {f"{name}.json": document(name) for name in NAMES}
    return json_schemas | {f"{name}.avsc": avro_document(name) for name in AVRO_NAMES}


def released(folder: Path = FOLDER) -> dict[str, str]:
    """SHA-256 of each released schema by its path, such as `1/raw.json`."""
    lines = (folder / SUMS).read_text("utf-8").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def publish(folder: Path = FOLDER) -> None:
    """Write the schemas of the current version. Nothing else in the folder is changed.

    Raises:
        ReleasedSchemaError: The version is released, and a file would change; none is written.
    """
    made, sums = documents(), released(folder)
    version = f"{CONTRACT_VERSION}/"
    if any(path.startswith(version) for path in sums):
        for name, content in made.items():
            if sums.get(version + name) != _digest(content):
                raise ReleasedSchemaError(
                    f"schemas/{version}{name} is released and would change: raise "
                    "CONTRACT_VERSION in pipeline/core/contract.py first"
                )
    (folder / CONTRACT_VERSION).mkdir(exist_ok=True)
    for name, content in made.items():
        (folder / CONTRACT_VERSION / name).write_bytes(content)


def release(folder: Path = FOLDER) -> None:
    """Write the schemas of the current version, and list them as released."""
    publish(folder)
    sums = released(folder)
    for name in sorted(documents()):
        path = f"{CONTRACT_VERSION}/{name}"
        sums[path] = _digest((folder / path).read_bytes())
    text = "".join(f"{digest}  {path}\n" for path, digest in sums.items())
    (folder / SUMS).write_text(text, "utf-8")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Write the schemas; with `--release`, also list them as released."""
    parser = argparse.ArgumentParser(prog="make schemas")
    parser.add_argument(
        "--release", action="store_true", help="the version is released: its files are final"
    )
    try:
        (release if parser.parse_args().release else publish)()
    except ReleasedSchemaError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
