"""Kafka: the only folder that imports confluent_kafka; its errors are translated here."""

from pipeline.kafka.admin import Admin
from pipeline.kafka.coordinators import Coordinators
from pipeline.kafka.ledger_producer import LedgerProducer
from pipeline.kafka.member_removal import MemberRemoval
from pipeline.kafka.publisher import Publisher
from pipeline.kafka.range_reader import RangeReader
from pipeline.kafka.reader import read_committed
from pipeline.kafka.replay_config import Owner, SlotConfig
from pipeline.kafka.replay_fencing import ReplayFence, last_checkpoints
from pipeline.kafka.replay_progress import PartitionProgress, ReplayOffsets
from pipeline.kafka.replay_session import ReplayBroker
from pipeline.kafka.session import KafkaBroker
from pipeline.kafka.session_config import CollectLimits, SessionConfig

__all__ = [
    "Admin",
    "CollectLimits",
    "Coordinators",
    "KafkaBroker",
    "LedgerProducer",
    "MemberRemoval",
    "Owner",
    "PartitionProgress",
    "Publisher",
    "RangeReader",
    "ReplayBroker",
    "ReplayFence",
    "ReplayOffsets",
    "SessionConfig",
    "SlotConfig",
    "last_checkpoints",
    "read_committed",
]
