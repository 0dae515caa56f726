"""Lines of files in, results out, without Kafka. May import `core ports errors settings`."""
