"""Write the list of jars that the embedded Kafka consists of: `python -m tests.kafka.lock_jars`.

To be run, and its result read, when `KAFKA_VERSION` changes. Needs the network.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Final

from jgo.maven import MavenContext

from pipeline.demo.local_kafka.jars import JARS_FILE, KAFKA_VERSION

_LOG4J_VERSION: Final = "2.25.4"
_ENDPOINTS: Final = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    # Kafka's POM leaves out its logging binding. Resolved apart: in one resolution log4j's
    # dependency management would pull kafka-clients down to a version that does not start.
    f"org.apache.logging.log4j:log4j-slf4j-impl:{_LOG4J_VERSION}",
)


def lines(repository: Path) -> list[str]:
    """Resolve and download everything into `repository`; one line for each jar."""
    context = MavenContext(repo_cache=repository)
    found = set()
    for endpoint in _ENDPOINTS:
        roots, others = context.resolver.resolve([context.create_dependency(endpoint)])
        needed = [*roots, *(other for other in others if other.scope in {"compile", "runtime"})]
        for artifact in (dependency.artifact for dependency in needed):
            content = artifact.resolve().read_bytes()
            name = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
            found.add(f"{name} {hashlib.sha256(content).hexdigest()} {len(content)}")
    return sorted(found)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as repository:
        JARS_FILE.write_text("\n".join(lines(Path(repository))) + "\n", encoding="ascii")
