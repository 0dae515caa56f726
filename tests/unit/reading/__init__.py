"""Tests of what consumers read with."""
