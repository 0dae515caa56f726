"""Every error that can end a command, as one tree, and the exit codes.

    TrackError
    ├── SettingsError              2   the operator's settings
    ├── UnusableFileError          2   a file that can't be used at all
    │   ├── ArchiveError           2   a line that is no archived record
    │   ├── ExportError            2   a line that is no exported dead letter
    │   └── SchemaFileError        2   a schema that is missing, or is none
    ├── BrokenInputError          74   an input that failed after some of it was read
    ├── UnreadableOutputError     74   a message of an output topic that is not what it should be
    ├── LocalKafkaError            5   the embedded Kafka of demo and tests
    ├── TooLargeError             70   one output; its caller handles it
    └── TransportError             5   the network or Kafka, not the data
        ├── AbortableError         5   abort, rewind, try the batch again
        │   └── RegistryUnavailableError 5  the Schema Registry does not answer
        ├── OutcomeUnknownError    5   forget everything, start anew
        │   ├── LostTrackError     5   fenced by mistake
        │   └── TransactionTimeoutError 5  a transaction took too long
        ├── RefusedError           5   only the operator can remove the reason
        │   └── ClientSettingsError  2   settings that the Kafka client rejects
        ├── RecordRefusedError     5   the broker refuses one output
        ├── FencedError            3   another live process has our id
        │   ├── EpochFencedError   3
        │   └── InstanceFencedError  3
        ├── DataLossError          4   offsets to continue from do not exist
        └── BreakerOpenError       6   far more events would be rejected than usual

The text of each is one sentence for the operator: what is wrong, and what to do. What the worker
does about each is the failure table in ARCHITECTURE.md. What a record holds is never an error but a
value, `core.reasons.Invalid`. Signals between two modules of one package (a child process that
ended, a value that is no JSON) are beside their code, since they never end a command.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import ClassVar, Final, Self

from pipeline.core.reasons import Reason
from pipeline.core.record import Role


class ExitCode(IntEnum):
    """How the program ended; supervisors and scripts decide by it."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Keep the meaning beside the number."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "done, or stopped as asked"
    DIFFERENCE = 1, "a check failed or found a difference (such as --strict with rejected events)"
    USAGE = 2, "wrong usage or settings; nothing was done"
    FENCED = (
        3,
        "another live process has this transactional id, instance id or replay; do not restart",
    )
    DATA_LOSS = 4, "the offsets to continue from do not exist any more"
    KAFKA = 5, "Kafka can't be reached, or rejects a request"
    BREAKER = 6, "stopped by the breaker, or by --max-invalid-ratio: undo the change or accept it"
    INTERNAL = 70, "a bug of this program"
    INPUT_OUTPUT = 74, "a file or stream failed after the work began"
    INTERRUPTED = 130, "interrupted from the keyboard"
    READER_GONE = (
        141,
        "whoever read the output has closed it, as `head` does; the rest was not written",
    )


class TrackError(Exception):
    """Root of the tree. `exit_code` is what a command ends with that the error leaves."""

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL


class SettingsError(TrackError):
    """Wrong settings, all of them: one line for each in `problems`."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: Final = tuple(problems)
        super().__init__("\n".join(self.problems))


class UnusableFileError(TrackError):
    """A file that can't be used at all; nothing was read from it or written to it."""

    exit_code = ExitCode.USAGE


class ArchiveError(UnusableFileError):
    """A line that names coordinates but is no archived record; the text says why."""


class ExportError(UnusableFileError):
    """A line that is no exported dead letter; the text says what is wrong with it."""


class SchemaFileError(UnusableFileError):
    """A schema that is missing or is none; the text says which, and what is wrong with it."""


class BrokenInputError(TrackError):
    """An input that failed after some of it was read."""

    exit_code = ExitCode.INPUT_OUTPUT


class UnreadableOutputError(TrackError):
    """A message of an output topic that can't be read; the text says what it is and why."""

    exit_code = ExitCode.INPUT_OUTPUT


class LocalKafkaError(TrackError):
    """The embedded Kafka did not start, or is not running."""

    exit_code = ExitCode.KAFKA


class TooLargeError(TrackError):
    """One output exceeds what its topic takes; the transaction is unharmed."""


class TransportError(TrackError):
    """The network or Kafka, not the data: retry, restart or ask the operator; never dead-letter."""

    exit_code = ExitCode.KAFKA


class AbortableError(TransportError):
    """The transaction is lost, the clients are healthy: abort, rewind, try the batch again."""


class RegistryUnavailableError(AbortableError):
    """The Schema Registry does not answer, or not as one; a record can't be read without it now."""


class OutcomeUnknownError(TransportError):
    """Whether the transaction was committed is not known here: forget everything, start anew."""


class LostTrackError(OutcomeUnknownError):
    """The consumer was fenced by mistake: the transactional id is proven to be this process's."""


class TransactionTimeoutError(OutcomeUnknownError):
    """A transaction took too long: the broker ended it, or its commit did not return in time.

    `is_halved` says whether the next attempt is another, smaller one.
    """

    def __init__(self, message: str, *, is_halved: bool = False) -> None:
        super().__init__(message)
        self.is_halved = is_halved


class RefusedError(TransportError):
    """Kafka refuses for a reason that only the operator can remove: a topic, an ACL, a limit."""


class ClientSettingsError(RefusedError):
    """The Kafka client rejects its own settings: nothing was asked of Kafka."""

    exit_code = ExitCode.USAGE


class RecordRefusedError(TransportError):
    """The broker refuses one of the outputs; the transaction is lost.

    `reason` is what the raw record is dead-lettered for, once it is found; `role` says which
    topic refused; `nth` is the number of the output in its transaction, from 0, when it is known.
    """

    def __init__(self, message: str, reason: Reason, role: Role, nth: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.role = role
        self.nth = nth


class FencedError(TransportError):
    """Another live process uses our transactional id or instance id."""

    exit_code = ExitCode.FENCED


class EpochFencedError(FencedError):
    """The producer was fenced: by another process, or by the broker for a transaction too long."""


class InstanceFencedError(FencedError):
    """The consumer was fenced: by another process, or by a coordinator that lost track of it."""


class DataLossError(TransportError):
    """Offsets that we must continue from do not exist (any more)."""

    exit_code = ExitCode.DATA_LOSS


class BreakerOpenError(TransportError):
    """More events would be rejected than may be; none of them is written."""

    exit_code = ExitCode.BREAKER
