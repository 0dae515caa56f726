"""Audit and comparison, without a broker."""
