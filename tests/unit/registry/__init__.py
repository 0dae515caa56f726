"""Tests of what asks a Schema Registry, on a small one on loopback."""
