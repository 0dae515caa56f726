"""Kafka: the only folder that imports confluent_kafka; its errors are translated here."""

from pipeline.edges.kafka.admin import Admin
from pipeline.edges.kafka.config import BatchLimits, SessionConfig
from pipeline.edges.kafka.desk_writer import DeskWriter
from pipeline.edges.kafka.publisher import Publisher
from pipeline.edges.kafka.ranges import RangeReader
from pipeline.edges.kafka.reader import read_committed
from pipeline.edges.kafka.session import KafkaBroker

__all__ = [
    "Admin",
    "BatchLimits",
    "DeskWriter",
    "KafkaBroker",
    "Publisher",
    "RangeReader",
    "SessionConfig",
    "read_committed",
]
