"""Tests of the published JSON Schemas: what they say is what the program does."""
