"""`make manifests`: writes the chart's schema of settings, and the plain manifests."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.system.deploy.chart import PLAIN, SCHEMA, plain_manifests, values_schema

program = shutil.which("helm")
if program is None:
    sys.exit("make manifests needs helm on the PATH: go install helm.sh/helm/v3/cmd/helm@latest")
SCHEMA.write_text(values_schema(), encoding="utf-8")
made = plain_manifests(Path(program))
PLAIN.mkdir(exist_ok=True)
for path in PLAIN.glob("*.yaml"):
    if path.name not in made:
        path.unlink()
for name, text in made.items():
    (PLAIN / name).write_text(text, encoding="utf-8")
print(f"{SCHEMA.name} and {len(made)} manifests are up to date")  # noqa: T201
