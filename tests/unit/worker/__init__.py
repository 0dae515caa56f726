"""The worker: its decisions by the diary in memory, its contract on both brokers."""
