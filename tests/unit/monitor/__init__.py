"""Tests of what is read from outside of a worker."""
