"""The alert rules: Prometheus itself tests them; each alert is complete and has its section."""

from __future__ import annotations

import re
import subprocess
from typing import Final

import pytest

from tests.system.deploy.files import ROOT
from tests.system.deploy.prometheus_files import (
    RULES,
    RULES_TEST,
    RUNBOOK,
    Alert,
    alerts,
    cases,
    rules,
    runbook_sections,
    unknown_series,
)
from tests.system.docs.snippets import NAMES, blocks, spans
from tests.tools import required_tool

_MADE_FROM_THE_CATALOGUE: Final = "docs/reference/metrics.md"
_PARTS: Final = ("**Meaning.**", "**Look at.**", "**Do.**", "**Wake somebody**")
_EACH: Final = pytest.mark.parametrize(
    "alert", alerts(), ids=lambda alert: f"{alert.name}, {alert.severity}"
)


def _promtool(*arguments: str) -> str:
    done = subprocess.run(
        [required_tool("promtool"), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


class TestRules:
    """deploy/prometheus/rules.yml."""

    def test_prometheus_accepts_the_rules(self) -> None:
        """Each query and each template can be parsed, and no rule is there twice."""
        assert f"{len(rules())} rules found" in _promtool("check", "rules", RULES)

    @pytest.mark.slow
    def test_each_alert_fires_when_it_should_and_else_not(self) -> None:
        """The unit tests of the rules pass, sentences with their values included."""
        assert "SUCCESS" in _promtool("test", "rules", RULES_TEST)

    @_EACH
    def test_each_alert_has_both_cases(self, alert: Alert) -> None:
        """One unit test lets it fire, and one, a near miss, does not."""
        checks = [
            (case["name"], [each["exp_labels"]["severity"] for each in check.get("exp_alerts", ())])
            for case in cases()
            for check in case.get("alert_rule_test", ())
            if check["alertname"] == alert.name
        ]
        fires = [name for name, severities in checks if alert.severity in severities]
        near = [name for name, severities in checks if alert.severity not in severities]
        assert any(" fires" in name for name in fires)
        assert any("near miss" in name for name in near)

    def test_each_case_says_which_alert_it_is_about(self) -> None:
        """The name of a unit test begins with its alert, or says that nothing fires."""
        for case in cases():
            named = {f"TrackPipeline{re.split(r'[ ,]', case['name'])[0]}"}
            checked = {check["alertname"] for check in case.get("alert_rule_test", ())}
            assert named <= checked or case["name"].startswith("Nothing fires"), case["name"]

    @_EACH
    def test_each_alert_says_what_is_wrong(self, alert: Alert) -> None:
        """An alert has a severity that somebody reacts to, and sentences with the value."""
        annotations = alert.rule["annotations"]
        assert alert.severity in {"page", "ticket"}
        assert annotations.keys() == {"summary", "description", "runbook_url"}
        assert annotations["runbook_url"] == f"{RUNBOOK}#{alert.name.lower()}"
        assert annotations["description"].endswith(".")

    def test_each_series_exists(self) -> None:
        """Rules, and the queries in their sentences, name only what is exposed or recorded."""
        for rule in rules():
            assert list(unknown_series(rule["expr"])) == []
            assert list(unknown_series(str(rule.get("annotations")))) == []


class TestRunbook:
    """docs/runbook.md."""

    def test_each_alert_has_a_section(self) -> None:
        """In the order of the rules, and no section is about an alert that does not exist."""
        assert list(runbook_sections()) == list(dict.fromkeys(alert.name for alert in alerts()))

    @pytest.mark.parametrize("name", runbook_sections())
    def test_each_section_has_its_four_parts(self, name: str) -> None:
        """A section says what it means, what to look at, what to do, and when to wake somebody."""
        section = runbook_sections()[name]
        places = [section.find(part) for part in _PARTS]
        assert -1 not in places
        assert places == sorted(places)
        assert all(section.count(part) == 1 for part in _PARTS)
        look, do = section[places[1] : places[2]], section[places[2] : places[3]]
        assert "```promql" in look
        assert "```sh" in do


@pytest.mark.parametrize("page", sorted(set(NAMES) - {_MADE_FROM_THE_CATALOGUE}))
def test_each_series_in_documents_exists(page: str) -> None:
    """Queries and names in documents are of series that are exposed or recorded."""
    queries = [block.text for block in blocks(page, "promql")]
    for query in (*queries, *spans(page)):
        assert list(unknown_series(query)) == []


def test_a_wrong_series_is_seen() -> None:
    """The comparison that the tests above rely on can fail, for a name and for a label."""
    assert list(unknown_series("rate(track_pipeline_events_consumd_total[5m])"))
    assert list(unknown_series('track_pipeline_lag_records{topic="track.raw"}'))
    assert list(unknown_series("job:track_pipeline_events:rate7m"))
    assert not list(unknown_series('sum(track_pipeline_lag_records{partition="1",job="a"})'))
