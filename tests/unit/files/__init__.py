"""Tests of reading, transforming and writing files."""
