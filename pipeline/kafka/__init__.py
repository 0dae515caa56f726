"""Everything that talks to Kafka. The only package that imports confluent_kafka.

It may import `core`, `errors`, `ports` and `settings`. The client's exceptions are translated here,
so that other packages know only the errors of `pipeline.errors`:

- clients and settings: clients, session_config, replay_config
- sessions: session (the worker's), replay_session (a replay's)
- reading: group_consumer, range_consumer, reader, range_reader, start_offsets, consumed_positions
- writing: producer with exactly_once and at_least_once, publisher, ledger_producer, partitioner
- fencing: membership, member_removal, replay_fencing, replay_presence
- topics: admin, topic_metadata, topic_alterations, topic_ids, partitions
- offsets: committed_offsets, end_offsets, offsets_by_time, oldest_records,
  topic_offsets
- statistics: client_statistics
- faults: errors, error_codes, diagnosis, tls_diagnosis, dependency_monitor, coordinators
"""

from typing import Final

from confluent_kafka import libversion

from pipeline.kafka.admin import Admin
from pipeline.kafka.coordinators import Coordinators
from pipeline.kafka.group_description import GroupDescription
from pipeline.kafka.group_state import GroupState, Member
from pipeline.kafka.ledger_producer import LedgerProducer
from pipeline.kafka.member_removal import MemberRemoval
from pipeline.kafka.oldest_records import OldestRecords
from pipeline.kafka.publisher import Publisher
from pipeline.kafka.range_reader import RangeReader
from pipeline.kafka.reader import read_committed
from pipeline.kafka.removal import Removal
from pipeline.kafka.replay_config import Owner, SlotConfig
from pipeline.kafka.replay_fencing import ReplayFence, last_checkpoints
from pipeline.kafka.replay_presence import ReplayPresence, members_of
from pipeline.kafka.replay_progress import PartitionProgress, ReplayOffsets
from pipeline.kafka.replay_session import ReplayBroker
from pipeline.kafka.session import KafkaBroker
from pipeline.kafka.session_config import CollectLimits, SessionConfig
from pipeline.kafka.topic_offsets import PartitionOffsets

CLIENT_VERSION: Final = libversion()[0]
"""Version of librdkafka."""

__all__ = [
    "CLIENT_VERSION",
    "Admin",
    "CollectLimits",
    "Coordinators",
    "GroupDescription",
    "GroupState",
    "KafkaBroker",
    "LedgerProducer",
    "Member",
    "MemberRemoval",
    "OldestRecords",
    "Owner",
    "PartitionOffsets",
    "PartitionProgress",
    "Publisher",
    "RangeReader",
    "Removal",
    "ReplayBroker",
    "ReplayFence",
    "ReplayOffsets",
    "ReplayPresence",
    "SessionConfig",
    "SlotConfig",
    "last_checkpoints",
    "members_of",
    "read_committed",
]
