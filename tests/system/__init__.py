"""Tests of the whole: chaos, documents, deployment files."""
