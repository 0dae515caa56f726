"""track-pipeline: an exactly-once stream worker for Segment-style track events on Kafka."""

__version__ = "0.1.0"
