"""Tests of the settings and of the commands that need no Kafka."""
