"""The desk for dead letters, without a broker."""
