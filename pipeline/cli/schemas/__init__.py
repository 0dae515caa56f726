"""`track-pipeline schemas …`: the schemas of the outputs, published and in a Schema Registry."""

from __future__ import annotations

from typing import Final

import click

from pipeline.cli.main import CommandTree, Listed

_PACKAGE: Final = "pipeline.cli.schemas"
_LISTED: Final = {
    "check": Listed(f"{_PACKAGE}.check", "Check what the registry has of the outputs' schemas."),
    "register": Listed(f"{_PACKAGE}.register", "Register the outputs' schemas."),
    "show": Listed(f"{_PACKAGE}.show", "Print a schema, published or of the registry."),
    "diff": Listed(f"{_PACKAGE}.diff", "Show what changes between two versions of the schemas."),
}


@click.group(cls=CommandTree, listed=_LISTED)
def schemas() -> None:
    """Register and check the Avro schemas of the outputs, print schemas, and compare them.

    Only register changes something.
    """
