"""Asks a Schema Registry: look-up, registration, compatibility.

May import `avro`, `settings`, `ports`, `errors` and `core`; everything that imports
confluent_kafka.schema_registry is here.
"""
