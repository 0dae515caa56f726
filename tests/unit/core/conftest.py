"""How hard properties are searched: quick, or `--hypothesis-profile=thorough` at leisure."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

# The first example of a run pays for imports and caches; slow machines share their processors.
_COMMON: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("quick", max_examples=300, **_COMMON)
settings.register_profile("thorough", max_examples=5_000, **_COMMON)

if settings.get_current_profile_name() not in {"quick", "thorough"}:
    settings.load_profile("quick")
