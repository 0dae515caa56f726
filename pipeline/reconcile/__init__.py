"""Reads the outputs that exist and holds them against what the rules make of the input."""
