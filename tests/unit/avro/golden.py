"""Golden records: Avro data as each contract version has written it, kept in files.

They are written by fastavro out of the examples of `schemas/`. Those of earlier versions never
change; those of the current one are written anew by `python -m tests.unit.avro.golden`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.avro.published import AVRO_FILES, published
from pipeline.core.contract import CONTRACT_VERSION
from pipeline.core.record import Role
from tests.support import process
from tests.unit.avro.event_schemas import parsed
from tests.unit.avro.written import written
from tests.unit.schemas.published import EXAMPLES

FOLDER: Final = Path(__file__).parent / "golden_records"
IDENTIFY_RULES: Final = [{"event": "*"}]


class GoldenRecord(NamedTuple):
    """One record: the name of the example that it was made of, its Avro data without a framing."""

    example: str
    data: bytes


def file_of(role: Role, version: str) -> Path:
    """File of the golden records of one kind of output."""
    return FOLDER / version / AVRO_FILES[role].replace(".avsc", ".ndjson")


def golden_records(role: Role, version: str) -> list[GoldenRecord]:
    """The records that a version has written."""
    lines = map(json.loads, file_of(role, version).read_text("utf-8").splitlines())
    return [GoldenRecord(line["example"], bytes.fromhex(line["data"])) for line in lines]


def schema_of(text: str) -> dict[str, Any]:
    """A schema as fastavro takes it."""
    return parsed(json.loads(text))


def sent(example: str) -> bytes:
    """The raw record of an example in one line: Avro keeps line breaks, which JSON does not."""
    lines = (EXAMPLES / "valid" / f"{example}.json").read_bytes().splitlines()
    return b"".join(line.strip() for line in lines)


def made(role: Role) -> Iterator[GoldenRecord]:
    """The records that the current version writes for the examples."""
    schema = schema_of(published(role))
    for path in sorted((EXAMPLES / "valid").iterdir()):
        for output in process(sent(path.stem), identify=IDENTIFY_RULES):
            if output.role is role:
                yield GoldenRecord(path.stem, written(output.value or b"", schema))


def main() -> None:
    """Write the golden records of the current version."""
    for role in AVRO_FILES:
        path = file_of(role, CONTRACT_VERSION)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ({"example": each.example, "data": each.data.hex()} for each in made(role))
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")


if __name__ == "__main__":
    main()
