"""Counts of Kafka clients that replace one another, added up."""

from __future__ import annotations

import json

from pipeline.kafka.client_statistics import ReportedStatistics


def _document(retries: int) -> str:
    return json.dumps({"brokers": {"b-1": {"txretries": retries}}})


def test_late_report_of_a_replaced_client_is_ignored() -> None:
    """A client that is being closed still reports; counted again, it would count twice."""
    statistics = ReportedStatistics()
    old = statistics.properties("producer")["stats_cb"]
    old(_document(7))
    new = statistics.properties("producer")["stats_cb"]
    old(_document(7))
    new(_document(2))
    assert statistics.figures()["producer"].retries == 9
    old(_document(8))
    assert statistics.figures()["producer"].retries == 9


def test_report_that_is_no_document_changes_nothing() -> None:
    """A callback that raises would make the client lose messages."""
    statistics = ReportedStatistics()
    statistics.properties("consumer")["stats_cb"]("{")
    assert not statistics.figures()
