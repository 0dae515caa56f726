"""What can be known about a pipeline from outside: from the cluster alone, or by asking a worker.

Joins no group, commits nothing and writes nothing. May import everything but `cli` and `demo`.
"""

from pipeline.monitor.cluster import ClusterMonitor
from pipeline.monitor.parts import collectors_of
from pipeline.monitor.status import (
    BreakerWatch,
    ClusterStatus,
    OpenTransaction,
    PartitionStatus,
    StatusLimits,
)
from pipeline.monitor.watch import Watch
from pipeline.monitor.worker_endpoint import WorkerReport, ask_worker

__all__ = [
    "BreakerWatch",
    "ClusterMonitor",
    "ClusterStatus",
    "OpenTransaction",
    "PartitionStatus",
    "StatusLimits",
    "Watch",
    "WorkerReport",
    "ask_worker",
    "collectors_of",
]
