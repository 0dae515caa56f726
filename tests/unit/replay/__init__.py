"""Replays, without Kafka."""
