"""A real Apache Kafka on loopback, without Docker: one broker, for the demo and for tests."""
