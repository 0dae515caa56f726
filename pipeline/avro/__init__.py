"""Avro: the published schemas, the encoder of outputs, framings, and raw records read as JSON.

May import `core` and `errors`; everything that imports fastavro is here.
"""
