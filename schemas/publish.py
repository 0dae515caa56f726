"""Writes the schemas of `schemas.source` into this folder, by contract version."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.contract import CONTRACT_VERSION
from schemas.source.avro import AVRO_NAMES, avro_document
from schemas.source.document import NAMES, document


def main() -> None:
    """Write all schemas. Nothing else in the folder is changed."""
    folder = Path(__file__).parent / CONTRACT_VERSION
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        (folder / f"{name}.json").write_bytes(document(name))
    for name in AVRO_NAMES:
        (folder / f"{name}.avsc").write_bytes(avro_document(name))


if __name__ == "__main__":
    main()
