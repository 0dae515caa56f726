"""Sample events."""
