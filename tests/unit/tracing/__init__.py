"""Traces of batches, without a broker and without a collector."""
