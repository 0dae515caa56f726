"""The settings that a plan keeps: enough to go on, and by name where others are given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import RefusedError, SettingsError
from pipeline.replay.plan import PlanRecord, ReplayPlan, State, read_plan
from pipeline.replay.plan_settings import differing_settings, plan_settings, with_plan_settings
from pipeline.settings.model import Settings, load_settings
from tests.unit.replay.plans import plan_of

SECRET = {"kafka.bootstrap.servers": "b:1", "kafka.sasl.password": "secret"}


def _planned(tmp_path: Path, toml: str) -> tuple[Settings, ReplayPlan]:
    """A plan under the settings of a file, as it is read back."""
    config = tmp_path / "pipeline.toml"
    config.write_text(toml)
    settings = load_settings(config, SECRET, {})
    record = PlanRecord(plan_of(kept=plan_settings(settings)), State.STARTED, 1, "me@here")
    assert b"secret" not in record.encode()
    read = read_plan(record.encode())
    assert read is not None
    return settings, read.plan


def test_plan_brings_back_its_rules_topics_and_group(tmp_path: Path) -> None:
    """Rules, topics and group are the plan's again; the connection is that of now."""
    toml = (
        'default_currency = "EUR"\ngroup = "shop"\nidentify = [{event = "Signed Up"}]\n'
        '[topics]\nraw = "shop.raw"\n[currency]\nextra_codes = ["XBT", "ABC"]\n'
    )
    settings, plan = _planned(tmp_path, toml)
    other = load_settings(None, {"kafka.bootstrap.servers": "other:1"}, {})
    again = with_plan_settings(other, plan)
    assert plan_settings(again) == plan_settings(settings)
    assert again.contract() == settings.contract()
    assert again.kafka == other.kafka
    assert {each.name for each in differing_settings(other, plan)} == {
        "default_currency",
        "group",
        "identify",
        "topics.raw",
        "currency.extra_codes",
    }
    assert not list(differing_settings(settings, plan))


def test_differing_settings_say_where_they_were_set(tmp_path: Path) -> None:
    """A default that differs has no source; what was given names it, with both values."""
    _, plan = _planned(tmp_path, 'default_currency = "EUR"\n')
    (default,) = differing_settings(Settings(), plan)
    assert (default.planned, default.now, default.source) == ("EUR", "USD", "")
    given = load_settings(None, {}, {"TRACK_DEFAULT_CURRENCY": "SEK"})
    (difference,) = differing_settings(given, plan)
    assert str(difference) == (
        'default_currency is "EUR" in its plan, not "SEK" (TRACK_DEFAULT_CURRENCY)'
    )


def test_plans_of_other_versions_are_understood_or_named(tmp_path: Path) -> None:
    """An older plan keeps no settings; those of a later version may be unknown."""
    _, plan = _planned(tmp_path, "")
    older = replace(plan, kept=None)
    assert with_plan_settings(Settings(group="g"), older).group == "g"
    later = replace(plan, version="9.9", kept={**(plan.kept or {}), "taste": "sweet"})
    with pytest.raises(RefusedError, match=r"planned by version 9\.9"):
        with_plan_settings(Settings(), later)


def test_a_plan_keeps_the_framing_of_its_outputs(tmp_path: Path) -> None:
    """A replay does not go on with another framing when the registry is no longer set."""
    registry = '[schema_registry]\nurl = "http://localhost:1"\n'
    settings, plan = _planned(tmp_path, f'[output]\nformat = "avro"\n{registry}')
    assert with_plan_settings(settings, plan).output.framing == "prefix"
    without = load_settings(None, SECRET, {})
    with pytest.raises(SettingsError, match=r"output\.framing: prefix needs a Schema Registry"):
        with_plan_settings(without, plan)
    single, plan = _planned(tmp_path, '[output]\nformat = "avro"\n')
    assert with_plan_settings(single, plan).output.framing == "single-object"
