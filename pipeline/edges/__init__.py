"""Everything that touches the outside world: Kafka, the embedded broker, signals, logs, metrics."""
