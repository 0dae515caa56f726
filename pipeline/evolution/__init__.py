"""What changes for a reader between two versions of a schema, Avro or JSON Schema, in words.

May import `avro`, `errors` and `core`.
"""
