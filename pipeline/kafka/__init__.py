"""Kafka: the only folder that imports confluent_kafka; its errors are translated here."""

from pipeline.kafka.admin import Admin
from pipeline.kafka.coordinators import Coordinators
from pipeline.kafka.ledger_producer import DeskWriter
from pipeline.kafka.member_removal import Leaving
from pipeline.kafka.publisher import Publisher
from pipeline.kafka.range_reader import RangeReader
from pipeline.kafka.reader import read_committed
from pipeline.kafka.removal import Removal
from pipeline.kafka.replay_config import Owner, SlotConfig
from pipeline.kafka.replay_fencing import ReplayClaim, last_notes
from pipeline.kafka.replay_presence import ReplayPresence, members_of
from pipeline.kafka.replay_progress import At, ReplayOffsets
from pipeline.kafka.replay_session import ReplayBroker
from pipeline.kafka.session import KafkaBroker
from pipeline.kafka.session_config import BatchLimits, SessionConfig

__all__ = [
    "Admin",
    "At",
    "BatchLimits",
    "Coordinators",
    "DeskWriter",
    "KafkaBroker",
    "Leaving",
    "Owner",
    "Publisher",
    "RangeReader",
    "Removal",
    "ReplayBroker",
    "ReplayClaim",
    "ReplayOffsets",
    "ReplayPresence",
    "SessionConfig",
    "SlotConfig",
    "last_notes",
    "members_of",
    "read_committed",
]
