"""The scripts in docs/how-to/python run on a real broker, as they are printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.brokers import RECENT, Sent, produce, read_topic
from tests.fake_topics import event
from tests.kafka.worker_process import Pipeline, terminate
from tests.unit.cli.program import TIMEOUT_S, environment

pytestmark = pytest.mark.kafka

SCRIPTS: Final = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "python"
SALE: Final = event(properties={"revenue": "19.99"})
_LONGEST: Final = 55


def run_script(pipeline: Pipeline, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the settings of a pipeline."""
    return run_alone(name, *arguments, **pipeline.variables)


def run_alone(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script."""
    ran = subprocess.run(
        [sys.executable, SCRIPTS / name, *arguments],
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran


@pytest.fixture
def worked(pipeline: Pipeline) -> Pipeline:
    """A pipeline whose worker has processed three sales and a broken record, and has stopped."""
    values = [SALE, SALE, SALE, b"{"]
    sent = [Sent(value, b"u", (), RECENT + n, 0) for n, value in enumerate(values)]
    produce(pipeline.servers, pipeline.names.raw, sent)
    worker = pipeline.start()
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    return pipeline


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_scripts_are_short(path: Path) -> None:
    """Each of them is read in a minute."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= _LONGEST


def test_audit_finds_what_was_written_twice(worked: Pipeline) -> None:
    """The script says that everything adds up, and names a duplicate once there is one."""
    ran = run_script(worked, "audit.py")
    assert ran.returncode == 0
    assert "4 events in 4 raw records, ok: True" in ran.stdout
    assert "USD sent 59.97 delivered 59.97" in ran.stdout
    assert "processing the raw records again: 4 of 4 offsets" in ran.stderr
    value, key, headers, timestamp, partition, _ = read_topic(
        worked.servers, worked.names.enriched
    )[0]
    copy = Sent(value, key, headers, timestamp, partition)
    produce(worked.servers, worked.names.enriched, [copy])
    ran = run_script(worked, "audit.py")
    assert ran.returncode == 1
    assert f"duplicated {worked.names.raw}/0/0 {worked.names.enriched}/" in ran.stdout


def test_compare_finds_what_a_changed_rule_changes(worked: Pipeline, tmp_path: Path) -> None:
    """Nothing differs under the same rules; another default currency changes each sale."""
    config = tmp_path / "changed.toml"
    config.write_text("")
    ran = run_script(worked, "compare.py", str(config))
    assert (ran.returncode, "identical 3" in ran.stdout) == (0, True), ran.stdout
    config.write_text('default_currency = "EUR"\n')
    ran = run_script(worked, "compare.py", str(config))
    assert ran.returncode == 1
    assert "changed 3" in ran.stdout
    assert "differs: /properties/currency 3" in ran.stdout
    assert "USD before 59.97 after 0" in ran.stdout
    assert len(read_topic(worked.servers, worked.names.enriched)) == 3


def test_replay_is_planned_executed_and_verified(worked: Pipeline) -> None:
    """The script writes each event of the window once more, into topics of the replay's own."""
    ran = run_script(worked, "replay.py", "2000-01-01")
    assert ran.returncode == 0, ran.stderr
    assert "3 enriched, 1 dead letters {'invalid_json': 1}" in ran.stdout
    assert "verified: True" in ran.stdout
    (topic,) = (
        word for word in ran.stdout.split() if word.startswith(f"{worked.names.enriched}.replay.")
    )
    assert len(read_topic(worked.servers, topic, "read_committed")) == 3


def test_dlq_redrives_repaired_events(pipeline: Pipeline) -> None:
    """The script counts invalid revenue, finds that its repair helps, and sends each event once."""
    values = [event(properties={"revenue": f"{number},90"}) for number in range(3)]
    sent = [Sent(value, b"u", (), RECENT + n, 0) for n, value in enumerate([*values, b"{"])]
    produce(pipeline.servers, pipeline.names.raw, sent)
    worker = pipeline.start()
    pipeline.wait_until_done()
    assert terminate(worker) == 0
    assert pipeline.run("topics", "create", "--ledger").code == 0
    for redriven in (3, 0):
        ran = run_script(pipeline, "dlq.py")
        assert ran.returncode == 0, ran.stderr
        assert f"{redriven} of {redriven} would pass\n" in ran.stdout
        assert ran.stdout.endswith(f"{redriven} sent, not sent: {{}}\n")
        assert len(read_topic(pipeline.servers, pipeline.names.enriched)) == 3
    assert pipeline.run("dlq", "list", "--json").out.count(b"\n") == 1
