"""The search for counter-examples is as hard as the core's."""

from __future__ import annotations

import tests.unit.core.conftest  # noqa: F401  registers and loads the hypothesis profiles
