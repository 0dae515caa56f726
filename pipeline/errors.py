"""The exit codes of every command, once, with what each means."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class Exit(IntEnum):
    """How the program ended; supervisors and scripts decide by it."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Keep the meaning beside the number."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "done, or stopped as asked"
    DIFFERENCE = 1, "a check failed or found a difference (such as --strict with refused events)"
    USAGE = 2, "wrong usage or settings; nothing was done"
    FENCED = (
        3,
        "another live process has this transactional id, instance id or replay; do not restart",
    )
    DATA_LOSS = 4, "the offsets to continue from do not exist any more"
    KAFKA = 5, "Kafka can't be reached, or refuses"
    BREAKER = 6, "stopped by the breaker, or by --max-invalid-ratio: undo the change or accept it"
    INTERNAL = 70, "a bug of this program"
    INPUT_OUTPUT = 74, "a file or stream failed after the work began"
    INTERRUPTED = 130, "interrupted from the keyboard"
    READER_GONE = (
        141,
        "whoever read the output has closed it, as `head` does; the rest was not written",
    )
