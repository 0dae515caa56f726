"""Kafka: the only folder that imports confluent_kafka; its errors are translated here."""

from pipeline.edges.kafka.admin import Admin
from pipeline.edges.kafka.config import BatchLimits, SessionConfig
from pipeline.edges.kafka.coordinators import Coordinators
from pipeline.edges.kafka.desk_writer import DeskWriter
from pipeline.edges.kafka.leaving import Leaving
from pipeline.edges.kafka.publisher import Publisher
from pipeline.edges.kafka.ranges import RangeReader
from pipeline.edges.kafka.reader import read_committed
from pipeline.edges.kafka.replay_claim import ReplayClaim, last_notes
from pipeline.edges.kafka.replay_config import Owner, SlotConfig
from pipeline.edges.kafka.replay_offsets import At, ReplayOffsets
from pipeline.edges.kafka.replay_session import ReplayBroker
from pipeline.edges.kafka.session import KafkaBroker

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
    "ReplayBroker",
    "ReplayClaim",
    "ReplayOffsets",
    "SessionConfig",
    "SlotConfig",
    "last_notes",
    "read_committed",
]
