"""Outputs of commands without what differs from run to run."""

from __future__ import annotations

import re
from typing import Final

_REPLACED: Final = (
    # Progress, and log lines of what runs meanwhile.
    (r"(?m)^(?:reading |[a-z ]+: \d+ % of ).*\n", ""),
    (r"(?m)^[0-9]{4}-[0-9]{2}-[0-9]{2}T\S+ \[\w+ *\] .*\n", ""),
    (r"(?m)^each column of the chart is .*", "each column of the chart is 1 s"),
    (r" *[▁▂▃▄▅▆▇█]+ *", " █ "),
    # Times, and whoever runs the test on whatever machine.
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]+)?Z", "TIME"),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "DATE"),
    (r"[0-9]{2}:[0-9]{2}:[0-9]{2}", "TIME"),
    (r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}", "ID"),
    (r"[a-z]+@[-.\w]+", "WHO"),
    # Each transaction ends with a marker, so later offsets depend on where batches end.
    (r"(?<![\w/.])0/[1-9][0-9]*(?![\w/])", "0/OFFSET"),
    # The width of columns follows from these. Records are spread over partitions at random.
    (r"(?m)^( +[0-2] +0) .* TIME +TIME$", r"\1 … TIME TIME"),
    (r"(?m)^( +[0-2] +0) +[0-9]+ +[0-9]+$", r"\1 …"),
    (r" +", " "),
    (r"(?m) $", ""),
    (r"\n\n+", "\n"),
)


def settled(text: str) -> str:
    """An output as it is in every run; lines without text are left out."""
    for pattern, instead in _REPLACED:
        text = re.sub(pattern, instead, text)
    return text.strip("\n") + "\n"
