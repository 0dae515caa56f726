"""Tests of Avro: framings, raw records, schemas and the encoder."""
