"""Metrics, health and the endpoint, without a broker."""
